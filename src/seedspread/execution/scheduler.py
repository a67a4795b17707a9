"""Hands the tasks of a plan to an executor: one loop for sweeps, searches and whatever else runs many tasks."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from seedspread.config.errors import InputError
from seedspread.execution.signals import INTERRUPTED
from seedspread.execution.task import Executor, Task

DEATHS = 3  # of workers on one task, after which it is given up
SECONDS_TO_LOOK = 0.5  # between two looks at a plan that has to wait for others


class Plan(Protocol):
    """Which task is next, and what came of each."""

    def next_task(self) -> Task | None:
        """A task for a worker that is free; None where there is none now."""
        ...

    def is_done(self) -> bool:
        """Whether no task will come, once those that run have ended."""
        ...

    def complete(self, task: Task, value: Any) -> str | None:
        """Take in what `task` returned; the reason of its failure, or None."""
        ...

    def release(self, task: Task) -> None:
        """Free what the worker of `task` held: it is gone."""
        ...

    def give_up(self, task: Task, reason: str) -> None:
        """Record `task` as failed: it will not be tried again."""
        ...

    def stop(self, reason: str) -> None:
        """Hand out nothing more: one task after another fails."""
        ...


@dataclass
class FailureStreak:
    """Consecutive failures with the same reason."""

    reason: str | None = None
    length: int = 0

    def add(self, reason: str | None) -> int:
        """Count a failure, or a success where `reason` is empty, which resets the count; return the count."""
        self.length = 0 if not reason else self.length + 1 if reason == self.reason else 1
        self.reason = reason
        return self.length


def run_plan(plan: Plan, executor: Executor, fail_fast: int, noun: str = "seeds") -> None:
    """Run every task of `plan`.

    A task whose worker dies is submitted again, until DEATHS workers have died on it. `fail_fast` failures in a row
    with one reason, over all workers, stop the plan; what runs then is still waited for. Raises InputError for an error
    that concerns every task.
    """
    running: dict[str, Task] = {}
    deaths: Counter[str] = Counter()
    streak = FailureStreak()
    try:
        while True:
            while executor.has_room() and (task := plan.next_task()):
                running[task.name] = task
                executor.submit(task)
            if not running and plan.is_done():
                return
            for task, outcome in executor.wait(SECONDS_TO_LOOK):
                if outcome.error is not None:
                    raise InputError(outcome.error)
                reason: str | None
                if outcome.died is None:
                    reason = plan.complete(task, outcome.value)
                else:
                    plan.release(task)
                    deaths[task.name] += 1
                    if deaths[task.name] < DEATHS:
                        executor.submit(task)
                        continue
                    reason = f"its worker died {DEATHS} times ({outcome.died})"
                    plan.give_up(task, f"{reason}; is there enough memory for so many workers? (jobs=)")
                del running[task.name], deaths[task.name]
                if streak.add(reason) == fail_fast:
                    plan.stop(f"{streak.length} {noun} in a row failed: {streak.reason}")
            if INTERRUPTED.is_set():  # where Python dropped the exception
                raise KeyboardInterrupt
    finally:
        for task in running.values():  # their workers end with the executor
            plan.release(task)


class _Calls:
    """A plan of a few tasks, each of which has to return."""

    def __init__(self, tasks: Sequence[Task]) -> None:
        self._waiting = list(tasks)
        self.values: dict[str, Any] = {}

    def next_task(self) -> Task | None:
        return self._waiting.pop(0) if self._waiting else None

    def is_done(self) -> bool:
        return not self._waiting

    def complete(self, task: Task, value: Any) -> None:
        self.values[task.name] = value

    def release(self, task: Task) -> None:
        """They hold nothing."""

    def give_up(self, task: Task, reason: str) -> None:
        raise InputError(f"{task.name}: {reason}")

    def stop(self, reason: str) -> None:
        """They do not fail: what is wrong with one is an error."""


def call(executor: Executor, tasks: Sequence[Task]) -> list[Any]:
    """What `tasks` return; raises InputError where one raises, or where its worker dies again and again."""
    calls = _Calls(tasks)
    run_plan(calls, executor, fail_fast=1)
    return [calls.values[task.name] for task in tasks]
