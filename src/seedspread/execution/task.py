"""A task: the name of a function and what it takes, for a process anywhere; and what came of it."""

from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from importlib import import_module
from typing import Any, Protocol

from seedspread.config.explain import explain_error


@dataclass(frozen=True)
class Task:
    """A call of the function `reference`, "package.module:function", with `payload`, which pickles."""

    reference: str
    payload: Any
    name: str  # in messages, and unique among the tasks that run at once


@dataclass(frozen=True)
class Outcome:
    """What came of a task: what the function returned, or why there is nothing."""

    value: Any = None
    error: str | None = None  # the function raised, which concerns every task
    died: str | None = None  # how the process ended under it


class Executor(AbstractContextManager["Executor"], Protocol):
    """Runs tasks in other processes. A context manager: its end ends them, at once."""

    workers: int  # tasks that run at once

    def has_room(self) -> bool:
        """Whether a task submitted now would start soon."""
        ...

    def submit(self, task: Task) -> None: ...

    def wait(self, seconds: float) -> list[tuple[Task, Outcome]]:
        """The tasks that ended, at the latest after `seconds`."""
        ...


def work(tasks: Iterable[Task], report: Callable[[Task, Outcome], None]) -> None:
    """Call the tasks one after another and report each: the loop of every worker, on every executor."""
    for task in tasks:
        try:
            module, _, function = task.reference.partition(":")
            outcome = Outcome(getattr(import_module(module), function)(task.payload))
        except Exception as error:
            outcome = Outcome(error=explain_error(error))
        report(task, outcome)
