"""What a sweep of the user's own code runs: one seed of it, and what that depends on."""

import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol

from threadpoolctl import threadpool_limits

from seedspread.config.resolve import count_cores
from seedspread.records.metric import Metric
from seedspread.scripts.imports import after_import
from seedspread.scripts.recorder import Recorder

THREAD_VARIABLES = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")


class FailedError(Exception):
    """A seed failed: why, in a line, and all that is known of it."""

    def __init__(self, reason: str, trace: str) -> None:
        super().__init__(reason)
        self.reason, self.trace = reason, trace


class Script(Protocol):
    """A function or a program, the same for all seeds of a study."""

    @property
    def identity(self) -> Mapping[str, Any]:
        """What results depend on: the config of the study."""
        ...

    @property
    def metric(self) -> Metric | None:
        """What a seed is scored by; None: the first that is recorded."""
        ...

    @property
    def threads(self) -> int:
        """CPU threads of a seed."""
        ...

    def joining(self, config: Mapping[str, Any]) -> "Script":
        """This script as one that goes on with a study of this config."""
        ...

    def run(self, seed: int, recorder: Recorder, folder: Path) -> None:
        """Run one seed; `folder` is for its output. Raises FailedError where it fails."""
        ...

    def command(self, seed: int) -> str | None:
        """What runs this seed again, as it is typed."""
        ...

    def type_metric(self, **keys: str) -> str:
        """What describes a metric, as it is typed."""
        ...

    def packages(self) -> dict[str, str | None]:
        """The versions of the packages that it uses, as far as they are known."""
        ...


@contextmanager
def limit_threads(threads: int) -> Iterator[None]:
    """Within the block NumPy, scikit-learn, torch and their like use so many CPU threads, the bits depend on them.

    Libraries that are imported within the block find the number in their environment variables.
    """
    before = {name: os.environ.get(name) for name in THREAD_VARIABLES}
    os.environ.update(dict.fromkeys(THREAD_VARIABLES, str(threads)))
    torch: Any = sys.modules.get("torch")
    torch_threads = torch.get_num_threads() if torch else int(before["OMP_NUM_THREADS"] or count_cores())
    try:
        with threadpool_limits(threads), after_import({"torch": lambda module: module.set_num_threads(threads)}):
            if torch:
                torch.set_num_threads(threads)
            yield
    finally:
        if torch := sys.modules.get("torch"):
            torch.set_num_threads(torch_threads)
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
