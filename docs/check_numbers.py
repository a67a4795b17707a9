"""Check docs/numbers.md: each number is what its command says of the published studies, and stands in the pages named.

    python docs/check_numbers.py

In numbers.md a heading is a command, and its table lists numbers. Commands run on the studies of docs/studies/,
restored into a temporary folder.
"""

import re
import shlex
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from seedspread.records.study_file import read_study_file, restore_study

DOCS = Path(__file__).resolve().parent
NUMBERS = DOCS / "numbers.md"
PLAIN = str.maketrans("", "", "*`|\\")  # what Markdown adds


def read_numbers() -> dict[str, list[tuple[str, list[str]]]]:
    """By heading: the numbers of its table, and the pages of each."""
    found: dict[str, list[tuple[str, list[str]]]] = {}
    for line in NUMBERS.read_text().splitlines():
        if line.startswith("## "):
            rows = found.setdefault(line.removeprefix("## ").strip("`"), [])
        elif line.startswith("| ") and not line.startswith("| number"):
            number, places = (cell.strip() for cell in line.strip("| ").split(" | ")[:2])
            rows.append((number, re.findall(r"\]\(([^)]+)\)", places)))
    return found


def run(arguments: Sequence[str], folder: Path) -> str:
    """What `seedspread ARGUMENTS` prints in `folder`."""
    command = [sys.executable, "-m", "seedspread", *arguments]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    if done.returncode == 1:  # others are verdicts of decide
        sys.exit(f"{shlex.join(command)}: {done.stderr.strip()}")
    return done.stdout


def check(run: Callable[[Sequence[str], Path], str], folder: Path) -> Iterator[str]:
    """What is wrong with a number of docs/numbers.md, for each that is; `folder` is empty."""
    for path in sorted((DOCS / "studies").glob("*.parquet")):
        restore_study(read_study_file(path), folder / "results")
    for heading, rows in read_numbers().items():
        said = _plain(run(shlex.split(heading)[1:], folder) + _pages(folder))
        for number, places in rows:
            if _plain(number) not in said:
                yield f"{number}: not what {heading} says"
            for place in places:
                if _plain(number) not in _plain((DOCS / place).read_text()):
                    yield f"{number}: not in {place}"


def _pages(folder: Path) -> str:
    """The pages that a command wrote, which are then removed: the next one writes its own."""
    pages = list(folder.rglob("*.md"))
    texts = [page.read_text() for page in pages]
    for page in pages:
        page.unlink()
    return "\n".join(texts)


def _plain(text: str) -> str:
    """`text` without Markdown, each gap one space."""
    return " ".join(text.translate(PLAIN).split())


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        wrong = list(check(run, Path(folder)))
    print("\n".join(wrong) or f"{sum(map(len, read_numbers().values()))} numbers are as docs/numbers.md says")
    sys.exit(bool(wrong))
