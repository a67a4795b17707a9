"""Follows a sweep by the files that appear in its folder, whoever writes them."""

import os
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Collection, Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, Protocol

from rich.progress import BarColumn, TaskID, TextColumn
from rich.progress import Progress as Bars

from seedspread.config.errors import InputError
from seedspread.execution.leases import read_leases
from seedspread.execution.notebook import ROWS, NotebookTable, in_notebook
from seedspread.execution.signals import say
from seedspread.records.progress import Progress, format_duration, format_record
from seedspread.records.study import Study

LINES_UP_TO = 50  # seeds; a larger sweep has a single line
SECONDS_BETWEEN_LINES = 30.0
SECONDS_BETWEEN_POINTS = 15.0  # in TensorBoard, while a sweep runs
SECONDS_BETWEEN_LOOKS = 0.5  # for the records of other sweeps; more where a look takes long
MOST_BARS = 16  # running seeds that have a bar of their own


class ScorePoints(Protocol):
    """Receives the scores so far while a sweep runs, for TensorBoard."""

    def add(self, scores: Iterable[float]) -> None: ...

    def close(self) -> None: ...


def format_progress(progress: Mapping[str, float]) -> str:
    """How far a running seed is: `epoch 3/20  loss 0.412  40 s left`, without epochs its steps; empty where its heart
    has not said.
    """
    if not progress.get("done"):
        return ""
    unit = "epoch" if "epoch" in progress else "step"
    parts = [f"{unit} {progress[unit]:,.0f}/{progress[f'{unit}s']:,.0f}"]
    parts += [f"loss {progress['loss']:.3f}"] if "loss" in progress else []
    parts.append(f"{format_duration(progress['seconds'] * (1 / progress['done'] - 1))} left")
    return "  ".join(parts)


def _identify(file: os.DirEntry[str] | Path) -> tuple[int, int] | None:
    """What changes when another file takes its place: modification time in ns, and inode; None where it has gone."""
    try:
        stat = file.stat()
    except FileNotFoundError:  # a damaged record moves away before the new one comes
        return None
    return stat.st_mtime_ns, stat.st_ino


class SweepMonitor:
    """Follows a sweep by the records and hearts in its folder, and prints its progress.

    Up to LINES_UP_TO seeds: a line each. More, or `quiet`: one line, every 30 s at most. In a notebook a table. In a
    terminal also a bar for the sweep and one for each running seed that takes longer than a heartbeat. The object that
    `points` opens gets the scores as well, every 15 s at most. `new_records` counts those written since the start.
    """

    def __init__(
        self,
        folder: Path,
        todo: Collection[int],
        before: Progress,
        points: Callable[[], ScorePoints] | None = None,
        quiet: bool = False,
        overwrite: bool = False,
    ) -> None:
        """A result that is there now is another sweep's, published since `todo` was found; not so with `overwrite`."""
        self.folder, self.waiting, self.progress, self._open_points = folder, set(todo), before, points
        self.total = len(before.scores) + len(before.diverged) + len(todo)
        self.started = time.monotonic()
        self.new_records = 0
        self._each = len(todo) <= LINES_UP_TO and not quiet
        self._bars = Bars(BarColumn(bar_width=20), TextColumn("{task.fields[line]}"), transient=True)
        self._sweep: TaskID | None = None
        self._seeds: dict[int, TaskID] = {}
        self._last_line = self._last_point = time.monotonic()
        self._points: ScorePoints | None = None
        self._table = NotebookTable() if in_notebook() else None
        self._lines: deque[str] = deque(maxlen=ROWS)
        self._study: Study | None = None
        self._ended, self._reading = threading.Event(), threading.Lock()
        self._before = self._find_records()
        if self._before and not overwrite:
            study = Study.load(folder)
            self._before = {seed: found for seed, found in self._before.items() if not study.is_done(seed)}
        self._thread = threading.Thread(target=self._follow, daemon=True)

    def __enter__(self) -> "SweepMonitor":
        if sys.stdout.isatty():
            self._bars.start()
            self._sweep = self._bars.add_task("", total=self.total, line=self.folder.name)
        self._thread.start()
        return self

    def __exit__(self, *_: Any) -> None:
        self._ended.set()
        self._thread.join()
        self.look()
        if self._points:
            self._points.close()
        if self._sweep is not None:
            with suppress(OSError):  # the terminal was closed
                self._bars.stop()

    def is_recorded(self, seed: int) -> bool:
        """Whether `seed` has a record of this sweep, or of another that runs now."""
        return seed not in self.waiting

    def _find_records(self) -> dict[int, tuple[int, int] | None]:
        """What stands in the places of the records of awaited seeds."""
        found = {}
        with os.scandir(self.folder / "seeds") as entries:
            for entry in entries:
                name = entry.name.removesuffix(".json")
                if name.isdigit() and int(name) in self.waiting:
                    found[int(name)] = _identify(entry)
        return found

    def _follow(self) -> None:
        pause = SECONDS_BETWEEN_LOOKS
        while not self._ended.wait(pause):
            began = time.monotonic()
            with suppress(OSError):  # a server away for a while: the next look may succeed
                self.look()
            pause = max(SECONDS_BETWEEN_LOOKS, 20 * (time.monotonic() - began))

    def look(self) -> None:
        """Read the records written since the last look, and show how far the sweep is."""
        self.read_records(sorted(self._find_records()))
        if self._open_points and self.progress.scores and time.monotonic() - self._last_point >= SECONDS_BETWEEN_POINTS:
            self._last_point = time.monotonic()
            self._points = self._points or self._open_points()
            self._points.add(self.progress.scores.values())
        if self._sweep is not None:
            self._draw_bars(self._sweep)
        elif self._table:
            self._table.update(self.line(), self._lines)
        elif not self._each and time.monotonic() - self._last_line >= SECONDS_BETWEEN_LINES:
            self._last_line = time.monotonic()
            say(self.line())

    def read_records(self, seeds: Iterable[int]) -> None:
        """Take in the records of awaited `seeds`."""
        try:
            self._study = self._study or Study.load(self.folder)
        except InputError:
            return  # no worker has created it yet
        self.progress.metric = self._study.metric
        with self._reading:
            for seed in seeds:
                if seed not in self.waiting:
                    continue
                if seed in self._before and _identify(self._study.record_path(seed)) == self._before[seed]:
                    continue
                if record := self._study.record(seed):
                    self.waiting.discard(seed)
                    self.new_records += 1
                    self.progress.add(record)
                    self._lines.append(format_record(record, self._study.metric))
                    if self._each and not self._table:
                        say(self._lines[-1])

    def _draw_bars(self, sweep: TaskID) -> None:
        self._bars.update(sweep, completed=self.total - len(self.waiting), line=self.line())
        leases = [lease for lease in read_leases(self.folder) if lease.progress.get("done")][:MOST_BARS]
        for seed in self._seeds.keys() - {lease.seed for lease in leases}:
            self._bars.remove_task(self._seeds.pop(seed))
        for lease in leases:
            if lease.seed not in self._seeds:
                self._seeds[lease.seed] = self._bars.add_task("", total=1.0, line="")
            line = f"seed {lease.seed:>4}  {format_progress(lease.progress)}"
            self._bars.update(self._seeds[lease.seed], completed=lease.progress["done"], line=line)

    def line(self) -> str:
        """Seeds done of the total, scores, failures, rate and time left."""
        elapsed = time.monotonic() - self.started
        rate = self.new_records / elapsed * 3600
        left = f"{format_duration(len(self.waiting) / rate * 3600)} left" if self.new_records else "no seed done yet"
        done = f"{self.folder.name}  {self.total - len(self.waiting)}/{self.total}"
        return "  ".join(part for part in (done, self.progress.describe(), f"{rate:.0f} seeds/h", left) if part)
