"""What code of the user's records of the seed that runs: `ss.record(step=3, loss=0.2)`."""

import json
import math
import os
import uuid
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np

from seedspread.config.errors import InputError
from seedspread.records.example_results import NAMES
from seedspread.records.record import finite_or_none

RECORD_VARIABLE = "SEEDSPREAD_RECORD"  # the folder in which a program leaves what it records

_current: "Recorder | None" = None


def record(
    *,
    step: int | None = None,
    epoch: int | None = None,
    labels: Any = None,
    predictions: Any = None,
    probabilities: Any = None,
    scores: Any = None,
    **metrics: float,
) -> None:
    """Record metrics of the seed that runs: points of curves where `step` or `epoch` is given, counted from 0.

    Without either they are final values. Of the N test examples: `labels` (N,), the true ones, `predictions` (N,),
    `probabilities` (N, classes) or a score each, `scores` (N,). Outside of a sweep nothing is kept. Raises InputError
    for what is no number.

    >>> def train(seed):
    ...     for epoch in range(2):
    ...         ss.record(epoch=epoch, loss=1 / (1 + epoch))
    >>> ss.sweep(train, seeds=[0], study="recorded", metric="loss", jobs=1, report=False).curves["loss"]
    seed    0 ...
    array([[1. , 0.5]])
    """
    examples = {"labels": labels, "predictions": predictions, "probabilities": probabilities, "scores": scores}
    given = {name: value for name, value in examples.items() if value is not None}
    if _current is not None:
        _current.add(step, epoch, given, metrics)
    elif folder := os.environ.get(RECORD_VARIABLE):
        _leave(Path(folder), step, epoch, given, metrics)


def set_current(recorder: "Recorder | None") -> None:
    """Say which recorder `record` writes to from now on; None: none of this process."""
    global _current
    _current = recorder


class Recorder:
    """Collects what is recorded of one seed."""

    def __init__(self) -> None:
        self._points: dict[tuple[int | None, int | None], dict[str, float]] = {}  # by epoch and step
        self._final: dict[str, float] = {}
        self.examples: dict[str, np.ndarray] = {}

    def add(self, step: int | None, epoch: int | None, examples: Mapping[str, Any], metrics: Mapping[str, Any]) -> None:
        """Take in a call of `record`."""
        values = {name: _number(name, value) for name, value in metrics.items()}
        if step is None and epoch is None:
            self._final |= values
        elif values:
            point = _position("epoch", epoch), _position("step", step)
            self._points.setdefault(point, {}).update(values)
        self.examples |= {name: _array(name, value) for name, value in examples.items()}

    def add_mapping(self, given: Mapping[str, Any], epoch: int | None = None) -> None:
        """Take in what a function returned or yielded; `step` and `epoch` among its keys say of which point it is."""
        if wrong := next((key for key in given if not isinstance(key, str)), None):
            raise InputError(f"{wrong!r} is no name of a metric: return for example {{'accuracy': 0.93}}")
        own = {name: given[name] for name in ("step", "epoch") if given.get(name) is not None}
        examples = {name: given[name] for name in NAMES if given.get(name) is not None and np.ndim(given[name]) > 0}
        metrics = {name: value for name, value in given.items() if name not in (*own, *examples)}
        self.add(own.get("step"), own.get("epoch", None if own else epoch), examples, metrics)

    def read_folder(self, folder: Path) -> bool:
        """Take in what a program left in `folder` by calling `record`; whether it did."""
        calls = folder / "calls.jsonl"
        if not calls.exists():
            return False
        for line in calls.read_text().splitlines():
            call = json.loads(line)
            examples: dict[str, Any] = {}
            if call["arrays"]:
                with np.load(folder / call["arrays"], allow_pickle=False) as stored:
                    examples = dict(stored)
            self.add(call["step"], call["epoch"], examples, call["metrics"])
        return True

    @property
    def metrics(self) -> list[str]:
        """The names of all metrics, final ones first."""
        return list(dict.fromkeys([*self._final, *(name for point in self._points.values() for name in point)]))

    def fields(self) -> dict[str, Any]:
        """The fields of a record: curves, final values, epochs and steps. Raises InputError where points have epochs
        in some calls and steps in others, or where nothing was recorded.
        """
        points = self._points or {(0, None): self._final}
        if not any(points.values()):
            raise InputError("no metric was recorded: return {'accuracy': 0.93}, or call ss.record(accuracy=0.93)")
        given = [[position is not None for position in point] for point in points]
        if any(kinds != given[0] for kinds in given):
            raise InputError("ss.record: some calls name epoch=, others step=; name the same in all")
        ordered = sorted(points, key=lambda point: [-1 if position is None else position for position in point])
        names = dict.fromkeys(name for point in ordered for name in points[point])
        curves = {name: [finite_or_none(points[point].get(name)) for point in ordered] for name in names}
        last = {
            name: next(points[point][name] for point in reversed(ordered) if name in points[point]) for name in names
        }
        epochs, steps = ([point[i] for point in ordered] if given[0][i] else None for i in (0, 1))
        final = {name: finite_or_none(value) for name, value in {**last, **self._final}.items()}
        return {"curves": curves, "final": final, "epochs": epochs, "steps": steps}


def _number(name: str, value: Any) -> float:
    """A metric as a float: Python's numbers, and arrays of one element of NumPy, torch, JAX or TensorFlow."""
    if isinstance(value, str | bytes) or value is None:
        raise InputError(f"{name}={value!r}: a metric is a number")
    try:
        return float(value.item() if hasattr(value, "item") else value)
    except OverflowError:
        return math.inf  # a whole number beyond the largest float
    except (TypeError, ValueError, RuntimeError) as error:
        raise InputError(f"{name}: a metric is a number, not a {type(value).__name__}") from error


def _position(name: str, value: Any) -> int | None:
    if value is None:
        return None
    try:
        whole = int(value)
    except (TypeError, ValueError) as error:
        raise InputError(f"{name}={value!r}: a whole number of at least 0") from error
    if whole != value or whole < 0:
        raise InputError(f"{name}={value}: a whole number of at least 0")
    return whole


def _array(name: str, value: Any) -> np.ndarray:
    """What was said of each example, as an array on the CPU."""
    half = "bfloat16" in str(getattr(value, "dtype", ""))  # which NumPy lacks
    for method in ("detach", "cpu", *(["float"] if half else []), "numpy"):  # of torch; TensorFlow has the last
        with suppress(AttributeError):
            value = getattr(value, method)()
    array = np.asarray(value)
    dimensions = 2 if name == "probabilities" else 1
    if array.ndim != dimensions or not len(array):
        shape = "(N, classes)" if dimensions == 2 else "(N,)"
        raise InputError(f"{name}: shape {array.shape}; {shape} is needed, a row for each test example")
    if name in ("labels", "predictions"):
        if array.dtype.kind == "f" and (array == np.round(array)).all():
            array = array.astype(np.int64)
        if array.dtype.kind not in "iub" or array.min() < 0:
            raise InputError(f"{name}: whole numbers from 0 are needed; np.unique(labels, return_inverse=True)[1]")
        return array.astype(np.int64)
    if array.dtype.kind not in "fiub":
        raise InputError(f"{name}: numbers are needed, not {array.dtype}")
    return array


def _leave(folder: Path, step: Any, epoch: Any, examples: Mapping[str, Any], metrics: Mapping[str, Any]) -> None:
    """Append a call to the file that the parent of this program reads when it has ended."""
    arrays = ""
    if examples:
        arrays = f"{uuid.uuid4().hex}.npz"
        found: dict[str, Any] = {name: _array(name, value) for name, value in examples.items()}
        np.savez(folder / arrays, **found)
    values = {name: _number(name, value) for name, value in metrics.items()}
    where = {"step": _position("step", step), "epoch": _position("epoch", epoch)}
    line = json.dumps({**where, "arrays": arrays, "metrics": values}) + "\n"
    descriptor = os.open(folder / "calls.jsonl", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    try:
        os.write(descriptor, line.encode())  # one write, so that lines of several processes stay whole
    finally:
        os.close(descriptor)
