"""One run as its log has it, and the collector that every reader fills."""

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from seedspread.config.errors import InputError

SHOWN = 4  # runs in a message
_SUFFIX = re.compile(r"(\.csv|\.tsv|\.parquet)(\.gz)?$", re.IGNORECASE)


@dataclass(frozen=True)
class Run:
    """One run of a log, not yet a record: its seed may still have to be found.

    `curves` has for each metric that was logged more than once a value for each of the ascending `steps`, or where the
    log counts epochs alone of `epochs`: None where the metric was not logged, NaN and infinity as they were. `final`
    is the last value of each metric.
    """

    source: str  # as messages name it: a path, and the run within it
    names: Sequence[str]  # where the digits of a seed may stand: the run, then its file and folders, inner ones first
    hparams: Mapping[str, Any]  # by dotted key
    steps: list[int] | None
    epochs: list[int] | None
    curves: Mapping[str, Sequence[float | None]]
    final: Mapping[str, float]
    ended: str  # ISO 8601
    seconds: float | None = None  # from the first to the last value
    failed: str | None = None  # why, where the log says that the run failed
    environment: Mapping[str, Any] = field(default_factory=dict)

    def points(self, metric: str) -> tuple[int, ...]:
        """The steps, or epochs, at which `metric` was logged; none where it was logged once."""
        where = self.steps if self.steps is not None else self.epochs or []
        return tuple(at for at, value in zip(where, self.curves.get(metric, []), strict=False) if value is not None)


class Collector:
    """Takes in the values of one run in the order in which they were logged, and makes a Run of them.

    `without_step`: the step that a format writes where none was given.
    """

    def __init__(
        self,
        source: str,
        names: Sequence[str],
        hparams: Mapping[str, Any] | None = None,
        without_step: int | None = None,
    ) -> None:
        self.source, self.names, self.hparams = source, names, dict(hparams or {})
        self.without_step = without_step
        self.values: dict[str, list[tuple[int | None, float]]] = {}
        self.epochs: dict[int, int] = {}  # by step
        self.times: list[float] = []  # seconds since 1970

    def add(self, metric: str, step: float | None, value: float) -> None:
        """Take in a value, logged at `step`, or without a step."""
        self.values.setdefault(metric, []).append((None if step is None else self._whole(metric, step), float(value)))

    def add_epoch(self, step: float | None, epoch: float) -> None:
        """Take in the epoch of a step; of a run without steps the epoch is the step."""
        if epoch == int(epoch):
            self.epochs[int(epoch) if step is None else int(step)] = int(epoch)

    def _whole(self, metric: str, step: float) -> int:
        if not math.isfinite(step) or step != int(step):
            raise InputError(f"{self.source}: {metric} is logged at step {step:g}; steps are whole numbers, name step=")
        return int(step)

    def finish(
        self,
        file: Path,
        counts_epochs: bool = False,
        failed: str | None = None,
        ended: float | None = None,
        **more: Any,
    ) -> Run:
        """The run; `counts_epochs`: the steps are epochs. InputError where a metric has two values at one step.

        Where the log has no times, the run `ended` when `file` was last written.
        """
        curves = {metric: self._by_step(metric, values) for metric, values in self.values.items()}
        longest = max(map(len, curves.values()), default=0)
        several = {metric: curve for metric, curve in curves.items() if len(curve) > 1 or longest == 1}
        steps = sorted({step for curve in several.values() for step in curve})
        epochs = steps if counts_epochs else [self.epochs[step] for step in steps if step in self.epochs]
        known = bool(steps) and len(epochs) == len(steps) and epochs == sorted(epochs) and epochs[0] >= 0
        if epochs == list(range(1, len(epochs) + 1)):
            epochs = [epoch - 1 for epoch in epochs]  # records count them from 0
        ended = ended or (max(self.times) if self.times else file.stat().st_mtime)
        seconds = max(self.times) - min(self.times) if len(self.times) > 1 else None
        return Run(
            source=self.source,
            names=self.names,
            hparams=self.hparams,
            steps=None if counts_epochs else steps,
            epochs=epochs if known else None,
            curves={metric: [curve.get(step) for step in steps] for metric, curve in several.items()},
            final={metric: curve[max(curve)] for metric, curve in curves.items()},
            ended=datetime.fromtimestamp(ended, UTC).isoformat(timespec="seconds"),
            seconds=seconds,
            failed=failed,
            **more,
        )

    def _by_step(self, metric: str, values: Sequence[tuple[int | None, float]]) -> dict[int, float]:
        """Values by step; where all are without one they are counted."""
        if len(values) > 1 and {step for step, _ in values} <= {None, self.without_step}:
            return dict(enumerate(value for _, value in values))
        if values[0][0] is None and len(values) == 1:
            return {0: values[0][1]}
        curve: dict[int, float] = {}
        for step, value in values:
            if step is None:
                raise InputError(f"{self.source}: {metric} has values with a step and without; name step=")
            before = curve.setdefault(step, value)
            if before != value and not (math.isnan(before) and math.isnan(value)):
                raise InputError(
                    f"{self.source}: {metric} is {before:g} and {value:g} at step {step}: the log of two runs, or of a "
                    "run that was resumed from an earlier step; keep one of them, or name another step="
                )
        return curve


def name_some(sources: Sequence[str], most: int = SHOWN) -> str:
    """The first few of many runs or files, for a message."""
    more = len(sources) - most
    return ", ".join(map(str, sources[:most])) + (f" and {more:,} more" if more > 0 else "")


def path_names(path: Path) -> list[str]:
    """The names of a path as it was given, the innermost first, without the file's suffix."""
    first, *others = reversed([part for part in path.parts if part not in (path.anchor, ".", "..")] or [""])
    return [_SUFFIX.sub("", first), *others]
