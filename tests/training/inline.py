"""Sweeps whose tasks run in the process of the test, which can then patch what they call."""

from collections.abc import Sequence
from unittest.mock import patch

from omegaconf import DictConfig

from seedspread.commands.sweep import StudySweep, train_studies
from seedspread.config.errors import InputError
from seedspread.execution.task import Executor, Outcome, Task, work
from seedspread.records.progress import Progress
from seedspread.records.study import Study


class InlineExecutor(Executor):
    """Runs each task when it is submitted."""

    workers = 1

    def __init__(self) -> None:
        self._ended: list[tuple[Task, Outcome]] = []

    def __exit__(self, *error: object) -> None:
        """Nothing else runs."""

    def has_room(self) -> bool:
        return not self._ended

    def submit(self, task: Task) -> None:
        work([task], lambda *ended: self._ended.append(ended))

    def wait(self, seconds: float) -> list[tuple[Task, Outcome]]:
        ended, self._ended = self._ended, []
        return ended


def train_seeds(cfg: DictConfig, seeds: Sequence[int]) -> int:
    """Train what is missing of `seeds` as a sweep does, in this process; return how many failed."""
    sweep = StudySweep(cfg, list(seeds))
    with patch("seedspread.commands.sweep.start_executor", lambda *_: InlineExecutor()):
        try:
            train_studies([sweep], quiet=True)
        except InputError:
            if failed := len(Progress.of(Study.load(sweep.folder).scan().records.values()).failed):
                return failed
            raise
    return 0
