"""Logs that exist already become a study: `seedspread import lightning_logs/version_* study=old metric.name=val_loss`.

So do files that `seedspread export` wrote: `seedspread import docs/studies/digits.parquet`.

From files alone; neither torch nor Lightning is imported.
"""

import shlex
from collections.abc import Sequence
from pathlib import Path

import hydra
from omegaconf import DictConfig

from seedspread.commands.console import plain_errors
from seedspread.config.check import check_config
from seedspread.config.compose import CONF
from seedspread.config.errors import InputError
from seedspread.config.overrides import results_override, shorten_seeds
from seedspread.config.schema import Import
from seedspread.execution.leases import discard_unused
from seedspread.records.files import check_writable
from seedspread.records.logs.find import LOGS, read_runs
from seedspread.records.logs.imported import Imported, prepare_import, write_import
from seedspread.records.logs.run import name_some
from seedspread.records.logs.table import Wanted
from seedspread.records.metric import Metric
from seedspread.records.progress import summarise_study
from seedspread.records.study import Study, list_studies, study_folder
from seedspread.records.study_file import is_study_file, read_study_file, restore_study
from seedspread.report.study_words import count_noun

SHOWN = 8  # metrics and settings in a line


@hydra.main(version_base="1.3", config_path=CONF, config_name="import")
def main(cfg: DictConfig) -> None:
    """Import the logs or exported studies that `cfg` names, and write the report of a study of logs."""
    with plain_errors():
        check_config(cfg, Import)
        paths = [Path(text).expanduser() for text in cfg.logs]
        if any(exported := [is_study_file(path) for path in paths]):
            if not all(exported):
                other = paths[exported.index(False)]
                what = "is no exported study: import it by itself" if other.exists() else "is not there"
                raise InputError(f"{other} {what}")
            study = _restore(paths, cfg)
        else:
            study, new = import_logs(cfg)
            if new and cfg.report:
                from seedspread.report.study_page import write_report  # noqa: PLC0415 - matplotlib

                print(f"report in {write_report(study)[0]}")
        _suggest(study)


def _restore(paths: Sequence[Path], cfg: DictConfig) -> Study:
    """The last of the studies in these files, all of which are restored; InputError where one cannot be."""
    if cfg.study is not None and len(paths) > 1:
        raise InputError(f"study={cfg.study}: {len(paths)} studies cannot have one name; leave it out")
    for contents in [read_study_file(path) for path in paths]:
        study, new = restore_study(contents, Path(cfg.results), None if cfg.study is None else str(cfg.study))
        known = len(contents.records) - len(new)
        print(summarise_study(study, study.scan()))
        if known:
            print(f"{known:,} of them {'was' if known == 1 else 'were'} there already, with the same results")
    return study


def import_logs(cfg: DictConfig) -> tuple[Study, list[int]]:
    """The study, and the seeds that were not in it before; InputError where a run does not fit, and none is written."""
    if not cfg.logs:
        raise InputError(f"name the logs: seedspread import PATH study=NAME metric.name=METRIC; read are {LOGS}")
    wanted = Wanted(cfg.metric.name, cfg.step, cfg.run, cfg.seed_from)
    format, runs = read_runs(list(cfg.logs), cfg.format, wanted, cfg.mlflow_experiment)
    if cfg.study is None:
        raise InputError("study=?: name the study that the runs become, for example study=old")
    folder = study_folder(cfg.results, cfg.study)
    if cfg.metric.name is None:
        names = list(dict.fromkeys(name for run in runs for name in run.final))
        raise InputError(f"metric.name=?: name what the runs are scored by; they have {name_some(names, 20)}")
    found = prepare_import(runs, format, Metric.of(**cfg.metric), cfg.seed_from, cfg.ignore, cfg.unequal_steps)
    with discard_unused(folder):
        check_writable(folder)
        study = Study.open(folder, found.config, metric=found.metric)
        new = write_import(study, found)
    _describe(study, found, new)
    return study, new


def _describe(study: Study, found: Imported, new: list[int]) -> None:
    print(f"{found.format}: {count_noun(len(found.runs), 'run')}, seed {shorten_seeds(sorted(found.seeds.values))}")
    print(f"seeds: {found.seeds.origin}")
    print(f"metrics: {name_some(found.metrics, SHOWN)}")
    if settings := [f"{key}={value}" for key, value in found.settings.items()]:
        print(f"settings that all share: {name_some(settings, SHOWN)}")
    if known := len(found.runs) - len(new):
        print(f"{known:,} of them {'is' if known == 1 else 'are'} in {study.name} already, with the same values")
    print(f"\n{summarise_study(study, study.scan())}")
    print(study.origin)


def _suggest(study: Study) -> None:
    results = study.folder.parent
    where = results_override(results)
    others = [name for name in list_studies(results) if name != study.name]
    other = others[0] if len(others) == 1 else "OTHER"
    print(f"next: {shlex.join(['seedspread', 'report', f'study={study.name}', *where])}")
    compare = ["seedspread", "compare", f"baseline={study.name}", f"candidate={other}", *where]
    print(f"      {shlex.join(compare)}   # is another study better")
