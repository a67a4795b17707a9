"""The shape of a distribution of scores, its extremes and its outliers."""

import math
from dataclasses import dataclass

import numpy as np
from scipy import integrate, special, stats

from seedspread.statistics.spread import Array, Interval, is_constant

OF_EQUAL = 0.001  # of the median: the largest step that a scale of scores is taken to have


@dataclass(frozen=True)
class Shape:
    """Skewness and excess kurtosis of scores, both 0 for a normal distribution, and a test of normality with its p."""

    skewness: float
    kurtosis: float
    test: str
    p: float


def shape(scores: Array) -> Shape | None:
    """Shape of scores (S,); None for fewer than 8, or where all are equal.

    Shapiro and Wilk's (1965) test; beyond its 5,000 scores D'Agostino and Pearson's (1973).
    """
    if len(scores) < 8 or is_constant(scores):
        return None
    small = len(scores) <= 5000
    p = (stats.shapiro if small else stats.normaltest)(scores).pvalue
    test = "Shapiro-Wilk" if small else "D'Agostino-Pearson"
    return Shape(float(stats.skew(scores)), float(stats.kurtosis(scores)), test, float(p))


def expected_maximum(n: int) -> float:
    """Mean of the largest of n standard normal draws: 1.87 for 20, 3.85 for 10,000. (The smallest: its negative.)"""
    mean, _ = integrate.quad(
        lambda x: x * n * stats.norm.pdf(x) * stats.norm.cdf(x) ** (n - 1), -9, 9, points=[0, 2, 4]
    )
    return float(mean)


def maximum_range(n: int, level: float = 0.95) -> Interval:
    """The central interval of the largest of n standard normal draws, by inverting its distribution Φ(x)ⁿ."""
    low, high = (1 - level) / 2, (1 + level) / 2
    # 1 - u^(1/n) by expm1: for large n the difference from 1 would be lost.
    return Interval(*(float(stats.norm.isf(-math.expm1(math.log(u) / n))) for u in (low, high)))


def expected_extreme(n: int) -> tuple[float, Interval]:
    """Mean and 95 % range of how far the largest of n normal draws lies above their mean, in their own sample std.

    From 20,000 seeded simulations; beyond 200 draws the std is practically known and the closed forms apply.
    """
    if n > 200:
        return expected_maximum(n), maximum_range(n)
    draws = np.random.default_rng(0).standard_normal((20_000, n))
    away = (draws.max(axis=1) - draws.mean(axis=1)) / draws.std(axis=1, ddof=1)
    low, high = np.quantile(away, [0.025, 0.975])
    return float(away.mean()), Interval(float(low), float(high))


def grubbs(scores: Array) -> tuple[float, float]:
    """p-values of the smallest and the largest of scores (S,) under one normal distribution.

    Grubbs 1969, one-sided, by the Bonferroni bound of that test: n times Student's tail. nan below 5 seeds.
    """
    n = len(scores)
    if n < 5 or is_constant(scores):
        return math.nan, math.nan
    away = np.array([scores.mean() - scores.min(), scores.max() - scores.mean()]) / scores.std(ddof=1)
    rest = np.maximum((n - 1) ** 2 / n - away**2, 1e-12)
    p = np.minimum(1.0, n * stats.t.sf(away * np.sqrt((n - 2) / rest), n - 2))
    return float(p[0]), float(p[1])


APART = 5  # steps: the extremes of counts of errors lie one to four apart by chance


def outliers(scores: Array, level: float = 0.01, step: float | None = None) -> Array:
    """Positions of the scores (S,) that are outliers of a normal distribution, the furthest first; none below 5 seeds.

    Rosner's generalised extreme Studentized deviate (ESD), which several outliers do not mask, for up to a quarter of
    the scores. Rosner 1983, "Percentage points for a generalized ESD many-outlier procedure". Scores that are fractions
    of right answers have ties and a skewed tail, which the test mistakes for outliers: these also have to stand apart
    from all that is left by more than 5 steps. `step` is the smallest difference that two scores can have, one test
    example; by default the smallest that these have, and 0.001 of the median where they have two values alone.
    """
    scores = np.asarray(scores, dtype=float)
    n = len(scores)
    if n < 5 or np.ptp(scores) <= 1e-9 * np.abs(scores).max():  # apart by rounding
        return np.array([], dtype=int)
    order = np.argsort(scores, kind="stable")
    ordered = scores[order]
    gap = APART * (_smallest_step(ordered) if step is None else step) * (1 + 1e-9)
    left = n - np.arange(n // 4)
    t = special.stdtrit(left - 2, 1 - level / (2 * left))
    critical = t * (left - 1) / np.sqrt((left - 2 + t**2) * left)
    low, high, found = 0, n, 0
    removed = []
    for i in range(n // 4):
        rest = ordered[low:high]
        if rest[0] == rest[-1]:
            break
        mean, std = rest.mean(), rest.std(ddof=1)
        below, above = mean - rest[0], rest[-1] - mean
        if below >= above:
            removed.append(order[low])
            away, apart, low = below, rest[1] - rest[0], low + 1
        else:
            high -= 1
            removed.append(order[high])
            away, apart = above, rest[-1] - rest[-2]
        if away > critical[i] * std and apart > gap:
            found = i + 1
    return np.array(removed[:found], dtype=int)


def _smallest_step(ordered: Array) -> float:
    steps = np.diff(ordered)
    steps = steps[steps > 1e-9 * np.abs(ordered).max()]  # less is rounding
    if len(steps) > 1:
        return float(steps.min())
    return min(float(steps[0]), OF_EQUAL * abs(float(np.median(ordered))))


def unseen_rate(n: int, level: float = 0.95) -> float:
    """The upper bound at `level` of the rate of an event that none of n seeds shows: about 3/n for 95 %."""
    return 1 - (1 - level) ** (1 / n)
