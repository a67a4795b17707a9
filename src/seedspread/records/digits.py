"""Scores as text: how many decimals they need, and their unit."""

import math
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import ArrayLike

from seedspread.records.metric import Metric

SMALL, LARGE = 1e-3, 1e6  # what is smaller or larger is written with a power of ten
MOST_DECIMALS = 10


@dataclass(frozen=True)
class Digits:
    """Writes the numbers of one metric alike: with so many decimals, times the same power of ten, and the unit.

    >>> digits = Digits.of(Metric.of("val/rmse"), [54.1, 54.9, 53.9])
    >>> digits.plus_minus(54.3, 0.53)
    '54.30 ± 0.53'
    """

    decimals: int
    exponent: int = 0
    unit: str = ""
    difference_unit: str = ""

    @classmethod
    def of(cls, metric: Metric, scores: ArrayLike) -> Self:
        """For scores (S,) in the unit shown, their mean and std: two decimals of percent, else two significant digits
        of the std, or four of the largest score where nothing varies.
        """
        values = np.asarray(scores, dtype=float)
        values = values[np.isfinite(values)]
        largest = float(np.abs(values).max(initial=0.0))
        if metric.symbol == "%":
            return cls(2, 0, metric.symbol, metric.difference_symbol)
        spread = float(values.std(ddof=1)) if len(values) > 1 and np.ptp(values) else 0.0
        return cls._of(metric, spread / 10 if spread else largest / 1000, largest)

    @classmethod
    def of_error(cls, metric: Metric, error: float, largest: float = 1.0) -> Self:
        """For numbers with a standard `error`, of which it keeps two significant digits; of percent two decimals or
        more. `largest` is the largest of the scores.
        """
        if metric.symbol == "%":
            return cls(max(2, _decimals(error / 10) if error > 0 else 4), 0, metric.symbol, metric.difference_symbol)
        return cls._of(metric, error / 10 if error > 0 else 1e-4, largest)

    @classmethod
    def _of(cls, metric: Metric, last: float, largest: float) -> Self:
        """With the decimal place of `last`, for numbers up to `largest`."""
        in_range = largest == 0 or SMALL <= largest < LARGE
        exponent = 0 if in_range else math.floor(math.log10(largest))
        return cls(_decimals(last / 10.0**exponent), exponent, metric.symbol, metric.difference_symbol)

    @property
    def suffix(self) -> str:
        """What stands behind a score: " %", " nats", or nothing."""
        return f" {self.unit}" if self.unit else ""

    @property
    def difference_suffix(self) -> str:
        """What stands behind a difference or a std: " points", " nats", or nothing."""
        return f" {self.difference_unit}" if self.difference_unit else ""

    def plain(self, value: float) -> str:
        return self._format(value, "")

    def signed(self, value: float) -> str:
        return self._format(value, "+")

    def value(self, value: float) -> str:
        """A score with its unit."""
        return self.plain(value) + self.suffix

    def difference(self, value: float) -> str:
        """A difference or a std with its unit."""
        return self.plain(value) + self.difference_suffix

    def plus_minus(self, mean: float, std: float) -> str:
        """Mean and std, without unit; the mean alone where there is no std."""
        return self.plain(mean) + ("" if math.isnan(std) else f" ± {self.plain(std)}")

    def interval(self, low: float, high: float, sign: str = "") -> str:
        """An interval without its unit; with one decimal more where it is narrow."""
        narrow = high - low < 10.0 ** (self.exponent + 1 - self.decimals)
        return " to ".join(self._format(end, sign, narrow) for end in (low, high))

    def signed_interval(self, low: float, high: float) -> str:
        return f"{self.signed(low)} to {self.signed(high)}"

    def _format(self, value: float, sign: str, more: int = 0) -> str:
        scale = f"e{self.exponent}" if self.exponent else ""
        return f"{value / 10.0**self.exponent:{sign}.{self.decimals + more}f}{scale}"


def _decimals(last: float) -> int:
    """The decimals of numbers whose last digit stands at the place of `last`."""
    return min(MOST_DECIMALS, max(0, -math.floor(math.log10(last)))) if last > 0 else 4
