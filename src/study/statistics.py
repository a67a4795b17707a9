"""Statistics of scores over seeds: pure functions on arrays, with their sources.

Shapes: scores (S,) one number a seed; curves (S, E) one a seed and epoch; correct (S, N) bool, one a seed and test
example. Every variance is the sample's (ddof=1). Every interval holds 95 % unless told; what is random has a seed.
"""

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from scipy import integrate, stats

Array = np.ndarray
NOTHING = (math.nan, math.nan)


class Interval(NamedTuple):
    low: float
    high: float


def is_constant(scores: Array) -> bool:
    """Whether all scores are equal; rounding would leave their std a little above 0."""
    return len(scores) == 0 or bool(np.ptp(scores) == 0)


def sample_std(values: Array) -> Array:
    """Sample standard deviation over the first axis, exactly 0 where all are equal; nan for one."""
    if len(values) < 2:
        return np.full(values.shape[1:], np.nan)
    return np.where(np.ptp(values, axis=0) == 0, 0.0, values.std(axis=0, ddof=1))


# Intervals. In simulations of normal, gamma(8) and t(8) scores, 10 to 200 of them, Student's for the mean, Bonett's for
# the std and the percentile bootstrap for median and interquartile mean cover 92 to 97 %; BCa covers 80 to 86 % for the
# std of 10 scores and no more than the percentiles for the others.


def mean_interval(scores: Array, level: float = 0.95) -> Interval:
    """Student's interval of the mean of scores (S,); nan for one seed."""
    if len(scores) < 2:
        return Interval(*NOTHING)
    half = stats.t.ppf((1 + level) / 2, len(scores) - 1) * float(sample_std(scores)) / math.sqrt(len(scores))
    return Interval(float(scores.mean() - half), float(scores.mean() + half))


def log_variance_error(scores: Array) -> tuple[float, float]:
    """Bonett's small-sample factor c of the variance of scores (S,), and the standard error of log(c·variance).

    Allows for tails that are heavier or lighter than a normal distribution's. Bonett 2006, "Approximate confidence
    interval for standard deviation of nonnormal distributions", CSDA 50, eq. 3-5. nan for fewer than 5 scores or where
    all are equal.
    """
    n = len(scores)
    if n < 5 or is_constant(scores):
        return NOTHING
    spread = scores - scores.mean()
    middle = stats.trim_mean(scores, 1 / (2 * math.sqrt(n - 4)))
    kurtosis = n * ((scores - middle) ** 4).sum() / (spread**2).sum() ** 2
    factor = n / (n - stats.norm.ppf(0.975))
    return factor, float(factor * math.sqrt(max(0.0, (kurtosis - (n - 3) / n) / (n - 1))))


def std_interval(scores: Array, level: float = 0.95) -> Interval:
    """Bonett's interval of the standard deviation of scores (S,); nan for fewer than 5."""
    factor, error = log_variance_error(scores)
    middle, z = factor * scores.var(ddof=1) if len(scores) > 1 else math.nan, stats.norm.ppf((1 + level) / 2)
    return Interval(
        float(math.sqrt(middle) * math.exp(-z * error / 2)), float(math.sqrt(middle) * math.exp(z * error / 2))
    )


def std_ratio(one: Array, other: Array, level: float = 0.95) -> tuple[float, Interval]:
    """std(one) / std(other) of two independent sets of scores, with Bonett's errors of the logarithms added up."""
    if min(len(one), len(other)) < 2 or is_constant(other):
        return math.nan, Interval(*NOTHING)
    (c1, e1), (c2, e2) = log_variance_error(one), log_variance_error(other)
    ratio = float(one.std(ddof=1) / other.std(ddof=1))
    middle, z = ratio * math.sqrt(c1 / c2), stats.norm.ppf((1 + level) / 2)
    half = z * math.hypot(e1, e2) / 2
    return ratio, Interval(float(middle * math.exp(-half)), float(middle * math.exp(half)))


def bootstrap_interval(scores: Array, statistic: Callable[..., Array], level: float = 0.95, seed: int = 0) -> Interval:
    """Percentile bootstrap interval of `statistic(scores, axis=)` (Efron 1979); nan for one seed.

    9,999 resamples, fewer (at least 999) for more than a thousand scores, whose interval then needs no more.
    """
    if len(scores) < 2:
        return Interval(*NOTHING)
    found = stats.bootstrap(
        (scores,),
        statistic,
        n_resamples=max(999, min(9_999, 10_000_000 // len(scores))),
        batch=max(1, 2_000_000 // len(scores)),  # 16 MB at a time
        confidence_level=level,
        method="percentile",
        rng=np.random.default_rng(seed),
    ).confidence_interval
    return Interval(float(found.low), float(found.high))


def interquartile_mean(scores: Array, axis: int = -1) -> Array:
    """Mean of the middle half: a quarter is cut from each end (Agarwal et al. 2021)."""
    return stats.trim_mean(scores, 0.25, axis=axis)


def accuracy_interval(accuracy: Array, examples: int, level: float = 0.95) -> tuple[Array, Array]:
    """Wilson's (1927) interval of accuracies, fractions (S,) of `examples` test examples: low (S,), high (S,)."""
    z = stats.norm.ppf((1 + level) / 2)
    middle = (accuracy + z**2 / (2 * examples)) / (1 + z**2 / examples)
    half = z / (1 + z**2 / examples) * np.sqrt(accuracy * (1 - accuracy) / examples + z**2 / (4 * examples**2))
    return middle - half, middle + half


# Shape and extremes.


@dataclass(frozen=True)
class Shape:
    """Skewness and excess kurtosis of scores, both 0 for a normal distribution, and the p-value of a test of one."""

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
    """What the largest of n standard normal draws lies within, by inverting its distribution Φ(x)ⁿ."""
    low, high = (1 - level) / 2, (1 + level) / 2
    # 1 - u^(1/n) through expm1: for large n the difference to 1 would be lost.
    return Interval(*(float(stats.norm.isf(-math.expm1(math.log(u) / n))) for u in (low, high)))


def surprise(away: float, n: int) -> float:
    """How likely the largest of n standard normal draws lies at least `away`: 1 - Φ(away)ⁿ."""
    return float(-math.expm1(n * stats.norm.logcdf(away)))


def expected_extreme(n: int) -> tuple[float, Interval]:
    """Mean and 95 % range of how far the largest of n normal draws lies above their mean, in their own sample std.

    From 20,000 seeded simulations; for more than 200 draws the std is as good as known, and the closed forms serve.
    """
    if n > 200:
        return expected_maximum(n), maximum_range(n)
    draws = np.random.default_rng(0).standard_normal((20_000, n))
    away = (draws.max(axis=1) - draws.mean(axis=1)) / draws.std(axis=1, ddof=1)
    low, high = np.quantile(away, [0.025, 0.975])
    return float(away.mean()), Interval(float(low), float(high))


def grubbs(scores: Array) -> tuple[float, float]:
    """p-values of the smallest and the largest of scores (S,) under one normal distribution.

    Grubbs 1969, one-sided, by the bound that its test is built on: at most n times Student's tail. nan below 5 seeds.
    """
    n = len(scores)
    if n < 5 or is_constant(scores):
        return NOTHING
    away = np.array([scores.mean() - scores.min(), scores.max() - scores.mean()]) / scores.std(ddof=1)
    rest = np.maximum((n - 1) ** 2 / n - away**2, 1e-12)
    p = np.minimum(1.0, n * stats.t.sf(away * np.sqrt((n - 2) / rest), n - 2))
    return float(p[0]), float(p[1])


def outliers(scores: Array, level: float = 0.05) -> Array:
    """Positions of the scores (S,) that stand out of a normal distribution, the furthest first; none below 5 seeds.

    Rosner's generalised extreme Studentized deviate, up to a quarter of the scores and at most 100: several outliers do
    not hide one another. Rosner 1983, "Percentage points for a generalized ESD many-outlier procedure".
    """
    n, left, found = len(scores), np.arange(len(scores)), 0
    removed: list[int] = []
    for i in range(min(n // 4, 100) if n >= 5 else 0):
        rest = scores[left]
        if is_constant(rest):
            break
        away = np.abs(rest - rest.mean()) / rest.std(ddof=1)
        furthest = int(away.argmax())
        removed.append(int(left[furthest]))
        left = np.delete(left, furthest)
        m = n - i
        t = stats.t.ppf(1 - level / (2 * m), m - 2)
        if away[furthest] > t * (m - 1) / math.sqrt((m - 2 + t**2) * m):
            found = i + 1
    return np.array(removed[:found], dtype=int)


def unseen_rate(n: int, level: float = 0.95) -> float:
    """The largest share of seeds that n seeds may all have missed, with probability 1 - level: about 3/n for 95 %."""
    return 1 - (1 - level) ** (1 / n)


# Curves.


@dataclass(frozen=True)
class Bands:
    """Over seeds, for each epoch (E,): mean, sample std, smallest and largest."""

    mean: Array
    std: Array
    min: Array
    max: Array


def bands(curves: Array) -> Bands:
    """Bands of curves (S, E); std is nan for one seed."""
    return Bands(curves.mean(axis=0), sample_std(curves), curves.min(axis=0), curves.max(axis=0))


def running(scores: Array) -> Bands:
    """Bands of the first 1, 2, ... S of scores (S,): each (S,); std begins with nan."""
    n = np.arange(1, len(scores) + 1)
    centred = scores - scores.mean()  # else the squares would cancel
    first, second = np.cumsum(centred) / n, np.cumsum(centred**2)
    with np.errstate(invalid="ignore", divide="ignore"):
        std = np.sqrt(np.maximum(0.0, second - n * first**2) / (n - 1))
    return Bands(first + scores.mean(), std, np.minimum.accumulate(scores), np.maximum.accumulate(scores))


def flat_from(curves: Array) -> int:
    """The index of the first epoch from which the mean of curves (S, E) stays within half a std of its last value.

    The std is that of the middle half of the seeds, as if normal: a few seeds far off do not make a curve flat.
    """
    mean, std = curves.mean(axis=0), stats.iqr(curves[:, -1]) / 1.349
    away = np.flatnonzero(np.abs(mean - mean[-1]) > std / 2)
    return int(away[-1]) + 1 if len(away) else 0


def late_spread_ratio(curves: Array, start: int, level: float = 0.95) -> tuple[float, Interval]:
    """Whether the std goes on falling in epochs `start` and later of curves (S, E), where the mean is flat.

    The root mean square of the std over the second half of those epochs, divided by that over the first. The interval
    is the jackknife's on the logarithm (Miller 1968, "Jackknifing variances"). nan for fewer than 4 such epochs or 10
    seeds.
    """
    n, epochs = len(curves), curves.shape[1] - start
    if epochs < 4 or n < 10 or any(map(is_constant, curves[:, start:].T)):
        return math.nan, Interval(*NOTHING)
    squares = (curves[:, start:] - curves[:, start:].mean(axis=0)) ** 2
    sums = squares.sum(axis=0)
    without = (sums - squares * n / (n - 1)) / (n - 2)  # each variance without one seed, (S, epochs)
    half = epochs // 2

    def log_ratio(variances: Array) -> Array:
        return np.log(variances[..., -half:].mean(axis=-1) / variances[..., :half].mean(axis=-1)) / 2

    whole = float(log_ratio(sums / (n - 1)))
    pseudo = n * whole - (n - 1) * log_ratio(without)
    away = stats.t.ppf((1 + level) / 2, n - 1) * pseudo.std(ddof=1) / math.sqrt(n)
    return math.exp(whole), Interval(*(float(np.exp(pseudo.mean() + side * away)) for side in (-1, 1)))


# Several studies.


def correlation(one: Array, other: Array, level: float = 0.95) -> tuple[float, Interval]:
    """Pearson's correlation of pairs (S,), (S,) and Fisher's (1921) interval; nan below 4, or where one is constant."""
    if len(one) < 4 or is_constant(one) or is_constant(other):
        return math.nan, Interval(*NOTHING)
    found = stats.pearsonr(one, other)
    return float(found.statistic), Interval(*map(float, found.confidence_interval(level)))


def brown_forsythe(groups: Sequence[Array]) -> float:
    """p-value of equal spreads in several sets of scores (Brown and Forsythe 1974); nan below 3 seeds in one."""
    if min(map(len, groups)) < 3 or all(map(is_constant, groups)):
        return math.nan
    return float(stats.levene(*groups, center="median").pvalue)


# Test examples.


def share_right(correct: Iterable[Array], examples: int) -> Array:
    """The share of seeds that got each example right, (N,), from rows of packed bits, `numpy.packbits` of (N,) bool."""
    total, seeds = np.zeros(examples, np.int64), 0
    for row in correct:
        total += np.unpackbits(row, count=examples)
        seeds += 1
    return total / seeds


def independent_example_variance(share: Array, seeds: int) -> float:
    """Variance over seeds of the accuracy (a fraction) if seeds erred on each example independently.

    `share` (N,) of `seeds` got each example right: 1/N² Σ S/(S-1)·p(1-p). Jordan 2023, arXiv 2304.01910, section 4.
    """
    return float(seeds / (seeds - 1) * (share * (1 - share)).sum() / len(share) ** 2) if seeds > 1 else math.nan
