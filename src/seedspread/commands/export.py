"""A study as one file, to publish it or to move it: `seedspread export study=digits`."""

from pathlib import Path

import hydra
from omegaconf import DictConfig

from seedspread.commands.console import load_studies, plain_errors
from seedspread.config.check import check_config
from seedspread.config.compose import CONF
from seedspread.config.schema import Export
from seedspread.records.study_file import write_study_file


@hydra.main(version_base="1.3", config_path=CONF, config_name="export")
def main(cfg: DictConfig) -> None:
    """Write a file for each study that `cfg` names."""
    with plain_errors():
        check_config(cfg, Export)
        for study in load_studies(cfg):
            path = Path(cfg.folder, f"{study.name}.parquet")
            contents = write_study_file(study, path)
            size, seeds = path.stat().st_size, len(contents.records)
            print(f"{path}: {seeds:,} seed{'s' * (seeds != 1)}, {size / 1000:,.0f} kB")
            if (without := seeds - len(contents.examples)) and contents.index is not None:
                print(f"  {without:,} of them without results of single examples")
            if contents.stored["digest"] != study.digest:
                print("  its config names paths; without them it is read anywhere, but not trained on")
