"""Does your seed do what you think: `seedspread audit -- python their_train.py --seed {seed}`."""

import re
import shlex
import sys
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

import hydra
from omegaconf import DictConfig

from seedspread.audit.audit import audit_program
from seedspread.audit.difference import find_difference
from seedspread.audit.program import TracedProgram
from seedspread.audit.trace import Trace
from seedspread.commands.console import plain_errors
from seedspread.commands.run import parse_seconds
from seedspread.config.check import check_config
from seedspread.config.compose import CONF
from seedspread.config.errors import InputError
from seedspread.config.overrides import override_key
from seedspread.config.schema import Audit
from seedspread.config.streams import check_seed
from seedspread.execution.signals import say
from seedspread.records.files import check_writable
from seedspread.report.audit_page import write_audit
from seedspread.report.audit_words import audit_lines, describe_difference
from seedspread.scripts.program import find_files


def main(arguments: Sequence[str]) -> None:
    """Audit the program that followed the `--` of a command line; exit 1 where its traces show a flaw."""

    @hydra.main(version_base="1.3", config_path=CONF, config_name="audit")
    def run(cfg: DictConfig) -> None:
        with plain_errors():
            check_config(cfg, Audit)
            places = [cfg.traces] if isinstance(cfg.traces, str) else cfg.traces
            has_flaw = _compare_traces(places) if places else _audit(cfg, arguments)
        if has_flaw:
            sys.exit(1)

    run()


def split_training(arguments: Sequence[str]) -> tuple[list[str], list[str]]:
    """Keys of the audit, and the program that trains with the other keys: `seedspread train`, one seed a folder.

    >>> split_training(["steps=20", "experiment=digits"])[0]
    ['steps=20']
    """
    own = [a for a in arguments if a.startswith("-") or override_key(a).split(".")[0] in {*Audit.keys, "hydra"}]
    others = [a for a in arguments if a not in own]
    if not others:
        return own, []
    named = [] if any(override_key(a) == "study" for a in others) else ["study=audit"]
    return own, [sys.executable, "-m", "seedspread", "train", "seed={seed}", "results={folder}", *named, *others]


def _audit(cfg: DictConfig, arguments: Sequence[str]) -> bool:
    if not arguments:
        raise InputError(
            "name a program after --, for example seedspread audit -- python train.py --seed {seed}, or what "
            "seedspread train takes: seedspread audit experiment=digits"
        )
    seeds = [check_seed(seed, "seeds") for seed in cfg.seeds]
    if len(seeds) != 2 or seeds[0] == seeds[1]:
        raise InputError(f"seeds={list(cfg.seeds)}: two that differ, the first is run twice: seeds=[0,1]")
    if not any("{seed}" in argument for argument in arguments):
        say("no {seed} in the command: the program is to find it in SEEDSPREAD_SEED")
    folder = Path(cfg.folder) if cfg.folder else Path(cfg.results, "audits", _name(arguments))
    timeout = None if cfg.timeout is None else parse_seconds(cfg.timeout)
    program = TracedProgram.of(arguments, folder / "runs", cfg.steps, timeout)
    runs: list[str] = []

    def note(line: str) -> None:
        runs.append(line)
        say(line)

    workers = [_check_workers(count) for count in cfg.workers]
    check_writable(folder, "runs", "folder" if cfg.folder else "results")
    found = audit_program(program, (seeds[0], seeds[1]), workers, cfg.resume, note)
    page = write_audit(found, shlex.join(["seedspread", "audit", f"steps={cfg.steps}", "--", *arguments]), runs, folder)
    say("\n" + "\n".join(audit_lines(found)) + f"\npage: {page}")
    return bool(found.alarms)


def _name(arguments: Sequence[str]) -> str:
    """The folder of an audit: the first file of the command, or its experiment, or the module that Python runs."""
    files = [file for file in find_files(arguments) if file.suffix in ("", ".py", ".sh")]
    chosen = [a.partition("=")[2] for a in arguments if a.startswith(("experiment=", "module._target_="))]
    modules = [name for flag, name in pairwise(arguments) if flag == "-m"]
    return re.sub(r"[^A-Za-z0-9_-]+", "_", (*(file.stem for file in files), *chosen, *modules, "program")[0])


def _check_workers(count: object) -> int:
    if not isinstance(count, int) or count < 0:
        raise InputError(f"workers={count}: numbers of DataLoader workers, for example workers=[0,2,4]")
    return count


def _compare_traces(places: Sequence[str]) -> bool:
    """Say where two traces first differ; whether they do."""
    if len(places) != 2:
        raise InputError("traces: two folders, for example traces=[here/trace,there/trace]")
    missing = next((place for place in places if not Path(place).is_dir()), None)
    if missing is not None:
        raise InputError(f"traces: {missing}: no such folder")
    one, other = (Trace.read(Path(place)).main for place in places)
    found = find_difference(one, other)
    say(describe_difference(found, min(one.steps, other.steps), "Two traces"))
    return found is not None
