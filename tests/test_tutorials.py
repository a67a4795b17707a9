"""docs/tutorials: in an empty folder each file is saved and each command is run, and prints what the page shows."""

import os
import re
import shlex
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.processes import Command

TUTORIALS = Path(__file__).parents[1] / "docs" / "tutorials"
PAGES = sorted(
    set(TUTORIALS.glob("*.md")) - {TUTORIALS / "cluster.md"}
)  # that one tests/execution/test_cluster.py runs
# Blocks of other languages, such as `sh`, are not run: they need ImageNet, a GPU or hours.
BLOCK = re.compile(r"^```(python|yaml|bash|text)\n(.*?)^```", re.MULTILINE | re.DOTALL)
NAME = re.compile(r"(?:# @package \w+\n)?# ([\w/]+\.(?:py|yaml))\n")
NUMBER = re.compile(r"[-+]?\d[\d,.]*\d|[-+]?\d")
EXIT_CODE = '; echo "exit code $?"'


def mask(line: str) -> str:
    """A line without its numbers, which depend on the processor."""
    return " ".join(NUMBER.sub("#", line).split())


def split_command(line: str) -> tuple[str, list[str]]:
    """The module that a command line starts, and its arguments."""
    program, *arguments = shlex.split(line, comments=True)
    if program == "seedspread":
        return program, arguments
    assert program == "python" and arguments[0].endswith(".py"), f"no way to run this: {line}"
    return arguments[0].removesuffix(".py"), arguments[1:]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_tutorials_run(page, tmp_path, start, monkeypatch):
    run_page(page, tmp_path, start, monkeypatch)


def run_page(page: Path, tmp_path: Path, start: Callable[..., Command], monkeypatch: pytest.MonkeyPatch) -> None:
    """Save the files of a tutorial, run its commands, and look for the lines that it shows."""
    monkeypatch.setenv("PATH", f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("PYTHONPATH", str(page.parents[2] / "src"))
    folder = tmp_path / "mine"
    folder.mkdir()
    printed: list[str] = []
    for number, (language, block) in enumerate(BLOCK.findall(page.read_text())):
        name = NAME.match(block)
        if language == "text":
            for line in block.splitlines():
                assert any(mask(line) in other for other in printed), f"not printed: {line}\n" + "\n".join(printed)
        elif name:
            (folder / name[1]).parent.mkdir(parents=True, exist_ok=True)
            (folder / name[1]).write_text(block)
        else:
            assert language != "yaml", "a file has its name in the first line"
            if language == "python":
                (folder / f"block{number}.py").write_text(block)
                block = f"python block{number}.py"
            printed = []
            for line in block.replace("\\\n", " ").splitlines():
                module, arguments = split_command(line.removesuffix(EXIT_CODE))
                process = start(module, *arguments, cwd=folder)
                out, err = process.communicate()
                assert process.returncode == 0 or line.endswith(EXIT_CODE), out + err
                printed += [mask(line) for line in [*(out + err).splitlines(), f"exit code {process.returncode}"]]
