"""Whether a candidate's scores are better than a baseline's: pure functions on arrays, with their sources.

Shapes: baseline (S,) and candidate (T,), one score a seed, larger is better; a pair, two arrays of one length, has the
same seed at the same place. Differences are candidate - baseline. Every interval holds 95 % unless told; what is random
has a generator of its own, by `seed`. Every function raises ValueError for fewer than two scores in an arm.
"""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from scipy import optimize, special, stats

from src.study.statistics import Array, Interval, independent_example_variance, sample_std

DRAWS = 10_000
AT_A_TIME = 1_000_000  # numbers drawn at a time: they stay in the cache
EXACT = 20_000  # arrangements that are all gone through; of more, as many as asked are drawn
GAMMA = 0.75  # Bouthillier et al. 2021, section 5: what P(candidate > baseline) may reach and still not matter


def _checked(baseline: Array, candidate: Array, pairs: bool = False) -> tuple[Array, Array]:
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


def _square_error(scores: Array) -> float:
    """Of the mean."""
    return float(sample_std(scores)) ** 2 / len(scores)


def welch(baseline: Array, candidate: Array, level: float = 0.95, cautious: bool = False) -> Difference:
    """The difference of two independent means, spreads free to differ (Welch 1947).

    `cautious` takes the degrees of freedom of the smaller arm (Hsu 1938): for normal scores it never rejects too often,
    where Welch's do with very few seeds beside many (12 % instead of 5 % with 2 beside 20).
    """
    one, other = _checked(baseline, candidate)
    a, b = _square_error(one), _square_error(other)
    rest = a**2 / (len(one) - 1) + b**2 / (len(other) - 1)
    freedom = (a + b) ** 2 / rest if rest else float(len(one) + len(other) - 2)
    if cautious:
        freedom = min(len(one), len(other)) - 1
    return Difference.of(float(other.mean() - one.mean()), math.sqrt(a + b), freedom, level)


def paired(baseline: Array, candidate: Array, level: float = 0.95) -> Difference:
    """The mean difference of pairs (S,), (S,), by Student's test. It holds whether or not the two correlate."""
    one, other = _checked(baseline, candidate, pairs=True)
    apart = other - one
    return Difference.of(float(apart.mean()), math.sqrt(_square_error(apart)), len(apart) - 1, level)


def effect_size(baseline: Array, candidate: Array, level: float = 0.95) -> tuple[float, Interval]:
    """Cohen's d, the difference in pooled stds, with Hedges' exact correction for few seeds, and its interval.

    Hedges 1981, "Distribution theory for Glass's estimator of effect size", eq. 6e; the interval by the large-sample
    error of Hedges and Olkin 1985, section 5. nan where nothing varies.
    """
    one, other = _checked(baseline, candidate)
    n, m = len(one), len(other)
    freedom = n + m - 2
    pooled = math.sqrt((_square_error(one) * n * (n - 1) + _square_error(other) * m * (m - 1)) / freedom)
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
    one, other = _checked(baseline, candidate)
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
    one, other = _checked(baseline, candidate, pairs=True)
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
    one, other = _checked(baseline, candidate, pairs)
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


# Stochastic order.


@lru_cache(maxsize=8)
def _steps(n: int, m: int) -> tuple[Array, Array, Array]:
    """Where the quantile functions of n and of m scores are both flat: widths (K,), and the ranks there of either."""
    ends = np.union1d(np.arange(1, n + 1) * m, np.arange(1, m + 1) * n)  # in units of 1/(n·m), exact
    return np.diff(ends, prepend=0) / (n * m), (ends - 1) // m, (ends - 1) // n


def _violation(one: Array, other: Array) -> Array:
    """The violation ratio for sorted rows (..., S) and (..., T); one half where the two are the same."""
    width, at_one, at_other = _steps(one.shape[-1], other.shape[-1])
    apart = one[..., at_one] - other[..., at_other]
    squares = apart**2
    whole = squares @ width
    part = np.where(apart > 0, squares, 0.0) @ width
    return np.divide(part, whole, out=np.full(np.shape(whole), 0.5), where=whole > 0)


def violation_ratio(baseline: Array, candidate: Array) -> float:
    """How far the candidate is from beating the baseline at every quantile: 0 where it does, 1 where it never does.

    ∫(Q_b - Q_c)₊² / ∫(Q_b - Q_c)² over the quantile functions, integrated exactly over their steps (del Barrio,
    Cuesta-Albertos and Matran 2018, "An optimal transportation approach for assessing almost stochastic order").
    """
    one, other = _checked(baseline, candidate)
    return float(_violation(np.sort(one), np.sort(other)))


def almost_stochastic_dominance(
    baseline: Array, candidate: Array, alpha: float = 0.05, draws: int = DRAWS, seed: int = 0
) -> float:
    """The upper bound ε_min of `violation_ratio` at confidence 1 - alpha; below 0.2 the candidate is better.

    Dror, Shlomov and Reichart 2019, "Deep dominance", take 0.5 for the limit; so does one in five comparisons of
    equals, and Ulmer et al. 2022 advise 0.2, which from 10 seeds an arm on fewer than 5 % fall below.
    ε - σ Φ⁻¹(alpha) / sqrt(ST/(S+T)), within 0 to 1, where σ is the bootstrap std of sqrt(ST/(S+T))·(ε* - ε).
    The usual 1,000 draws leave ε_min a std of up to 0.01 of their own: ε* has long tails.
    """
    one, other = (np.sort(scores) for scores in _checked(baseline, candidate))
    rng = np.random.default_rng(seed)

    def resampled(scores: Array, size: int) -> Array:
        places = rng.integers(0, len(scores), (size, len(scores)), dtype=np.int32)
        places.sort(axis=1)  # of whole numbers: faster than of the scores
        return scores[places]

    found = [
        _violation(resampled(one, size), resampled(other, size)) for size in _chunks(draws, 2 * (len(one) + len(other)))
    ]
    # The factors sqrt(ST/(S+T)) of σ and of its use cancel.
    spread = float(np.concatenate(found).std())
    return float(np.clip(_violation(one, other) - spread * stats.norm.ppf(alpha), 0.0, 1.0))


# Several candidates.


def holm(p: Array) -> Array:
    """p-values (K,) adjusted so that the chance of any false positive among them stays what it is (Holm 1979)."""
    p = np.asarray(p, dtype=float)
    order = np.argsort(p, kind="stable")
    adjusted = np.empty_like(p)
    adjusted[order] = np.minimum(1.0, np.maximum.accumulate(p[order] * np.arange(len(p), 0, -1)))
    return adjusted


# Test examples. Shares (N,) are of seeds that got each example right: `statistics.share_right` of packed bits, a row at
# a time. All are fractions.


def example_error(baseline: Array, candidate: Array, same: bool) -> float:
    """The standard error that the choice of test examples leaves in the difference of two accuracies.

    From the shares right of either: where both were scored on the `same` examples, from their differences example by
    example; else each test set adds its own.
    """
    if same:
        return float((candidate - baseline).std(ddof=1) / math.sqrt(len(baseline)))
    return math.hypot(*(float(share.std(ddof=1)) / math.sqrt(len(share)) for share in (baseline, candidate)))


def shared_variance(baseline: Array, n: int, candidate: Array, m: int, both: Array | None = None) -> float:
    """What the squared errors over seeds and over examples both hold: chance of single seeds on single examples.

    Shares of n and of m seeds; `both` (N,) is the share of seeds that got an example right in both arms, where seeds
    and examples are paired. It is to be counted once when the two errors are added up.
    """
    if min(n, m) < 2:
        return math.nan
    variance = independent_example_variance(baseline, n) / n + independent_example_variance(candidate, m) / m
    if both is None:
        return variance
    return variance - 2 * float((both - baseline * candidate).sum()) / ((n - 1) * len(both) ** 2)


def over_seeds_and_examples(
    over_seeds: Difference, examples: float, shared: float, count: int, level: float = 0.95
) -> Difference:
    """The difference as other seeds and other test examples would give it: both errors added up.

    `examples` is their standard error, `shared` the variance that both count, in the units of the difference; `count`
    is how many examples there are. Degrees of freedom after Satterthwaite 1946.
    """
    seeds = over_seeds.error**2
    square = max(seeds + examples**2 - shared, seeds, examples**2)
    rest = seeds**2 / over_seeds.freedom + examples**4 / max(count - 1, 1)
    freedom = square**2 / rest if rest else over_seeds.freedom
    return Difference.of(over_seeds.value, math.sqrt(square), freedom, level)


# Planning.


def _planned(n: int, std: float, other: float | None, pairs: bool) -> tuple[float, float]:
    """Standard error of the difference of means and Welch's degrees of freedom, of n seeds an arm or n pairs."""
    _positive(std=std, other=std if other is None else other)
    if n < 2:
        raise ValueError(f"n={n}: one seed has no spread; 2 are the fewest")
    if pairs:
        return std / math.sqrt(n), n - 1
    ratio = 1.0 if other is None else other / std
    return std * math.sqrt((1 + ratio**2) / n), (n - 1) * (1 + ratio**2) ** 2 / (1 + ratio**4)


def _t_power(away: float, freedom: float, alpha: float) -> float:
    """Chance that a two-sided t-test rejects where the truth lies `away` standard errors from 0."""
    if freedom > 1e5:  # as good as normal, and there the noncentral t is slow
        z = float(stats.norm.isf(alpha / 2))
        return float(stats.norm.sf(z - away) + stats.norm.cdf(-z - away))
    t = float(stats.t.isf(alpha / 2, freedom))
    wrong_side = float(np.nan_to_num(stats.nct.cdf(-t, freedom, away)))  # nan where it is too small to matter
    return min(1.0, float(stats.nct.sf(t, freedom, away)) + wrong_side)


def achieved_power(
    n: int, difference: float, std: float, other: float | None = None, alpha: float = 0.05, pairs: bool = False
) -> float:
    """Chance that n seeds an arm show a true difference at level alpha, by Welch's test of normal scores.

    `std` is the baseline's, `other` the candidate's where it differs; with `pairs`, `std` is that of the differences.
    """
    error, freedom = _planned(n, std, other, pairs)
    return _t_power(abs(difference) / error, freedom, alpha)


def seeds_needed(
    std: float,
    difference: float,
    power: float = 0.8,
    alpha: float = 0.05,
    other: float | None = None,
    pairs: bool = False,
) -> int:
    """The fewest seeds an arm, at least 2, that show a true `difference` with this power: 84 for 0.23 and 0.1.

    2 (z_{1-alpha/2} + z_power)² std²/difference², refined by the noncentral t distribution. A power is reached where it
    is when rounded to a tenth of a percent: those 84 have 79.995 %. Arguments as in `achieved_power`.
    """
    _between(power=power, alpha=alpha)
    _positive(std=std, difference=abs(difference))
    square = (std / difference) ** 2 if pairs else (std / difference) ** 2 + ((other or std) / difference) ** 2
    normal = (stats.norm.isf(alpha / 2) + stats.norm.ppf(max(power, 0.5))) ** 2 * square

    def enough(n: int) -> bool:
        return achieved_power(n, difference, std, other, alpha, pairs) >= power - 0.0005

    low, high = 1, max(2, math.ceil(normal))
    while not enough(high):
        low, high = high, math.ceil(1.2 * high) + 1
    while high - low > 1:  # the power grows with n
        middle = (low + high) // 2
        low, high = (low, middle) if enough(middle) else (middle, high)
    return high


def detectable_errors(freedom: float, power: float = 0.8, alpha: float = 0.05) -> float:
    """How many standard errors a true difference must measure to be shown with this power: 2.80 for many seeds."""
    _between(power=power, alpha=alpha)
    if power <= alpha:
        raise ValueError(f"power={power}: alpha={alpha} is reached without any difference")
    high = 2.0
    while _t_power(high, freedom, alpha) < power:
        high *= 2
    return float(optimize.brentq(lambda away: _t_power(away, freedom, alpha) - power, 0, high, rtol=1e-12))


def detectable_difference(
    std: float, n: int, power: float = 0.8, alpha: float = 0.05, other: float | None = None, pairs: bool = False
) -> float:
    """The smallest true difference that n seeds an arm show with this power; arguments as in `achieved_power`."""
    error, freedom = _planned(n, std, other, pairs)
    return error * detectable_errors(freedom, power, alpha)


def _positive(**values: float) -> None:
    for name, value in values.items():
        if not (math.isfinite(value) and value > 0):
            raise ValueError(f"{name}={value}: a positive number is needed")


def _between(**values: float) -> None:
    for name, value in values.items():
        if not 0 < value < 1:
            raise ValueError(f"{name}={value}: a number between 0 and 1 is needed")
