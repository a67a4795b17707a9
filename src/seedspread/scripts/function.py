"""A Python function as a script: `train(seed)` returns metrics, yields some each epoch, or calls `ss.record`."""

import inspect
import sys
import traceback
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from importlib.metadata import packages_distributions
from pathlib import Path
from typing import Any

from seedspread.config.errors import InputError, find_input_error
from seedspread.records.machine import package_versions
from seedspread.records.metric import Metric
from seedspread.scripts.generators import seed_imported, set_running_seed
from seedspread.scripts.recorder import Recorder, set_current
from seedspread.scripts.script import FailedError
from seedspread.scripts.source import describe_function

SCORE = "score"  # the name of a metric that a function returns as a bare number


@dataclass(frozen=True)
class Function:
    """A function of a seed, whose generators are seeded before each call."""

    call: Callable[[int], Any]
    identity: Mapping[str, Any]
    metric: Metric | None
    threads: int

    @classmethod
    def of(cls, call: Callable[[int], Any], metric: Metric | None, threads: int) -> "Function":
        """`call` with its identity; InputError where it cannot be called with a seed alone."""
        try:
            inspect.signature(call).bind(0)
        except (TypeError, ValueError) as error:
            raise InputError(f"{getattr(call, '__name__', call)}: call it with a seed alone: {error}") from error
        return cls(call, {"function": describe_function(call), "threads": threads}, metric, threads)

    def run(self, seed: int, recorder: Recorder, folder: Path) -> None:
        """Call the function; what it returns, yields and records goes to `recorder`. Raises FailedError."""
        set_running_seed(seed)
        set_current(recorder)
        seed_imported(seed)
        try:
            result = self.call(seed)
            if isinstance(result, Iterator):
                for epoch, point in enumerate(result):
                    recorder.add_mapping(_as_mapping(point, "yields"), epoch)
            elif result is not None:
                recorder.add_mapping(_as_mapping(result, "returns"))
        except (Exception, SystemExit) as error:
            if find_input_error(error) is not None:
                raise
            reason = " ".join(f"{type(error).__name__}: {error}".split())
            raise FailedError(reason, traceback.format_exc()) from error
        finally:
            set_running_seed(None)
            set_current(None)

    def command(self, seed: int) -> None:
        """None: the function is the caller's."""

    def packages(self) -> dict[str, str | None]:
        """The distributions whose packages this process has imported."""
        known = packages_distributions()
        names = {name.partition(".")[0] for name in sys.modules}
        return package_versions(sorted({one for name in names for one in known.get(name, ())}))


def _as_mapping(result: Any, verb: str) -> Mapping[str, Any]:
    if isinstance(result, Mapping):
        return result
    try:
        return {SCORE: float(result)}
    except (TypeError, ValueError) as error:
        kind = type(result).__name__
        raise InputError(f"the function {verb} a {kind}: a dict of metrics is needed, {{'accuracy': 0.93}}") from error
