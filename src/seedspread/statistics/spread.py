"""Statistics of scores over seeds: pure functions on arrays, with their sources.

Shapes: scores (S,) one number a seed; curves (S, E) one a seed and epoch; correct (S, N) bool, one a seed and test
example. Every variance is the sample's (ddof=1). Every interval holds 95 % unless told; what is random has a seed.
"""

import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from scipy import stats

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
