"""Runs the program of an audit under the tracer, one seed at a time."""

import os
import shlex
import shutil
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from seedspread.audit.trace import Trace
from seedspread.config.errors import InputError
from seedspread.scripts.generators import SEED_VARIABLE
from seedspread.scripts.kept import explain_exit, read_errors, run_kept
from seedspread.scripts.program import FOLDER_VARIABLE, fill

STARTUP = Path(__file__).parent / "startup"  # its sitecustomize.py starts the tracer
# Of the first run and of the second. A set of two texts has one order or the other: of 30 sets as {"train", "val"}
# these two order 28 otherwise, 1 and 2 only 19.
HASH_SEEDS = ("11", "71")


@dataclass(frozen=True)
class Settings:
    """How one run differs from the first."""

    seed: int
    hash_seed: str = HASH_SEEDS[0]
    is_reversed: bool = False  # directories are listed in reverse
    level: str = "steps"  # or modules
    workers: int | None = None  # of every DataLoader
    limit: int | None = None  # steps


@dataclass(frozen=True)
class TracedProgram:
    """A command line with {seed} and {folder} in it; `folder` holds the traces and what it prints."""

    arguments: tuple[str, ...]
    folder: Path
    steps: int
    timeout: float | None = None

    @classmethod
    def of(cls, arguments: Sequence[str], folder: Path, steps: int, timeout: float | None = None) -> "TracedProgram":
        """A program; InputError where there is none of that name."""
        if shutil.which(arguments[0]) is None:
            raise InputError(f"-- {arguments[0]}: no such program")
        return cls(tuple(arguments), folder, steps, timeout)

    def run(self, name: str, settings: Settings, resumes: str | None = None, command: str | None = None) -> Trace:
        """Run it and read its trace; InputError where it fails.

        With `resumes` it has the {folder} of the run of that name, and `command` is what is run instead.
        """
        there = self.folder / name
        shutil.rmtree(there, ignore_errors=True)
        traced, own = there / "trace", (self.folder / (resumes or name) / "output").absolute()
        traced.mkdir(parents=True)
        own.mkdir(exist_ok=True)
        arguments = [fill(one, settings.seed, own) for one in (shlex.split(command) if command else self.arguments)]
        code, late = self.execute(arguments, there, self._environment(settings, traced, own))
        if late or code:
            said = "\n".join(read_errors(there)[-3:])
            reason = f"it ran longer than {self.timeout:g} s" if late else explain_exit(code, [])
            if not late or not list(traced.glob("*.jsonl")):
                raise InputError(f"{shlex.join(arguments)}: {reason}; {there}/stderr.txt ends\n{said}")
        return Trace.read(traced)

    def execute(self, arguments: Sequence[str], folder: Path, environment: dict[str, str]) -> tuple[int, bool]:
        """Run a command line to its end, or to that of its time; its exit code, and whether it was late."""
        return run_kept(arguments, folder, environment, self.timeout)

    def _environment(self, settings: Settings, traced: Path, own: Path) -> dict[str, str]:
        paths = [str(STARTUP.absolute()), *filter(None, [os.environ.get("PYTHONPATH")])]
        found = {
            "PYTHONPATH": os.pathsep.join(paths),
            "PYTHONHASHSEED": os.environ.get("PYTHONHASHSEED", settings.hash_seed),
            "SEEDSPREAD_TRACE": str(traced.absolute()),
            "SEEDSPREAD_TRACE_STEPS": str(settings.limit or self.steps),
            "SEEDSPREAD_TRACE_LEVEL": settings.level,
            "SEEDSPREAD_TRACE_REVERSED": str(int(settings.is_reversed)),
            SEED_VARIABLE: str(settings.seed),
            FOLDER_VARIABLE: str(own),
        }
        return found if settings.workers is None else {**found, "SEEDSPREAD_TRACE_WORKERS": str(settings.workers)}


def is_python_fixed() -> bool:
    """Whether the user's own environment fixes PYTHONHASHSEED."""
    return os.environ.get("PYTHONHASHSEED", "random") != "random" or bool(sys.flags.ignore_environment)
