"""Whether a candidate's scores are better than a baseline's: pure functions on arrays, with their sources.

Shapes: baseline (S,) and candidate (T,), one score a seed, larger is better; a pair, two arrays of one length, has the
same seed at the same place. Differences are candidate - baseline. Every interval holds 95 % unless told; what is random
has a generator of its own, by `seed`. Every function raises ValueError for fewer than two scores in an arm.
"""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from scipy import special, stats

from seedspread.statistics.spread import Array, Interval, sample_std

DRAWS = 10_000
AT_A_TIME = 1_000_000  # numbers drawn at a time: they stay in the cache
EXACT = 20_000  # arrangements that are all gone through; of more, as many as asked are drawn
GAMMA = 0.75  # Bouthillier et al. 2021, section 5: what P(candidate > baseline) may reach and still not matter


def check_scores(baseline: Array, candidate: Array, pairs: bool = False) -> tuple[Array, Array]:
    one, other = np.asarray(baseline, dtype=float), np.asarray(candidate, dtype=float)
    if one.ndim != 1 or other.ndim != 1 or min(len(one), len(other)) < 2:
        raise ValueError(f"two scores or more in each arm, in one dimension: {one.shape} and {other.shape} are given")
    if pairs and len(one) != len(other):
        raise ValueError(f"pairs have as many scores in both arms: {len(one)} and {len(other)} are given")
    if not (np.isfinite(one).all() and np.isfinite(other).all()):
        raise ValueError("a score is not finite")
    return one, other


# Difference of means.


@dataclass(frozen=True)
class Difference:
    """A difference of means with its standard error, degrees of freedom, interval and two-sided p-value."""

    value: float
    error: float
    freedom: float
    interval: Interval
    p: float

    @classmethod
    def of(cls, value: float, error: float, freedom: float, level: float) -> "Difference":
        """By Student's distribution; where nothing varies, p is 1 without a difference and 0 with one."""
        half = float(stats.t.ppf((1 + level) / 2, freedom)) * error
        p = 2 * float(stats.t.sf(abs(value) / error, freedom)) if error else float(value == 0)
        return cls(value, error, freedom, Interval(value - half, value + half), p)


def _squared_error(scores: Array) -> float:
    """Of the mean."""
    return float(sample_std(scores)) ** 2 / len(scores)


def welch_test(baseline: Array, candidate: Array, level: float = 0.95, cautious: bool = False) -> Difference:
    """The difference of two independent means, spreads free to differ (Welch 1947).

    `cautious` takes the degrees of freedom of the smaller arm (Hsu 1938): for normal scores it never rejects too often,
    where Welch's do with very few seeds beside many (12 % instead of 5 % with 2 beside 20).
    """
    one, other = check_scores(baseline, candidate)
    a, b = _squared_error(one), _squared_error(other)
    rest = a**2 / (len(one) - 1) + b**2 / (len(other) - 1)
    freedom = (a + b) ** 2 / rest if rest else float(len(one) + len(other) - 2)
    if cautious:
        freedom = min(len(one), len(other)) - 1
    return Difference.of(float(other.mean() - one.mean()), math.sqrt(a + b), freedom, level)


def paired_t_test(baseline: Array, candidate: Array, level: float = 0.95) -> Difference:
    """The mean difference of pairs (S,), (S,), by Student's test. It holds whether or not the two correlate."""
    one, other = check_scores(baseline, candidate, pairs=True)
    apart = other - one
    return Difference.of(float(apart.mean()), math.sqrt(_squared_error(apart)), len(apart) - 1, level)


def effect_size(baseline: Array, candidate: Array, level: float = 0.95) -> tuple[float, Interval]:
    """Cohen's d, the difference in pooled stds, with Hedges' exact correction for few seeds, and its interval.

    Hedges 1981, "Distribution theory for Glass's estimator of effect size", eq. 6e; the interval by the large-sample
    error of Hedges and Olkin 1985, section 5. nan where nothing varies.
    """
    one, other = check_scores(baseline, candidate)
    n, m = len(one), len(other)
    freedom = n + m - 2
    pooled = math.sqrt((_squared_error(one) * n * (n - 1) + _squared_error(other) * m * (m - 1)) / freedom)
    if not pooled:
        return math.nan, Interval(math.nan, math.nan)
    correction = math.exp(special.gammaln(freedom / 2) - special.gammaln((freedom - 1) / 2)) / math.sqrt(freedom / 2)
    g = float(correction * (other.mean() - one.mean()) / pooled)
    half = float(stats.norm.ppf((1 + level) / 2)) * math.sqrt((n + m) / (n * m) + g**2 / (2 * (n + m)))
    return g, Interval(g - half, g + half)


# Permutations.


def permutation_test(baseline: Array, candidate: Array, draws: int = DRAWS, seed: int = 0) -> float:
    """Two-sided p of no difference, by dealing all scores out anew to the two arms.

    What is compared is Welch's t, not the bare difference: so it holds for equal distributions of any shape, and for
    large arms where only the means are equal (Janssen 1997; Chung and Romano 2013). All deals where they are at most
    20,000, else seeded ones, p = (1 + as far) / (1 + draws) (Phipson and Smyth 2010).
    """
    one, other = check_scores(baseline, candidate)
    middle = np.concatenate([one, other]).mean()  # taken out: squares would cancel

    def t(x: Array, y: Array, axis: int = -1) -> Array:
        apart = y.mean(axis=axis) - x.mean(axis=axis)
        error = np.sqrt(x.var(axis=axis, ddof=1) / x.shape[axis] + y.var(axis=axis, ddof=1) / y.shape[axis])
        # Where nothing varies any difference at all is as far as can be; 1e-12 of it is what rounding leaves.
        return np.abs(apart) / np.maximum(error, 1e-12 * np.abs(apart) + 1e-300)

    ways = math.comb(len(one) + len(other), len(one))
    return _permuted((one - middle, other - middle), t, "independent", ways, draws, seed)


def sign_flip_test(baseline: Array, candidate: Array, draws: int = DRAWS, seed: int = 0) -> float:
    """Two-sided p of no difference of pairs, by exchanging the two of a pair (Fisher 1935, section 21).

    All exchanges where they are at most 20,000 (14 pairs), else seeded ones, p as in `permutation_test`.
    """
    one, other = check_scores(baseline, candidate, pairs=True)
    apart = other - one

    def mean(apart: Array, axis: int = -1) -> Array:
        return np.abs(apart.mean(axis=axis))

    return _permuted((apart / max(np.abs(apart).max(), 1e-300),), mean, "samples", 2 ** len(one), draws, seed)


def _permuted(
    data: tuple[Array, ...], away: Callable[..., Array], kind: str, ways: int, draws: int, seed: int
) -> float:
    """The share of arrangements that lie as far `away`, to nine decimals: rounding must not part what is equal."""
    found = stats.permutation_test(
        data,
        lambda *arms, axis: np.round(away(*arms, axis=axis), 9),
        permutation_type=kind,
        alternative="greater",
        n_resamples=ways if ways <= EXACT else draws,
        batch=max(1, AT_A_TIME // sum(map(len, data))),
        rng=np.random.default_rng(seed),
    )
    return float(found.pvalue)


# How often the candidate wins.


def _chunks(draws: int, width: int) -> Iterator[int]:
    """How many draws of `width` numbers to take at a time, until there are `draws`."""
    size = max(1, AT_A_TIME // width)
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
        worth = np.array([1.0, 0.5, 0.0])
        value, found = float(shares @ worth), rng.multinomial(n, shares, draws) @ worth / n
    else:
        one = np.sort(one)
        # How many of the baseline each of the candidate beats, or ties with, in any resample of the baseline follows
        # from how often each was drawn, summed up to these places: no resample is sorted.
        below, upto = np.searchsorted(one, other, "left"), np.searchsorted(one, other, "right")
        n, m = len(one), len(other)
        value, wins = float((below + upto).sum() / (2 * n * m)), []
        for size in _chunks(draws, n + m):
            upto_here = np.zeros((size, n + 1))
            np.cumsum(_counts(rng, size, n), axis=1, out=upto_here[:, 1:])
            beaten = upto_here[:, below]
            beaten += upto_here[:, upto]
            wins.append(np.einsum("ij,ij->i", beaten, _counts(rng, size, m)) / (2 * n * m))
        found = np.concatenate(wins)
    low, high = np.quantile(found, [(1 - level) / 2, (1 + level) / 2])
    return value, Interval(float(low), float(high))


def _counts(rng: np.random.Generator, size: int, n: int) -> Array:
    """How often each of n is drawn in `size` resamples with replacement: (size, n)."""
    drawn = rng.integers(0, n, (size, n))
    drawn += n * np.arange(size)[:, None]
    return np.bincount(drawn.ravel(), minlength=size * n).reshape(size, n)


def bouthillier_verdict(interval: Interval, gamma: float = GAMMA) -> str:
    """What Bouthillier et al. 2021, appendix C.6, conclude from an interval of P(candidate > baseline).

    Not to be asked of fewer than about 10 seeds an arm: with 3 it says "significant" in 11 % of comparisons of equals.
    """
    if not interval.low > 0.5:
        return "not significant"
    return "significant and meaningful" if interval.high > gamma else "significant, not meaningful"


# Several candidates.


def holm(p: Array) -> Array:
    """p-values (K,) adjusted so that the chance of any false positive among them stays what it is (Holm 1979)."""
    p = np.asarray(p, dtype=float)
    order = np.argsort(p, kind="stable")
    adjusted = np.empty_like(p)
    adjusted[order] = np.minimum(1.0, np.maximum.accumulate(p[order] * np.arange(len(p), 0, -1)))
    return adjusted
