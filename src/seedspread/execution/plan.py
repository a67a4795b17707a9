"""Plans of seeds: which seed of a study a free worker trains next."""

import os
import time
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from seedspread.config.overrides import shorten_seeds
from seedspread.execution.leases import EXPIRY, Observer, release_lease
from seedspread.execution.monitor import SweepMonitor
from seedspread.execution.task import Task
from seedspread.records.progress import Progress
from seedspread.records.requests import request_stop, stop_reason
from seedspread.records.study import Study, record_failure

SECONDS_TO_ASK = 2.0  # between two looks at a seed that another sweep trains


def find_missing_seeds(folder: Path, seeds: Sequence[int], overwrite: bool = False) -> tuple[Progress, list[int]]:
    """The progress of `seeds` so far, and the seeds to train: those without a record and those that failed."""
    if not (folder / "study.yaml").exists():
        return Progress(), list(seeds)
    study = Study.load(folder)
    study.check_trainable()
    records = study.scan().records
    known = Progress(study.metric)
    for seed in seeds:
        if seed in records and not overwrite:
            known.add(records[seed])
    done = known.scores.keys() | known.diverged.keys()
    known.failed.clear()
    return known, [seed for seed in seeds if seed not in done]


@dataclass(frozen=True)
class SeedJob:
    """What a worker needs to train seeds of a study: the payload of its task."""

    config: Any  # a pickle of the composed config, or the script; the same object for all seeds of a study
    folder: Path
    seeds: dict[int, str]  # and the stamp of the record that the seed's own replaces; empty: none
    sweep: str  # which leases belong to


class SeedQueue:
    """The seeds of a study that have no record of this sweep yet, handed out singly or as a stack.

    Other sweeps may train the same study, here or on another machine: a seed whose lease somebody holds waits, and one
    that somebody has recorded is left out.
    """

    def __init__(
        self,
        function: str,
        config: Any,
        folder: Path,
        seeds: Iterable[int],
        sweep: str,
        expiry: float = EXPIRY,
    ) -> None:
        """`function` is what a worker calls with a SeedJob: a reference as in Task. `expiry`: of leases, in seconds."""
        self.folder = folder
        self._function, self._config, self._sweep = function, config, sweep
        self._waiting = deque(seeds)
        self._later: deque[tuple[float, int]] = deque()  # when to look again, and the seed
        self._observer = Observer(folder, expiry)
        self._stamps: dict[int, str] = {}
        if (folder / "study.yaml").exists() and (folder / "seeds").is_dir():
            study = Study.load(folder)
            there = {entry.name for entry in os.scandir(folder / "seeds")}  # one listing, not a look for each seed
            self._stamps = {seed: study.stamp(seed) for seed in self._waiting if study.record_path(seed).name in there}
        self._observer.tidy()

    def __len__(self) -> int:
        return len(self._waiting) + len(self._later)

    def next_task(
        self,
        most: int = 1,
        is_recorded: Callable[[int], bool] = lambda seed: False,
        is_wanted: Callable[[int], bool] = lambda seed: True,
    ) -> Task | None:
        """A task of up to `most` seeds that nobody trains and that are wanted now; None where there is none."""
        while self._later and self._later[0][0] <= time.monotonic():
            self._waiting.append(self._later.popleft()[1])
        seeds: dict[int, str] = {}
        unwanted = []
        while self._waiting and len(seeds) < most:
            seed = self._waiting.popleft()
            if is_recorded(seed):
                continue
            if not is_wanted(seed):
                unwanted.append(seed)
            elif self._observer.is_free(seed):
                seeds[seed] = self._stamps.get(seed, "")
            else:
                self.put_off(seed)
        self._waiting.extendleft(reversed(unwanted))
        if not seeds:
            return None
        job = SeedJob(self._config, self.folder, seeds, self._sweep)
        return Task(self._function, job, f"{self.folder.name} seed {shorten_seeds(list(seeds))}")

    def put_off(self, seed: int) -> None:
        """Look at `seed` again in a while: another worker trains it."""
        self._later.append((time.monotonic() + SECONDS_TO_ASK, seed))

    def drop_from(self, first: int = 0) -> list[int]:
        """Forget the seeds from `first` on that are not handed out; return them."""
        dropped = [seed for seed in (*self._waiting, *(seed for _, seed in self._later)) if seed >= first]
        self._waiting = deque(seed for seed in self._waiting if seed < first)
        self._later = deque((when, seed) for when, seed in self._later if seed < first)
        return dropped


def release_job(job: SeedJob) -> None:
    """Remove the leases of a job whose worker is gone."""
    for seed in job.seeds:
        release_lease(job.folder, seed, sweep=job.sweep)


def record_dead_job(job: SeedJob, reason: str) -> None:
    """Record the seeds of `job` as failed because its workers died; a traceback that one of them left is kept."""
    study = Study.load(job.folder)
    header = {"config_digest": study.digest, "study": study.name}
    for seed, stamp in job.seeds.items():
        trace = study.folder / "failed" / f"{seed:06d}.txt"
        record_failure(study, seed, reason, trace.read_text() if trace.exists() else f"{reason}\n", header, stamp)


class SweepPlan:
    """The plan of a sweep of one study: its queue, until each seed has its record."""

    def __init__(self, queue: SeedQueue, monitor: SweepMonitor, stack: int, workers: int) -> None:
        self._queue, self._monitor, self._stack, self._workers = queue, monitor, stack, workers

    def next_task(self) -> Task | None:
        if stop_reason(self._queue.folder):
            return None
        fair = -(-len(self._queue) // self._workers)  # so that stacks end together
        return self._queue.next_task(max(1, min(self._stack, fair)), self._monitor.is_recorded)

    def is_done(self) -> bool:
        return not len(self._queue) or stop_reason(self._queue.folder) is not None

    def complete(self, task: Task, value: str | None) -> str | None:
        self._monitor.read_records(task.payload.seeds)
        for seed in task.payload.seeds if value is None else ():
            if not self._monitor.is_recorded(seed):
                self._queue.put_off(seed)
        return value

    def release(self, task: Task) -> None:
        release_job(task.payload)

    def give_up(self, task: Task, reason: str) -> None:
        record_dead_job(task.payload, reason)
        self._monitor.read_records(task.payload.seeds)

    def stop(self, reason: str) -> None:
        request_stop(self._queue.folder, reason)
