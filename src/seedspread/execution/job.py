"""Several tasks in one job, and the file that their outcomes go to, one after another."""

import os
import pickle
from collections.abc import Iterator, Sequence
from pathlib import Path

from seedspread.execution.task import Outcome, Task, work


def run_job(tasks: Sequence[Task], folder: str, outcomes: Path) -> None:
    """What a job does: its tasks, with an outcome each; what it did before Slurm started it again is left out."""
    os.chdir(folder)
    ends = [end for _, end in read_outcomes(outcomes, 0)]
    done = len(ends)
    if outcomes.exists():
        os.truncate(outcomes, ends[-1] if ends else 0)  # what was half written: nothing after it could be read

    def report(task: Task, outcome: Outcome) -> None:
        with outcomes.open("ab") as file:
            pickle.dump(outcome, file)

    work(tasks[done:], report)


def read_outcomes(path: Path, start: int) -> Iterator[tuple[Outcome, int]]:
    """The whole outcomes in a file from byte `start` on, each with the byte after it."""
    try:
        with path.open("rb") as file:
            file.seek(start)
            while True:
                yield pickle.load(file), file.tell()
    except (FileNotFoundError, EOFError, pickle.UnpicklingError):
        return  # what is written now is read the next time
