"""`results/index.html`: every study of a folder of results, from the summary that its report left.

No record is read: of a study's seeds only the names are listed, so that 100 studies of 10,000 seeds take seconds.
"""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import quote

from seedspread.execution.leases import is_in_use
from seedspread.records.files import write_atomically
from seedspread.records.requests import asked_seeds, stop_reason
from seedspread.report.document import render_page
from seedspread.report.summary import FILE, Summary

MARK = '<meta name="generator" content="seedspread">'  # a page without it is somebody else's
ROUNDS = 5
WIDTH, HEIGHT = 120, 32  # of a sparkline


@dataclass(frozen=True)
class PageLink:
    text: str
    address: str


@dataclass(frozen=True)
class Row:
    """A study, or another folder with pages."""

    name: str
    pages: list[PageLink]
    seeds: int = 0
    status: str = ""
    summary: Summary | None = None

    @property
    def address(self) -> str:
        """Its report, or its first page; empty where it has none."""
        first = sorted(self.pages, key=lambda page: page.text != "report")
        return first[0].address if first else ""

    @property
    def left_out(self) -> int:
        """Seeds whose record is newer than the report."""
        return max(self.seeds - self.summary.records, 0) if self.summary else 0

    @property
    def other_pages(self) -> list[PageLink]:
        return [page for page in self.pages if page.address != self.address]

    @property
    def shapes(self) -> dict[str, str]:
        """The sparkline: the points of its range, its ± 1 std band and its mean, as SVG has them."""
        if self.summary is None or len(self.summary.curve.points) < 2:
            return {}
        band = self.summary.curve
        low, left = min(band.min), band.points[0]
        tall, wide = max(band.max) - low or 1.0, band.points[-1] - left or 1.0

        def line(values: Sequence[float]) -> list[str]:
            places = zip(band.points, values, strict=True)
            return [
                f"{WIDTH * (x - left) / wide:.1f},{1 + (HEIGHT - 2) * (1 - (y - low) / tall):.1f}" for x, y in places
            ]

        shapes = {"range": line(band.max) + line(band.min)[::-1], "std": line(band.high) + line(band.low)[::-1]}
        return {name: " ".join(points) for name, points in (shapes | {"mean": line(band.mean)}).items()}


def write_index(results: Path) -> Path | None:
    """Write the index of a folder of results; None where an index.html stands there that is not ours.

    Of reports that end at once each writes an index: one that replaced a newer one sees the newer summary, and writes
    again.
    """
    page = results / "index.html"
    if page.exists() and MARK not in page.read_text(errors="replace")[:1000]:
        return None
    for _ in range(ROUNDS):
        seen = _summaries(results)
        write_atomically(page, render_index(results).encode())
        if _summaries(results) == seen:
            break
    return page


def _summaries(results: Path) -> dict[str, tuple[int, int]]:
    """The summaries that there are, as they are."""
    found = {}
    for path in results.glob(f"*/report/{FILE}"):
        try:
            known = path.stat()
        except OSError:
            continue  # just replaced, or removed
        found[str(path)] = known.st_mtime_ns, known.st_ino
    return found


def render_index(results: Path) -> str:
    """The page, of what lies in the folder now."""
    folders = sorted((Path(entry) for entry in os.scandir(results) if _is_shown(entry)), key=lambda at: at.name.lower())
    rows = [_row(folder) for folder in folders]
    studies = [row for row in rows if row.status]
    now = f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC"
    others = [row for row in rows if not row.status and row.pages]
    return render_page("index.html.j2", studies=studies, others=others, now=now, width=WIDTH, height=HEIGHT)


def _is_shown(entry: os.DirEntry[str]) -> bool:
    return not entry.name.startswith(".") and entry.is_dir()


def _row(folder: Path) -> Row:
    pages = _pages(folder)
    if not (folder / "study.yaml").exists():
        return Row(folder.name, pages)
    summary = Summary.read(folder / "report")
    there = _recorded(folder)
    return Row(folder.name, pages, len(there), describe_state(folder, there, summary), summary)


def _pages(folder: Path) -> list[PageLink]:
    """The pages of a folder by the name of what they are: report, luck, agreement, report-val_loss."""
    found = [PageLink("page", f"{quote(folder.name)}/index.html")] if (folder / "index.html").exists() else []
    for entry in sorted(os.scandir(folder), key=lambda entry: entry.name):
        if _is_shown(entry) and (Path(entry) / "index.html").exists():
            found.append(PageLink(entry.name, f"{quote(folder.name)}/{quote(entry.name)}/index.html"))
    return found


def _recorded(folder: Path) -> set[int]:
    """The seeds that have a record, by the names of the files."""
    try:
        names = [entry.name for entry in os.scandir(folder / "seeds")]
    except OSError:
        return set()
    return {int(name[:-5]) for name in names if name.endswith(".json") and name[:-5].isdigit()}


def describe_state(folder: Path, there: set[int], summary: Summary | None) -> str:
    """complete, running, stopped or interrupted, with the seeds that are there of those asked for, and what failed."""
    asked = set(asked_seeds(folder))
    if asked <= there:
        state = "complete" if there else "no seed yet"
    elif is_in_use(folder):
        state = "running"
    elif reason := stop_reason(folder):
        state = f"stopped: {reason}"
    else:
        state = "interrupted"
    parts = [state]
    if asked - there:
        parts.append(f"{len(asked & there):,} of {len(asked):,} seeds")
    if summary is None:
        parts.append("to be reported")
    else:
        parts += [f"{n:,} {what}" for n, what in ((summary.diverged, "diverged"), (summary.failed, "failed")) if n]
        if len(there) > summary.records:
            parts.append(f"report of {summary.records:,}")
    return ", ".join(parts)
