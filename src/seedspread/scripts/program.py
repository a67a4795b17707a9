"""A program as a script: `python their_train.py --seed {seed}`, and where its metrics are read."""

import hashlib
import os
import shlex
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

from seedspread.config.errors import InputError
from seedspread.records.metric import Metric
from seedspread.scripts.generators import SEED_VARIABLE
from seedspread.scripts.kept import explain_exit, read_errors, run_kept
from seedspread.scripts.output import Places, list_files, read_output
from seedspread.scripts.recorder import RECORD_VARIABLE, Recorder
from seedspread.scripts.script import THREAD_VARIABLES, FailedError

FOLDER_VARIABLE = "SEEDSPREAD_FOLDER"


@dataclass(frozen=True)
class Program:
    """A command line with `{seed}` and `{folder}` in it; both are in the program's environment as well."""

    arguments: tuple[str, ...]
    typed: tuple[str, ...]  # the keys of the command that runs it, without the seed
    files: tuple[str, ...]  # named by the command line, and not written by the program
    metric: Metric | None
    threads: int
    places: Places
    timeout: float | None  # seconds

    @classmethod
    def of(
        cls,
        arguments: Sequence[str],
        typed: Sequence[str],
        metric: Metric | None,
        threads: int,
        places: Places,
        timeout: float | None = None,
    ) -> "Program":
        """A program and the files that its command line names; InputError where there is no such program."""
        if shutil.which(arguments[0]) is None:
            raise InputError(f"-- {arguments[0]}: no such program")
        files = tuple(str(file) for file in find_files(arguments) if str(file) != places.file)
        return cls(tuple(arguments), tuple(typed), files, metric, threads, places, timeout)

    @classmethod
    def recorded(cls, config: Mapping[str, Any], metric: Metric) -> "Program":
        """The program of a study with this config, with the files as they are now."""
        places = Places(**{name: config[name] for name in ("file", "regex", "events") if name in config})
        return cls.of(config["command"], [], metric, config["threads"], places).joining(config)

    @property
    def identity(self) -> Mapping[str, Any]:
        """Command line, the files that it names by their SHA-256 as they are now, where metrics are."""
        return {
            "command": list(self.arguments),
            "files": {file: _hash_file(Path(file)) for file in self.files if Path(file).is_file()},
            "threads": self.threads,
            **self.places.stored(),
        }

    def joining(self, config: Mapping[str, Any]) -> "Program":
        """The program in a study with this config: a file that was not there before its first seed is written by it."""
        counted = config.get("files", {})
        return replace(self, files=tuple(file for file in self.files if file in counted))

    def run(self, seed: int, recorder: Recorder, folder: Path) -> None:
        """Run the program and read its metrics. Raises FailedError for its exit code, a signal or the time limit."""
        recorded = _make_empty(folder)
        try:
            before = list_files(self.places, lambda text: fill(text, seed, folder))
            self._execute(seed, folder, recorded)
            if not recorder.read_folder(recorded) or self.places.are_named:
                name = self.metric.name if self.metric else "value"
                read_output(recorder, self.places, folder, lambda text: fill(text, seed, folder), before, name)
        finally:
            shutil.rmtree(recorded, ignore_errors=True)

    def _execute(self, seed: int, folder: Path, recorded: Path) -> None:
        """Run the program to its end, or to that of its time. Raises FailedError."""
        arguments = [fill(argument, seed, folder) for argument in self.arguments]
        code, late = run_kept(arguments, folder, self._environment(seed, folder, recorded), self.timeout)
        said = read_errors(folder)
        if late or code:
            reason = f"timeout: it ran longer than {self.timeout:g} s" if late else explain_exit(code, said)
            raise FailedError(reason, "\n".join([shlex.join(self.arguments), *said, reason, ""]))

    def _environment(self, seed: int, folder: Path, recorded: Path) -> dict[str, str]:
        fixed = {"PYTHONHASHSEED": os.environ.get("PYTHONHASHSEED", "0"), "PYTHONUNBUFFERED": "1"}
        own = {SEED_VARIABLE: str(seed), RECORD_VARIABLE: str(recorded), FOLDER_VARIABLE: str(folder)}
        return {**fixed, **own, **dict.fromkeys(THREAD_VARIABLES, str(self.threads))}

    def command(self, seed: int) -> str:
        """The command that runs this seed again."""
        return shlex.join(["seedspread", "run", f"seed={seed}", *self.typed, "--", *self.arguments])

    def type_metric(self, **keys: str) -> str:
        """Keys of `seedspread run`: `metric.name=acc metric.unit=percent`."""
        return " ".join(f"metric.{key}={value}" for key, value in keys.items())

    def packages(self) -> dict[str, str | None]:
        """None: the program has an environment of its own."""
        return {}


def _make_empty(folder: Path) -> Path:
    """Take the output of an earlier run out of `folder`; return a new folder in it, for what the program records.

    A program whose worker was killed may still write for some seconds: into files and a folder that have no name.
    """
    for old in folder.glob("record-*"):
        shutil.rmtree(old, ignore_errors=True)
    for name in ("stdout.txt", "stderr.txt"):
        (folder / name).unlink(missing_ok=True)
    folder.mkdir(parents=True, exist_ok=True)
    return Path(tempfile.mkdtemp(prefix="record-", dir=folder))


def fill(text: str, seed: int, folder: Path) -> str:
    """`text` with the seed and the folder of its output in place of {seed} and {folder}."""
    return text.replace("{seed}", str(seed)).replace("{folder}", str(folder))


def find_files(arguments: Sequence[str]) -> list[Path]:
    """The files that a command line names, also as --config=PATH; an interpreter outside the working folder is none."""
    found = []
    for i, argument in enumerate(arguments):
        for text in (argument, argument.partition("=")[2]):
            path = Path(text)
            try:
                if not text or not path.is_file():
                    continue
            except OSError:  # a text too long for a name
                continue
            if i or path.resolve().is_relative_to(Path.cwd().resolve()):
                found.append(path)
                break
    return list(dict.fromkeys(found))


def _hash_file(path: Path) -> str:
    there = path.stat()
    return _hash_version(path, there.st_mtime_ns, there.st_size)


@cache
def _hash_version(path: Path, modified: int, size: int) -> str:
    """SHA-256 of a file that may be large and is asked for with each seed: read again where it was written again."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()[:12]
