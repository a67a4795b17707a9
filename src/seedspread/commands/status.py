"""How far studies are, from any terminal or node that sees the results: `seedspread status study=digits`."""

import shlex
from pathlib import Path

import hydra
from omegaconf import DictConfig

from seedspread.commands.console import plain_errors, study_names
from seedspread.config.check import check_config
from seedspread.config.compose import CONF
from seedspread.config.errors import InputError
from seedspread.config.overrides import TRAIN, results_override
from seedspread.config.schema import Status
from seedspread.records.study import Study, last_active, study_folder
from seedspread.report.status import describe_status

MOST_STUDIES = 20


@hydra.main(version_base="1.3", config_path=CONF, config_name="status")
def main(cfg: DictConfig) -> None:
    """Print the status of the studies that `cfg` names, or of all in its results folder."""
    with plain_errors():
        check_config(cfg, Status)
        results, damaged = Path(cfg.results), []
        for name in (named := study_names(cfg)):
            try:
                print(describe_status(Study.load(study_folder(cfg.results, name))))
            except InputError as error:
                damaged.append(str(error))
        if damaged:
            raise InputError("\n".join(damaged))
        if not named:
            _print_latest(results)


def _print_latest(results: Path) -> None:
    """Print the status of the studies and searches in a folder, the latest first; one that is damaged has its line."""
    folders = {path.parent for name in ("study.yaml", "search.yaml") for path in results.glob(f"*/{name}")}
    if not folders:
        raise InputError(f"no study in {results}; train one: {' '.join(TRAIN)} seed=0 experiment=digits")
    latest = sorted(sorted(folders), key=last_active, reverse=True)
    for folder in latest[:MOST_STUDIES]:
        if (folder / "search.yaml").exists():
            n = len(list(folder.glob("trial-*/trial.json")))
            ask = shlex.join(["seedspread", "status", *results_override(folder)])
            print(f"{folder.name}: {n} trial{'s' * (n != 1)}, each a study: {ask}")
            continue
        try:
            print(describe_status(Study.load(folder)))
        except InputError as error:
            print(f"{folder.name}: {error}")
    if (more := len(latest) - MOST_STUDIES) > 0:
        print(f"{more} more: seedspread status study=NAME")
