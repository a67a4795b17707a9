"""The gallery's programs, and how a test audits one: in forks of a process that has imported torch."""

import json
import re
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from seedspread.audit.audit import Audit, audit_program
from seedspread.audit.program import STARTUP, TracedProgram

GALLERY = Path(__file__).parent / "gallery"


class Zygote:
    """A process that forks programs."""

    def __init__(self) -> None:
        command = [sys.executable, str(Path(__file__).with_name("zygote.py"))]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def run(self, arguments: Sequence[str], folder: Path, environment: dict[str, str]) -> int:
        assert self._process.stdin and self._process.stdout
        request = {"arguments": list(arguments), "folder": str(folder), "environment": environment}
        self._process.stdin.write(json.dumps({**request, "startup": str(STARTUP)}) + "\n")
        self._process.stdin.flush()
        return int(self._process.stdout.readline())

    def end(self) -> None:
        assert self._process.stdin
        self._process.stdin.close()
        self._process.wait()


@dataclass(frozen=True)
class ForkedProgram(TracedProgram):
    zygote: Zygote | None = None

    def execute(self, arguments: Sequence[str], folder: Path, environment: dict[str, str]) -> tuple[int, bool]:
        assert self.zygote
        return self.zygote.run(arguments, folder, environment), False


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


def audit(path: Path, folder: Path, zygote: Zygote | None, steps: int = 60, workers: Sequence[int] = ()) -> Audit:
    """The audit of a program; without a zygote in processes of its own."""
    command = command_of(path)
    resume = " ".join([*command, "--resume"]) if "--resume" in path.read_text() else None
    if zygote is None:
        program = TracedProgram.of(command, folder, steps)
    else:
        program = ForkedProgram(tuple(command), folder, steps, zygote=zygote)
    return audit_program(program, workers=workers, resume=resume)
