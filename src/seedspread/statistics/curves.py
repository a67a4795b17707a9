"""Learning curves over seeds: bands, where they are flat, whether the spread still falls.

Shapes: curves (S, E), one value per seed and epoch, or other point of the training; nan where a seed has none.
"""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import stats

from seedspread.statistics.spread import UNKNOWN, Array, Interval, is_constant, mean_interval, sample_std


@dataclass(frozen=True)
class Bands:
    """Mean, sample std, minimum and maximum over seeds, (E,) each."""

    mean: Array
    std: Array
    min: Array
    max: Array

    def at(self, places: Any) -> "Bands":
        """The bands at `places`, an index of (E,)."""
        return Bands(self.mean[places], self.std[places], self.min[places], self.max[places])


def bands(curves: Array) -> Bands:
    """Bands of curves (S, E), at each point over the seeds that have it; std is nan for one seed, all for none."""
    if not np.isnan(curves).any():
        return Bands(curves.mean(axis=0), sample_std(curves), curves.min(axis=0), curves.max(axis=0))
    known = [column[~np.isnan(column)] for column in curves.T]
    rows = [
        (column.mean(), float(sample_std(column)), column.min(), column.max()) if len(column) else (math.nan,) * 4
        for column in known
    ]
    return Bands(*np.array(rows).T)


def running(scores: Array) -> Bands:
    """Bands of the first 1, 2, ... S of scores (S,), (S,) each; the first std is nan."""
    n = np.arange(1, len(scores) + 1)
    centred = scores - scores.mean()  # against cancellation in the squares
    first, second = np.cumsum(centred) / n, np.cumsum(centred**2)
    with np.errstate(invalid="ignore", divide="ignore"):
        std = np.sqrt(np.maximum(0.0, second - n * first**2) / (n - 1))
    return Bands(first + scores.mean(), std, np.minimum.accumulate(scores), np.maximum.accumulate(scores))


def flat_from(curves: Array) -> int:
    """The index of the first epoch from which the mean of curves (S, E) stays within half a std of its last value.

    The std comes from the interquartile range, as for a normal distribution: outliers do not make a curve flat. E, no
    epoch, where a seed lacks one: the mean would move with the seeds that it is of.
    """
    if not curves.size or np.isnan(curves).any():
        return curves.shape[1]
    mean, std = curves.mean(axis=0), stats.iqr(curves[:, -1]) / 1.349
    away = np.flatnonzero(np.abs(mean - mean[-1]) > std / 2)
    return int(away[-1]) + 1 if len(away) else 0


def late_spread_ratio(curves: Array, start: int, level: float = 0.95) -> tuple[float, Interval]:
    """Whether the std keeps falling in epochs `start` and later of curves (S, E), where the mean is flat.

    The root mean square of the std over the second half of those epochs, divided by that over the first. The interval
    is the jackknife's on the logarithm (Miller 1968, "Jackknifing variances"). nan for fewer than 4 such epochs or 10
    seeds.
    """
    n, epochs = len(curves), curves.shape[1] - start
    if epochs < 4 or n < 10 or any(map(is_constant, curves[:, start:].T)):
        return math.nan, UNKNOWN
    squares = (curves[:, start:] - curves[:, start:].mean(axis=0)) ** 2
    sums = squares.sum(axis=0)
    without = (sums - squares * n / (n - 1)) / (n - 2)  # each variance without one seed, (S, epochs)
    half = epochs // 2

    def log_ratio(variances: Array) -> Array:
        return np.log(variances[..., -half:].mean(axis=-1) / variances[..., :half].mean(axis=-1)) / 2

    whole = float(log_ratio(sums / (n - 1)))
    pseudo = n * whole - (n - 1) * log_ratio(without)
    return math.exp(whole), Interval(*map(math.exp, mean_interval(pseudo, level)))
