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

LINES_UP_TO = 50  # seeds; a larger sweep has a single line
SECONDS_BETWEEN_LINES = 30.0
SECONDS_BETWEEN_POINTS = 15.0  # in TensorBoard, while a sweep runs


class ScorePoints(Protocol):
    """Receives the scores so far while a sweep runs, for TensorBoard."""

    def add(self, accuracy: Iterable[float]) -> None: ...

    def close(self) -> None: ...


class SweepMonitor:
    """Follows a sweep by the records that appear in its folder, whoever writes them, and prints its progress.

    Up to LINES_UP_TO seeds: a line each. More: one line, rewritten in a terminal, elsewhere every 30 s at most. The
    object that `points` opens gets the scores as well, every 15 s at most. `new_records` counts the records written
    since the start.
    """

    def __init__(
        self, folder: Path, todo: Collection[int], before: Progress, points: Callable[[], ScorePoints] | None = None
    ) -> None:
        self.folder, self.waiting, self.progress, self._open_points = folder, set(todo), before, points
        self.total = len(before.scores) + len(before.diverged) + len(todo)
        self.started = time.monotonic()
        self.new_records = 0
        self._each = len(todo) <= LINES_UP_TO
        self._bar = self._build_bar() if sys.stdout.isatty() and not self._each else None
        self._last_line = self._last_point = time.monotonic()
        self._points: ScorePoints | None = None
        self._ended, self._reading = threading.Event(), threading.Lock()
        self._before = self._write_times()
        self._thread = threading.Thread(target=self._follow, daemon=True)

    def __enter__(self) -> "SweepMonitor":
        if self._bar:
            self._bar.start()
        self._thread.start()
        return self

    def __exit__(self, *_: Any) -> None:
        self._ended.set()
        self._thread.join()
        self._read_records()
        if self._points:
            self._points.close()
        if self._bar:
            self._bar.stop()

    def _build_bar(self) -> Bar:
        bar = Bar(BarColumn(bar_width=20), TextColumn("{task.fields[line]}"), transient=True)
        bar.add_task("", total=self.total, line=self.folder.name)
        return bar

    def missing(self) -> list[int]:
        """The seeds that have no record of this sweep yet."""
        self._read_records()
        return sorted(self.waiting)

    def _write_times(self) -> dict[int, int]:
        """Modification times, in ns, of the records of awaited seeds, those of an earlier sweep included."""
        entries = ((entry.name.removesuffix(".json"), entry) for entry in os.scandir(self.folder / "seeds"))
        return {int(s): entry.stat().st_mtime_ns for s, entry in entries if s.isdigit() and int(s) in self.waiting}

    def _follow(self) -> None:
        while not self._ended.wait(0.5):
            self._read_records()

    def _read_records(self) -> None:
        """Read the records written since the last call."""
        try:
            study = Study.load(self.folder)
        except InputError:
            return  # no worker has created it yet
        with self._reading:
            for seed, written in sorted(self._write_times().items()):
                if written != self._before.get(seed) and (record := study.record(seed)):
                    self.waiting.discard(seed)
                    self.new_records += 1
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
        """Seeds done of the total, scores, failures, rate and time left."""
        elapsed = time.monotonic() - self.started
        rate = self.new_records / elapsed * 3600
        left = f"{format_duration(len(self.waiting) / rate * 3600)} left" if self.new_records else "no seed done yet"
        done = f"{self.folder.name}  {self.total - len(self.waiting)}/{self.total}"
        return "  ".join(part for part in (done, self.progress.describe(), f"{rate:.0f} seeds/h", left) if part)
