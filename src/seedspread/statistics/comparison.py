"""Tests and effect sizes for two arms: is a candidate better than a baseline?

Shapes: baseline (S,) and candidate (T,), one score per seed, larger is better; paired arrays have equal lengths and the
same seed at the same index. Differences are candidate - baseline. Intervals have level 95 % by default; a function that
draws at random has its own generator, seeded by `seed`. All raise ValueError for fewer than two scores in an arm.
"""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from scipy import special, stats

from seedspread.statistics.spread import UNKNOWN, Array, Interval, sample_std

DRAWS = 10_000
BATCH = 1_000_000  # numbers drawn at a time, few enough for the cache
EXACT = 20_000  # up to so many arrangements are enumerated; of more, a sample is drawn
GAMMA = 0.75  # Bouthillier et al. 2021, section 5: P(candidate > baseline) up to which a difference is not meaningful


def check_scores(baseline: Array, candidate: Array, pairs: bool = False) -> tuple[Array, Array]:
    """Both arms as float arrays; ValueError for fewer than two scores, unequal pairs, or a score that is not finite."""
    one, other = np.asarray(baseline, dtype=float), np.asarray(candidate, dtype=float)
    if one.ndim != 1 or other.ndim != 1 or min(len(one), len(other)) < 2:
        raise ValueError(f"each arm needs two or more scores in one dimension, not {one.shape} and {other.shape}")
    if pairs and len(one) != len(other):
        raise ValueError(f"paired arms need equally many scores, not {len(one)} and {len(other)}")
    if not (np.isfinite(one).all() and np.isfinite(other).all()):
        raise ValueError("a score is not finite")
    return one, other


@dataclass(frozen=True)
class Difference:
    """A difference of means with its standard error, degrees of freedom, interval and two-sided p-value."""

    value: float
    error: float
    degrees_of_freedom: float
    interval: Interval
    p: float

    @classmethod
    def of(cls, value: float, error: float, degrees_of_freedom: float, level: float) -> "Difference":
        """By Student's distribution; without any variance p is 1 for no difference and 0 for one."""
        half = float(special.stdtrit(degrees_of_freedom, (1 + level) / 2)) * error
        p = 2 * float(special.stdtr(degrees_of_freedom, -abs(value) / error)) if error else float(value == 0)
        return cls(value, error, degrees_of_freedom, Interval(value - half, value + half), p)


def _squared_error(scores: Array) -> float:
    """The squared standard error of the mean."""
    return float(sample_std(scores)) ** 2 / len(scores)


def welch_test(baseline: Array, candidate: Array, level: float = 0.95, cautious: bool = False) -> Difference:
    """The difference of two independent means with unequal variances (Welch 1947).

    `cautious` takes the degrees of freedom of the smaller arm (Hsu 1938): for normal scores it never rejects too often,
    as Welch's do with few seeds against many (12 % instead of 5 % with 2 against 20).
    """
    one, other = check_scores(baseline, candidate)
    a, b = _squared_error(one), _squared_error(other)
    rest = a**2 / (len(one) - 1) + b**2 / (len(other) - 1)
    degrees_of_freedom = (a + b) ** 2 / rest if rest else float(len(one) + len(other) - 2)
    if cautious:
        degrees_of_freedom = min(len(one), len(other)) - 1
    return Difference.of(float(other.mean() - one.mean()), math.sqrt(a + b), degrees_of_freedom, level)


def paired_t_test(baseline: Array, candidate: Array, level: float = 0.95) -> Difference:
    """The mean difference of pairs (S,), (S,), by Student's test, valid whether or not the arms correlate."""
    one, other = check_scores(baseline, candidate, pairs=True)
    apart = other - one
    return Difference.of(float(apart.mean()), math.sqrt(_squared_error(apart)), len(apart) - 1, level)


def effect_size(baseline: Array, candidate: Array, level: float = 0.95) -> tuple[float, Interval]:
    """Hedges' g: Cohen's d, the difference in pooled stds, with the exact small-sample correction, and its interval.

    Hedges 1981, "Distribution theory for Glass's estimator of effect size", eq. 6e; the interval by the large-sample
    error of Hedges and Olkin 1985, section 5. nan where both arms are constant.
    """
    one, other = check_scores(baseline, candidate)
    n, m = len(one), len(other)
    degrees = n + m - 2
    pooled = math.sqrt((_squared_error(one) * n * (n - 1) + _squared_error(other) * m * (m - 1)) / degrees)
    if not pooled:
        return math.nan, UNKNOWN
    correction = math.exp(special.gammaln(degrees / 2) - special.gammaln((degrees - 1) / 2)) / math.sqrt(degrees / 2)
    g = float(correction * (other.mean() - one.mean()) / pooled)
    half = float(special.ndtri((1 + level) / 2)) * math.sqrt((n + m) / (n * m) + g**2 / (2 * (n + m)))
    return g, Interval(g - half, g + half)


def permutation_test(baseline: Array, candidate: Array, draws: int = DRAWS, seed: int = 0) -> float:
    """Two-sided p of no difference, by permuting all scores between the two arms.

    The statistic is Welch's t, not the difference: so the test is valid for equal distributions of any shape, and in
    large arms also where only the means are equal (Janssen 1997; Chung and Romano 2013). All permutations where they
    are at most 20,000, else seeded draws with p = (1 + as extreme) / (1 + draws) (Phipson and Smyth 2010).
    """
    one, other = check_scores(baseline, candidate)
    middle = np.concatenate([one, other]).mean()  # subtracted against cancellation in the squares

    def t(x: Array, y: Array, axis: int = -1) -> Array:
        apart = y.mean(axis=axis) - x.mean(axis=axis)
        error = np.sqrt(x.var(axis=axis, ddof=1) / x.shape[axis] + y.var(axis=axis, ddof=1) / y.shape[axis])
        # Without variance any difference is infinitely extreme; 1e-12 of it is what rounding leaves.
        return np.abs(apart) / np.maximum(error, 1e-12 * np.abs(apart) + 1e-300)

    ways = math.comb(len(one) + len(other), len(one))
    return _permutation_p((one - middle, other - middle), t, "independent", ways, draws, seed)


def sign_flip_test(baseline: Array, candidate: Array, draws: int = DRAWS, seed: int = 0) -> float:
    """Two-sided p of no difference of pairs, by swapping the scores within pairs (Fisher 1935, section 21).

    All swaps where they are at most 20,000 (14 pairs), else seeded draws; p as in `permutation_test`.
    """
    one, other = check_scores(baseline, candidate, pairs=True)
    apart = other - one

    def mean(apart: Array, axis: int = -1) -> Array:
        return np.abs(apart.mean(axis=axis))

    return _permutation_p((apart / max(np.abs(apart).max(), 1e-300),), mean, "samples", 2 ** len(one), draws, seed)


def _permutation_p(
    data: tuple[Array, ...], away: Callable[..., Array], kind: str, ways: int, draws: int, seed: int
) -> float:
    """The share of arrangements at least as far `away`, compared to nine decimals so that rounding splits no ties."""
    found = stats.permutation_test(
        data,
        lambda *arms, axis: np.round(away(*arms, axis=axis), 9),
        permutation_type=kind,
        alternative="greater",
        n_resamples=ways if ways <= EXACT else draws,
        batch=max(1, BATCH // sum(map(len, data))),
        rng=np.random.default_rng(seed),
    )
    return float(found.pvalue)


def split_draws(draws: int, width: int) -> Iterator[int]:
    """Batch sizes that sum to `draws`, each small enough for draws of `width` numbers to stay in the cache."""
    size = max(1, BATCH // width)
    for start in range(0, draws, size):
        yield min(size, draws - start)


def probability_of_improvement(
    baseline: Array, candidate: Array, pairs: bool = False, level: float = 0.95, draws: int = DRAWS, seed: int = 0
) -> tuple[float, Interval]:
    """P(candidate > baseline), ties one half, for two seeds drawn at random, and its percentile bootstrap interval.

    Mann and Whitney's U / (S·T); with `pairs` the share of pairs that the candidate wins. Agarwal et al. 2021, section
    4.3; Bouthillier et al. 2021, "Accounting for variance in machine learning benchmarks", appendix C.
    """
    one, other = check_scores(baseline, candidate, pairs)
    rng = np.random.default_rng(seed)
    if pairs:
        n, won = len(one), np.sign(other - one)
        shares = np.array([(won > 0).mean(), (won == 0).mean(), (won < 0).mean()])
        weights = np.array([1.0, 0.5, 0.0])
        value, found = float(shares @ weights), rng.multinomial(n, shares, draws) @ weights / n
    else:
        one = np.sort(one)
        # How many baseline scores each candidate score beats or ties in a resample follows from the cumulative counts
        # of the baseline at these places: no resample is sorted.
        below, upto = np.searchsorted(one, other, "left"), np.searchsorted(one, other, "right")
        n, m = len(one), len(other)
        value, wins = float((below + upto).sum() / (2 * n * m)), []
        for size in split_draws(draws, n + m):
            upto_here = np.zeros((size, n + 1))
            np.cumsum(_counts(rng, size, n), axis=1, out=upto_here[:, 1:])
            beaten = upto_here[:, below]
            beaten += upto_here[:, upto]
            wins.append(np.einsum("ij,ij->i", beaten, _counts(rng, size, m)) / (2 * n * m))
        found = np.concatenate(wins)
    low, high = np.quantile(found, [(1 - level) / 2, (1 + level) / 2])
    return value, Interval(float(low), float(high))


def _counts(rng: np.random.Generator, size: int, n: int) -> Array:
    """How often each of n scores is drawn in `size` resamples with replacement, (size, n)."""
    drawn = rng.integers(0, n, (size, n))
    drawn += n * np.arange(size)[:, None]
    return np.bincount(drawn.ravel(), minlength=size * n).reshape(size, n)


def bouthillier_verdict(interval: Interval, gamma: float = GAMMA) -> str:
    """The conclusion of Bouthillier et al. 2021, appendix C.6, from an interval of P(candidate > baseline).

    Invalid for fewer than about 10 seeds per arm: with 3, it says "significant" in 11 % of comparisons of equal arms.
    """
    if not interval.low > 0.5:
        return "not significant"
    return "significant and meaningful" if interval.high > gamma else "significant, not meaningful"


def holm(p: Array) -> Array:
    """p-values (K,) adjusted for K comparisons: the rate of any false positive stays at the level (Holm 1979)."""
    p = np.asarray(p, dtype=float)
    order = np.argsort(p, kind="stable")
    adjusted = np.empty_like(p)
    adjusted[order] = np.minimum(1.0, np.maximum.accumulate(p[order] * np.arange(len(p), 0, -1)))
    return adjusted
