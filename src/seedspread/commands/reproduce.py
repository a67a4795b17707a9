"""Train recorded seeds again and compare every bit: `seedspread reproduce study=digits seed=3`."""

import shlex
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

import hydra
import numpy as np
from omegaconf import DictConfig

from seedspread.audit.difference import find_difference
from seedspread.audit.trace import Trace
from seedspread.commands.console import plain_errors
from seedspread.config.check import check_config
from seedspread.config.compose import CONF
from seedspread.config.errors import InputError
from seedspread.config.extras import check_train_extra
from seedspread.config.identity import find_differences
from seedspread.config.schema import Reproduce
from seedspread.records.record import Status
from seedspread.records.study import Study, study_folder
from seedspread.report.audit_words import describe_difference
from seedspread.scripts.program import Program
from seedspread.scripts.script import FailedError
from seedspread.scripts.worker import run_seed
from seedspread.training.reproduction import (  # noqa: TID253 - imports torch only where it trains
    Reproduction,
    compare_records,
    reproduce,
)


@hydra.main(version_base="1.3", config_path=CONF, config_name="reproduce")
def main(cfg: DictConfig) -> None:
    """Reproduce the seeds that `cfg` names and say what came of it; exit 1 where one differs."""
    with plain_errors():
        check_config(cfg, Reproduce)
        if cfg.study is None or (cfg.seed is None) == (cfg.n is None):
            raise InputError("name a study and a seed, or how many: study=digits seed=3, or study=digits n=5")
        study = Study.load(study_folder(cfg.results, cfg.study))
        if "function" in study.config:
            raise InputError(
                f"study={study.name}: its seeds are of a Python function, which only its caller has; call "
                f"ss.sweep(..., study='{study.name}_again') with the same seeds, and compare the two"
            )
        if study.is_imported:
            raise InputError(
                f"study={study.name}: it was imported from logs, which do not say how to train a seed again"
            )
        of_program = "command" in study.config
        if not of_program:
            check_train_extra()
        if cfg.n is None:
            seeds = [cfg.seed]
        else:
            there = [seed for seed, record in study.scan().records.items() if record.status != Status.FAILED]
            if not there:
                raise InputError(f"n={cfg.n}: {study.folder} has no seed with a result; seedspread status says more")
            if cfg.n > len(there):
                raise InputError(f"n={cfg.n}: {study.folder} has {len(there)} recorded seeds; choose 1 to {len(there)}")
            seeds = sorted(np.random.default_rng().choice(there, cfg.n, replace=False).tolist())
        different, places = 0, [cfg["with"]] if isinstance(cfg["with"], str) else list(cfg["with"] or [])
        for seed in seeds:
            if cfg.locate:
                lines, differs = _locate(study, seed, places)
            else:
                found = _run_again(study, seed) if of_program else reproduce(study, seed, places)
                lines, differs = found.describe(seed), bool(found.differing)
            print(lines, flush=True)
            different += differs
    if different:
        sys.exit(1)


def _locate(study: Study, seed: int, places: list[str]) -> tuple[str, bool]:
    """Train a seed again, and say where it first differs: from the trace that it kept, else from a second run now."""
    if "command" in study.config:
        typed = shlex.join(study.config["command"])
        raise InputError(
            f"study={study.name}: its seeds are of a program: seedspread audit 'seeds=[{seed},{seed + 1}]' -- {typed}"
        )
    kept = study.trace_path(seed)
    with TemporaryDirectory() as scratch:
        one = kept if kept.is_dir() else Path(scratch, "one")
        if one != kept:
            reproduce(study, seed, places, one)
        found = reproduce(study, seed, places, Path(scratch, "other"))
        before, now = (Trace.read(folder).main for folder in (one, Path(scratch, "other")))
        difference = find_difference(before, now)
    what = "its trace and now" if one == kept else "two runs now"
    said = describe_difference(difference, min(before.steps, now.steps), what)
    differs = bool(found.differing) or difference is not None
    return "\n  ".join([found.describe(seed), said]), differs


def _run_again(study: Study, seed: int) -> Reproduction:
    """Run the program of a recorded seed again in a temporary folder, from the working folder, and compare."""
    before = study.record(seed)
    if before is None or before.status == Status.FAILED:
        raise InputError(f"seed={seed}: {study.folder} has no result of it; seedspread status says more")
    program = Program.recorded(study.config, study.metric)
    with TemporaryDirectory() as scratch:
        try:
            now = run_seed(program, Path(scratch, study.name), seed, "")
        except FailedError as error:
            raise InputError(f"seed {seed} fails now: {error.reason}") from error
    found = compare_records(before, now, study.metric)
    changed = find_differences(study.config, program.identity) if found.differing else []
    found.reasons[:0] = [f"{key}: {old} recorded, {new} now" for key, old, new in changed]
    return found
