"""A Python function as a script: `train(seed)` returns metrics, yields some each epoch, or calls `ss.record`."""

import inspect
import sys
import traceback
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from importlib.metadata import packages_distributions
from itertools import count
from pathlib import Path
from typing import Any

from seedspread.config.errors import InputError, find_input_error
from seedspread.records.machine import package_versions
from seedspread.records.metric import Metric
from seedspread.scripts.generators import seeded
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

    def joining(self, config: Mapping[str, Any]) -> "Function":
        return self

    def run(self, seed: int, recorder: Recorder, folder: Path) -> None:
        """Call the function; what it returns, yields and records goes to `recorder`. Raises FailedError."""
        set_current(recorder)
        try:
            with seeded(seed):
                result = self.call(seed)
                if isinstance(result, Iterator):
                    result = _take_points(result, recorder)
            if result is not None:
                recorder.add_mapping(_as_mapping(result, "returns"))
        except (Exception, SystemExit) as error:
            if find_input_error(error) is not None:
                raise
            reason = " ".join(f"{type(error).__name__}: {error}".split())
            raise FailedError(reason, traceback.format_exc()) from error
        finally:
            set_current(None)

    def command(self, seed: int) -> None:
        """None: the function is the caller's."""

    def type_metric(self, **keys: str) -> str:
        """Arguments of `ss.sweep`: `metric="acc", unit="percent"` of its name and unit."""
        return ", ".join(f'{"metric" if key == "name" else key}="{value}"' for key, value in keys.items())

    def packages(self) -> dict[str, str | None]:
        """The distributions whose packages this process has imported."""
        names = {name.partition(".")[0] for name in sys.modules}
        return _find_versions(frozenset(names & _find_distributions().keys()))


@cache
def _find_distributions() -> Mapping[str, list[str]]:
    """The distributions that each package of this environment comes from: a second or two."""
    return packages_distributions()


@cache
def _find_versions(packages: frozenset[str]) -> dict[str, str | None]:
    return package_versions(sorted({name for package in packages for name in _find_distributions()[package]}))


def _take_points(points: Iterator[Any], recorder: Recorder) -> Any:
    """Record what a function yields, each as an epoch; what it returns at its end."""
    for epoch in count():
        try:
            point = next(points)
        except StopIteration as end:
            return end.value
        recorder.add_mapping(_as_mapping(point, "yields"), epoch)
    raise AssertionError


def _as_mapping(result: Any, verb: str) -> Mapping[str, Any]:
    if isinstance(result, Mapping):
        return result
    try:
        return {SCORE: float(result)}
    except (TypeError, ValueError) as error:
        kind = type(result).__name__
        raise InputError(f"the function {verb} a {kind}: a dict of metrics is needed, {{'accuracy': 0.93}}") from error
