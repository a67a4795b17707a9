"""Follows a sweep by the records that appear in its folder."""

import os
import sys
import threading
import time
from collections.abc import Callable, Collection, Iterable
from pathlib import Path
from typing import Any, Protocol

from rich.progress import BarColumn, TaskID, TextColumn
from rich.progress import Progress as Bar

from seedspread.config.errors import InputError
from seedspread.records.progress import Progress, format_duration, format_record
from seedspread.records.study import Study

LINES_UP_TO = 50  # seeds; a larger sweep has one line in all
SECONDS_BETWEEN_LINES = 30.0
SECONDS_BETWEEN_POINTS = 15.0  # in TensorBoard, while a sweep runs


class ScorePoints(Protocol):
    """Shows the scores so far somewhere else, as TensorBoard does."""

    def add(self, accuracy: Iterable[float]) -> None: ...

    def close(self) -> None: ...


class SweepMonitor:
    """Follows a sweep by the records that appear in its folder, whoever writes them, and tells how far it is.

    Up to LINES_UP_TO seeds: a line each. More: one line, written anew in a terminal, elsewhere every 30 s at most.
    What `points` opens is given the scores as well, every 15 s at most.
    """

    def __init__(
        self, folder: Path, todo: Collection[int], before: Progress, points: Callable[[], ScorePoints] | None = None
    ) -> None:
        self.folder, self.waiting, self.progress, self._open_points = folder, set(todo), before, points
        self.total = len(before.scores) + len(before.diverged) + len(todo)
        self.began = time.monotonic()
        self.came = 0
        self._each = len(todo) <= LINES_UP_TO
        self._bar = self._live_bar() if sys.stdout.isatty() and not self._each else None
        self._last_line = self._last_point = time.monotonic()
        self._points: ScorePoints | None = None
        self._ended, self._looking = threading.Event(), threading.Lock()
        self._before = self._written()
        self._thread = threading.Thread(target=self._follow, daemon=True)

    def __enter__(self) -> "SweepMonitor":
        if self._bar:
            self._bar.start()
        self._thread.start()
        return self

    def __exit__(self, *_: Any) -> None:
        self._ended.set()
        self._thread.join()
        self._look()
        if self._points:
            self._points.close()
        if self._bar:
            self._bar.stop()

    def _live_bar(self) -> Bar:
        bar = Bar(BarColumn(bar_width=20), TextColumn("{task.fields[line]}"), transient=True)
        bar.add_task("", total=self.total, line=self.folder.name)
        return bar

    def missing(self) -> list[int]:
        """The seeds that have no record of this sweep yet."""
        self._look()
        return sorted(self.waiting)

    def _written(self) -> dict[int, int]:
        """When the records of the seeds that are waited for were written, those of an earlier sweep included."""
        entries = ((entry.name.removesuffix(".json"), entry) for entry in os.scandir(self.folder / "seeds"))
        return {int(s): entry.stat().st_mtime_ns for s, entry in entries if s.isdigit() and int(s) in self.waiting}

    def _follow(self) -> None:
        while not self._ended.wait(0.5):
            self._look()

    def _look(self) -> None:
        """Take in the records that came since the last look."""
        try:
            study = Study.load(self.folder)
        except InputError:
            return  # no worker has opened it yet
        with self._looking:
            for seed, written in sorted(self._written().items()):
                if written != self._before.get(seed) and (record := study.record(seed)):
                    self.waiting.discard(seed)
                    self.came += 1
                    self.progress.add(record)
                    if self._each:
                        print(format_record(record), flush=True)
        if self._open_points and self.progress.scores and time.monotonic() - self._last_point >= SECONDS_BETWEEN_POINTS:
            self._last_point = time.monotonic()
            self._points = self._points or self._open_points()
            self._points.add(self.progress.scores.values())
        if self._bar:
            self._bar.update(TaskID(0), completed=self.total - len(self.waiting), line=self.line())
        elif not self._each and time.monotonic() - self._last_line >= SECONDS_BETWEEN_LINES:
            self._last_line = time.monotonic()
            print(self.line(), flush=True)

    def line(self) -> str:
        """Done of total, the scores so far, rate, time left, failures."""
        elapsed = time.monotonic() - self.began
        rate = self.came / elapsed * 3600
        left = f"{format_duration(len(self.waiting) / rate * 3600)} left" if self.came else "no seed done yet"
        done = f"{self.folder.name}  {self.total - len(self.waiting)}/{self.total}"
        return "  ".join(part for part in (done, self.progress.describe(), f"{rate:.0f} seeds/h", left) if part)
