"""Tests and effect sizes for two arms: is a candidate better than a baseline?

Shapes: baseline (S,) and candidate (T,), one score per seed, larger is better; paired arrays have equal lengths and the
same seed at the same index. Differences are candidate - baseline. Intervals have level 95 % by default; a function that
draws at random has its own generator, seeded by `seed`. All raise ValueError for fewer than two scores in an arm.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import combinations

import numpy as np
from scipy import special, stats

from seedspread.statistics.spread import UNKNOWN, Array, Interval, sample_std

DRAWS = 10_000
BATCH = 1_000_000  # numbers drawn at a time, few enough for the cache
EXACT = 20_000  # up to so many arrangements are enumerated; of more, a sample is drawn
HALVINGS = 40  # of the range in which an end of an interval is looked for
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
    """A difference of means with its standard error, degrees of freedom, interval and two-sided p-value.

    With `permutations` of the same arms, the larger p and the wider interval of theirs and Student's; `widening` is how
    many times wider than Student's it is.
    """

    value: float
    error: float
    degrees_of_freedom: float
    interval: Interval
    p: float
    permutations: "Permutations | None" = None
    widening: float = 1.0

    @classmethod
    def of(cls, value: float, error: float, degrees_of_freedom: float, level: float) -> "Difference":
        """By Student's distribution; without any variance p is 1 for no difference and 0 for one."""
        half = float(special.stdtrit(degrees_of_freedom, (1 + level) / 2)) * error
        p = 2 * float(special.stdtr(degrees_of_freedom, -abs(value) / error)) if error else float(value == 0)
        return cls(value, error, degrees_of_freedom, Interval(value - half, value + half), p)

    def p_beyond(self, limit: float) -> float:
        """The p-value of a true difference of `limit` or more to either side: below 0.05 where the 95 % interval is
        within `limit`. Two one-sided tests (Schuirmann 1987), each at half the level.
        """
        if not self.error:
            return float(abs(self.value) >= limit)
        inside = (limit - abs(self.value)) / self.error
        p = min(1.0, 2 * float(special.stdtr(self.degrees_of_freedom, -inside)))
        return max(p, *(self.permutations.p(end) for end in (-limit, limit))) if self.permutations else p

    def with_permutations(self, permutations: "Permutations", level: float) -> "Difference":
        """The same where the permutations have to reject as well."""
        low, high = permutations.interval(level)
        interval = Interval(min(low, self.interval.low), max(high, self.interval.high))
        students = self.interval.high - self.interval.low
        widening = (interval.high - interval.low) / students if students else 1.0
        p = max(self.p, permutations.p())
        return replace(self, interval=interval, p=p, permutations=permutations, widening=widening)


def _squared_error(scores: Array) -> float:
    """The squared standard error of the mean."""
    return float(sample_std(scores)) ** 2 / len(scores)


@dataclass(frozen=True)
class Summary:
    """What is known of scores that are not at hand: their mean, their sample std (ddof=1), and how many there are."""

    mean: float
    std: float
    n: int

    @classmethod
    def of(cls, scores: Array) -> "Summary":
        return cls(float(scores.mean()), float(sample_std(scores)), len(scores))

    @property
    def squared_error(self) -> float:
        """The squared standard error of the mean."""
        return self.std**2 / self.n


def welch_test_of_summaries(
    baseline: Summary, candidate: Summary, level: float = 0.95, cautious: bool = False
) -> Difference:
    """As `welch_test`, of means and stds alone."""
    a, b = baseline.squared_error, candidate.squared_error
    rest = a**2 / (baseline.n - 1) + b**2 / (candidate.n - 1)
    degrees_of_freedom = (a + b) ** 2 / rest if rest else float(baseline.n + candidate.n - 2)
    if cautious:
        degrees_of_freedom = min(baseline.n, candidate.n) - 1
    return Difference.of(candidate.mean - baseline.mean, math.sqrt(a + b), degrees_of_freedom, level)


def welch_test(
    baseline: Array,
    candidate: Array,
    level: float = 0.95,
    cautious: bool = False,
    permutations: "Permutations | None" = None,
) -> Difference:
    """The difference of two independent means with unequal variances (Welch 1947).

    `cautious` takes the degrees of freedom of the smaller arm (Hsu 1938): for normal scores it never rejects too often,
    as Welch's do with few seeds against many (12 % instead of 5 % with 2 against 20). `permutations` of the same arms
    give the larger p and the wider interval of theirs and Welch's: so skewed scores in arms of unequal size are not
    rejected too often either (10 % instead of 5 % with 10 against 100).
    """
    one, other = check_scores(baseline, candidate)
    found = welch_test_of_summaries(Summary.of(one), Summary.of(other), level, cautious)
    return found.with_permutations(permutations, level) if permutations else found


def paired_t_test(baseline: Array, candidate: Array, level: float = 0.95) -> Difference:
    """The mean difference of pairs (S,), (S,), by Student's test, valid whether or not the arms correlate."""
    one, other = check_scores(baseline, candidate, pairs=True)
    apart = other - one
    return Difference.of(float(apart.mean()), math.sqrt(_squared_error(apart)), len(apart) - 1, level)


def one_sample_t_test(scores: Array, target: float, level: float = 0.95) -> Difference:
    """The mean of scores (S,) minus a fixed `target`, by Student's test.

    One-sided, its p-value on the side of the difference is half of `p`, and a bound of level 95 % is an end of the 90 %
    interval. ValueError for fewer than two scores.
    """
    scores, _ = check_scores(scores, scores)
    return Difference.of(float(scores.mean()) - target, math.sqrt(_squared_error(scores)), len(scores) - 1, level)


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


@dataclass(frozen=True)
class Permutations:
    """The scores of two arms permuted between them, from which Welch's |t| follows for any true difference.

    With r the deviation of a score from the mean of its arm, and g from 0 (baseline) or 1 (candidate) to the mean of
    these, a score is r + (value - true difference) g but for a constant. `sums` (5, P) are the sums of r, g, r², rg and
    g² over the smaller arm in each permutation, `observed` (5,) over that arm as it is, `whole` (5,) over all scores.
    `sizes` are the arms', the smaller first. `exact` where these are all permutations, the arms as they are among them;
    else they are drawn at random.
    """

    value: float
    sums: Array
    observed: Array
    whole: Array
    sizes: tuple[int, int]
    exact: bool

    def t(self, difference: float = 0.0) -> tuple[float, Array]:
        """Welch's |t| from a true `difference`: of the arms as they are, and of the permutations (P,)."""
        apart = self.value - difference
        sums = np.column_stack([self.observed, self.sums])
        error, means = np.zeros(sums.shape[1]), []
        for (r, g, rr, rg, gg), n in zip((sums, self.whole[:, None] - sums), self.sizes, strict=True):
            means.append((r + apart * g) / n)
            squares = rr + apart * (2 * rg + apart * gg)
            error += np.maximum(squares / n - means[-1] ** 2, 0) / (n - 1)
        between = np.abs(means[1] - means[0])
        # Without variance any difference is infinitely extreme; 1e-12 of its square is what rounding leaves.
        found = np.full(len(between), math.inf)
        np.divide(between, np.sqrt(error), out=found, where=error > 1e-12 * between**2)
        scale = math.sqrt(self.whole[2] / sum(self.sizes)) + abs(apart)
        found = np.where(between > 1e-12 * scale, found, 0.0)
        return float(found[0]), found[1:]

    def p(self, difference: float = 0.0) -> float:
        """Two-sided p of a true `difference`: the share of permutations at least as extreme; of drawn ones
        (1 + as extreme) / (1 + draws) (Phipson and Smyth 2010).
        """
        observed, null = self.t(difference)
        # A part in 1e9 is left to rounding, so that it splits no ties.
        as_extreme = np.count_nonzero(null >= observed * (1 - 1e-9))
        return (as_extreme + (not self.exact)) / (len(null) + (not self.exact))

    def interval(self, level: float = 0.95) -> Interval:
        """The differences that the permutations do not reject at 1 - level; it ends at infinity where so few cannot.

        Where arms are equal but for the difference of their means, it holds the true one at least as often as `level`
        (inversion of the test: Lehmann and Romano 2005, "Testing statistical hypotheses", section 5.12).
        """
        alpha, ends = round(1 - level, 9), []
        for sign in (-1, 1):
            inside, outside = self.value, None
            if sign * self.value < 0:  # so that 0 is in it exactly where it is not rejected
                inside, outside = (0.0, None) if self.p() >= alpha else (self.value, 0.0)
            ends.append(self._end(inside, self._reject(inside, sign, alpha) if outside is None else outside, alpha))
        return Interval(*ends)

    def _reject(self, inside: float, sign: int, alpha: float) -> float:
        """A rejected difference beyond `inside`, by doubled steps; infinite where there is none."""
        step = sign * (2 * math.sqrt(self.whole[2] / sum(self.sizes) / self.sizes[0]) or abs(self.value))
        for _ in range(HALVINGS):
            if self.p(inside + step) < alpha:
                return inside + step
            step *= 2
        return sign * math.inf

    def _end(self, inside: float, outside: float, alpha: float) -> float:
        """The last difference from `inside` to a rejected one, `outside`, that is not rejected, by bisection."""
        if math.isinf(outside):
            return outside
        for _ in range(HALVINGS):
            middle = (inside + outside) / 2
            inside, outside = (middle, outside) if self.p(middle) >= alpha else (inside, middle)
        return inside


def permute_arms(baseline: Array, candidate: Array, draws: int = DRAWS, seed: int = 0) -> Permutations:
    """The permutations of all scores between the two arms: all, where they are at most 20,000."""
    one, other = check_scores(baseline, candidate)
    sizes = (min(len(one), len(other)), max(len(one), len(other)))
    r = np.concatenate([one - one.mean(), other - other.mean()])
    g = np.repeat([0.0, 1.0], [len(one), len(other)]) - len(other) / sum(sizes)
    terms = np.stack([r, g, r**2, r * g, g**2])
    exact = math.comb(len(r), sizes[0]) <= EXACT
    drawn = [
        np.stack([term[members].sum(axis=1) for term in terms])
        for members in _members(len(r), sizes[0], exact, draws, seed)
    ]
    observed = terms[:, : sizes[0]] if len(one) == sizes[0] else terms[:, len(one) :]
    return Permutations(
        value=float(other.mean() - one.mean()),
        sums=np.concatenate(drawn, axis=1),
        observed=observed.sum(axis=1),
        whole=terms.sum(axis=1),
        sizes=sizes,
        exact=exact,
    )


def _members(n: int, k: int, exact: bool, draws: int, seed: int) -> Iterator[Array]:
    """Batches of k of n places, (P, k): every choice of them, or `draws` at random."""
    if exact:
        yield np.array(list(combinations(range(n), k)))
        return
    rng = np.random.default_rng(seed)
    for size in split_draws(draws, n):
        yield rng.permuted(np.tile(np.arange(n), (size, 1)), axis=1)[:, :k]


def permutation_test(baseline: Array, candidate: Array, draws: int = DRAWS, seed: int = 0) -> float:
    """Two-sided p of no difference, by permuting all scores between the two arms.

    The statistic is Welch's t, not the difference: so the test is valid for equal distributions of any shape, and in
    large arms also where only the means are equal (Janssen 1997; Chung and Romano 2013). All permutations where they
    are at most 20,000, else seeded draws with p = (1 + as extreme) / (1 + draws) (Phipson and Smyth 2010).
    """
    return permute_arms(baseline, candidate, draws, seed).p()


def sign_flip_test(baseline: Array, candidate: Array, draws: int = DRAWS, seed: int = 0) -> float:
    """Two-sided p of no difference of pairs, by swapping the scores within pairs (Fisher 1935, section 21).

    All swaps where they are at most 20,000 (14 pairs), else seeded draws; p as in `permutation_test`.
    """
    one, other = check_scores(baseline, candidate, pairs=True)
    apart = other - one
    ways = 2 ** len(one)
    # To nine decimals of the largest difference, so that rounding splits no ties.
    found = stats.permutation_test(
        (apart / max(np.abs(apart).max(), 1e-300),),
        lambda apart, axis: np.round(np.abs(apart.mean(axis=axis)), 9),
        permutation_type="samples",
        alternative="greater",
        n_resamples=ways if ways <= EXACT else draws,
        batch=max(1, BATCH // len(one)),
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
