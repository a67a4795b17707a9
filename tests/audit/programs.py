"""The gallery's programs, and how a test audits one: in forks of a process that has imported torch."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from seedspread.audit.audit import Audit, audit_program
from seedspread.audit.program import STARTUP, TracedProgram

GALLERY = Path(__file__).parent / "gallery"


class Zygotes:
    """Processes that fork programs, one for each PYTHONHASHSEED, which forks inherit."""

    def __init__(self) -> None:
        self._processes: dict[str, subprocess.Popen[str]] = {}

    def run(self, arguments: Sequence[str], folder: Path, environment: dict[str, str]) -> int:
        process = self._find(environment["PYTHONHASHSEED"])
        assert process.stdin and process.stdout
        request = {"arguments": list(arguments), "folder": str(folder), "environment": environment}
        process.stdin.write(json.dumps({**request, "startup": str(STARTUP)}) + "\n")
        process.stdin.flush()
        return int(process.stdout.readline())

    def end(self) -> None:
        for process in self._processes.values():
            assert process.stdin
            process.stdin.close()
            process.wait()

    def _find(self, hash_seed: str) -> subprocess.Popen[str]:
        if hash_seed not in self._processes:
            self._processes[hash_seed] = subprocess.Popen(
                [sys.executable, str(Path(__file__).with_name("zygote.py"))],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
                env={**os.environ, "PYTHONHASHSEED": hash_seed},
            )
        return self._processes[hash_seed]


@dataclass(frozen=True)
class ForkedProgram(TracedProgram):
    zygotes: Zygotes | None = None

    def execute(self, arguments: Sequence[str], folder: Path, environment: dict[str, str]) -> tuple[int, bool]:
        assert self.zygotes
        return self.zygotes.run(arguments, folder, environment), False


def command_of(path: Path) -> list[str]:
    """The command line that audits a program, by how it takes its seed."""
    text = path.read_text()
    if "os.environ" in text:
        return ["env", "SEED={seed}", sys.executable, str(path)]
    option = ["--seed"] if '"--seed"' in text else []
    folder = ["{folder}"] if "sys.argv[2]" in text else []
    return [sys.executable, str(path), *option, "{seed}", *folder]


def expected_kind(path: Path) -> str:
    """What the audit should find, as the program's first text says."""
    found = re.search(r"^expected: (\S+)$", path.read_text(), re.MULTILINE)
    assert found, path
    return found[1]


def expected_cause(path: Path) -> str:
    """What the likely cause should contain, where the program's first text says."""
    found = re.search(r"^likely: (.+)$", path.read_text(), re.MULTILINE)
    return found[1] if found else ""


def audit(path: Path, folder: Path, zygotes: Zygotes, steps: int = 60, workers: Sequence[int] = ()) -> Audit:
    """The audit of a program."""
    command = command_of(path)
    resume = " ".join([*command, "--resume"]) if "--resume" in path.read_text() else None
    program = ForkedProgram(tuple(command), folder, steps, zygotes=zygotes)
    return audit_program(program, workers=workers, resume=resume)
