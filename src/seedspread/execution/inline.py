"""Tasks in this process, one after another: for functions that no other process can take, and for debuggers."""

import time

from seedspread.execution.task import Outcome, Task, work


class InlineExecutor:
    """One task at a time, which runs when it is waited for."""

    workers = 1

    def __init__(self) -> None:
        self._task: Task | None = None

    def __enter__(self) -> "InlineExecutor":
        return self

    def __exit__(self, *error: object) -> None:
        """Nothing is left: its tasks end before `wait` returns."""

    def has_room(self) -> bool:
        return self._task is None

    def submit(self, task: Task) -> None:
        self._task = task

    def wait(self, seconds: float) -> list[tuple[Task, Outcome]]:
        if self._task is None:
            time.sleep(seconds)
            return []
        task, self._task = self._task, None
        ended: list[tuple[Task, Outcome]] = []
        work([task], lambda task, outcome: ended.append((task, outcome)))
        return ended
