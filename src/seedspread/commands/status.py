"""How far studies are, from any terminal or node that sees the results: `seedspread status study=digits`."""

import shlex
from pathlib import Path

import hydra
from omegaconf import DictConfig

from seedspread.commands.console import plain_errors, study_names
from seedspread.config.check import check_config
from seedspread.config.compose import CONF
from seedspread.config.errors import InputError
from seedspread.config.overrides import TRAIN
from seedspread.config.schema import Status
from seedspread.records.study import Study, list_studies
from seedspread.report.status import describe_status


@hydra.main(version_base="1.3", config_path=CONF, config_name="status")
def main(cfg: DictConfig) -> None:
    """Print the status of the studies that `cfg` names, or of all in its results folder."""
    with plain_errors():
        check_config(cfg, Status)
        searches: list[Path] = []
        if not (names := study_names(cfg)):
            names = list_studies(cfg.results)
            searches = sorted(path.parent for path in Path(cfg.results).glob("*/search.yaml"))
        if not names and not searches:
            raise InputError(f"no study in {cfg.results}; train one: {' '.join(TRAIN)} seed=0 experiment=digits")
        damaged = []
        for name in names:
            try:
                print(describe_status(Study.load(Path(cfg.results) / name)))
            except InputError as error:
                damaged.append(str(error))
        for folder in searches:
            n = len(list(folder.glob("trial-*/trial.json")))
            where = shlex.quote(f"results={folder}")
            print(f"{folder.name}: {n} trial{'s' * (n != 1)}, each a study: seedspread status {where}")
        if damaged:
            raise InputError("\n".join(damaged))
