"""Takes in what a module logs while it trains, at the epochs and steps at which it was logged."""

import math
from collections.abc import Mapping
from typing import Any

from lightning.pytorch.loggers.logger import DummyLogger

from seedspread.records.record import finite_or_none

Point = dict[str, float]  # epoch and step, both from 0, and the metrics logged there


class MetricLog(DummyLogger):
    """One more of Lightning's loggers: `points` are the epochs and steps at which anything was logged, in their order.

    What Lightning logs of one moment comes in several calls, which are one point here.
    """

    def __init__(self, points: list[Point] | None = None) -> None:
        super().__init__()
        self.points: list[Point] = points or []
        self.is_open = True

    def log_metrics(self, metrics: Mapping[str, float], step: int | None = None) -> None:
        if not self.is_open:
            return
        where = {"epoch": int(metrics.get("epoch", 0)), "step": int(step or 0)}
        if not self.points or {key: self.points[-1][key] for key in where} != where:
            self.points.append(dict(where))
        self.points[-1] |= {name: float(value) for name, value in metrics.items() if name != "epoch"}

    @property
    def metrics(self) -> list[str]:
        """The names of all metrics, in the order in which they first came."""
        names = dict.fromkeys(name for point in self.points for name in point)
        return [name for name in names if name not in ("epoch", "step")]

    def last(self, metric: str) -> float | None:
        """The last value of `metric`; None where it was never logged."""
        return next((point[metric] for point in reversed(self.points) if metric in point), None)

    def curves(self) -> dict[str, Any]:
        """`epochs`, `steps`, `curves` and `final` of a record; each curve has a value or None for each point."""
        found: dict[str, Any] = {f"{unit}s": [int(point[unit]) for point in self.points] for unit in ("epoch", "step")}
        curves = {name: [finite_or_none(point.get(name, math.nan)) for point in self.points] for name in self.metrics}
        final = {name: finite_or_none(value) for name in curves if (value := self.last(name)) is not None}
        return {**found, "curves": curves, "final": final}
