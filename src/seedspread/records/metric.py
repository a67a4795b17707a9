"""What a study is scored by: a name among its metrics, the direction of better, the unit, and bounds."""

import math
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike

_SHORT = {"max": "maximize", "min": "minimize"}
UNITS = ("fraction", "percent", "points", "nats", "seconds", "none")
_SYMBOLS = {"fraction": "%", "percent": "%", "points": "points", "nats": "nats", "seconds": "s", "none": ""}
_SMALLER_IS_BETTER = re.compile(r"loss|error|err|mse|mae|rmse|nll|ppl|perplexity|seconds|time")
_FRACTIONS = re.compile(r"acc|accuracy")


@dataclass(frozen=True)
class Metric:
    """A metric of a study. Scores and bounds are in `unit`; only fractions are shown in another, as percent.

    >>> Metric.of("val/rmse").direction
    'minimize'
    """

    name: str
    direction: str  # maximize or minimize, in short max or min
    unit: str  # one of UNITS
    low: float | None = None
    high: float | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "direction", _SHORT.get(self.direction, self.direction))

    @classmethod
    def of(
        cls,
        name: str,
        direction: str = "auto",
        unit: str = "auto",
        low: float | None = None,
        high: float | None = None,
    ) -> Self:
        """The metric `name`; what is auto follows from the last word of the name.

        A loss, an error or a time is minimized, all else maximized. `acc` and `accuracy` are fractions, which lie
        between 0 and 1; other names have no unit.
        """
        words = re.split(r"[^a-z0-9]+", name.lower())
        if direction == "auto":
            direction = "minimize" if any(map(_SMALLER_IS_BETTER.fullmatch, words)) else "maximize"
        if unit == "auto":
            unit = "fraction" if any(map(_FRACTIONS.fullmatch, words)) else "none"
        if unit == "fraction":
            low, high = 0.0 if low is None else low, 1.0 if high is None else high
        return cls(name, direction, unit, low, high)

    @classmethod
    def read(cls, stored: Mapping[str, Any]) -> Self:
        """The metric in study.yaml; TypeError where a field is missing."""
        if missing := {"direction", "unit"} - set(stored):
            raise TypeError(f"no {' and '.join(missing)}")
        return cls.of(**stored)

    def stored(self) -> dict[str, Any]:
        """Its fields in study.yaml, without bounds that follow from the unit."""
        implied = asdict(Metric.of(self.name, self.direction, self.unit))
        own = ("name", "direction", "unit")
        return {key: value for key, value in asdict(self).items() if key in own or value != implied[key]}

    @property
    def sign(self) -> int:
        """1 where larger is better, else -1: the better of two scores has the larger sign · score."""
        return 1 if self.direction == "maximize" else -1

    @property
    def better(self) -> str:
        """The direction in words."""
        return "larger is better" if self.sign > 0 else "smaller is better"

    def describe(self) -> str:
        """Name, unit and direction: `val/rmse (points, smaller is better)`."""
        return f"{self.name} ({', '.join(filter(None, (self.symbol, self.better)))})"

    @property
    def symbol(self) -> str:
        """The unit behind a score that is shown: "%", "nats", "s", or empty."""
        return _SYMBOLS[self.unit]

    @property
    def difference_symbol(self) -> str:
        """The unit behind a difference or a standard deviation: percent differ by points."""
        return "points" if self.symbol == "%" else self.symbol

    def shown(self, values: ArrayLike) -> np.ndarray:
        """Recorded values in the unit that is shown: fractions as percent, rounded to ten decimals."""
        array = np.asarray(values, dtype=float)
        return np.round(100 * array, 10) if self.unit == "fraction" else array

    @property
    def quantity(self) -> str:
        """What it measures, in a sentence: accuracy, or its name."""
        return "accuracy" if self.symbol == "%" and self.name == ACCURACY.name else self.name

    @property
    def test_name(self) -> str | None:
        """The name of the same metric of the test set, scored once at the end: test/acc of val/acc. None of others."""
        name = re.sub(r"^(val|valid|validation)(?=[/_])", "test", self.name)
        return name if name != self.name else None

    @property
    def limits(self) -> tuple[float, float]:
        """The smallest and the largest possible value in the unit shown, infinite where there is none."""
        low, high = self.shown(
            [-math.inf if self.low is None else self.low, math.inf if self.high is None else self.high]
        )
        return float(low), float(high)

    def find_fault(self, value: float) -> str | None:
        """Why `value` cannot be a score; None where it can."""
        if (self.low is not None and value < self.low) or (self.high is not None and value > self.high):
            ends = [f"{end:g}" for end in (self.low, self.high) if end is not None]
            where = (
                f"between {ends[0]} and {ends[1]}"
                if len(ends) == 2
                else (f"{ends[0]} or more" if self.low is not None else f"{ends[0]} or less")
            )
            return f"{self.name} is not {where}"
        return None


ACCURACY = Metric.of("val/acc")
