"""How much of a spread is luck with the test set, and what choosing a good seed is worth on new examples.

Shapes: accuracy (S,) fractions, one a seed; rows (S, ceil(N/8)) uint8, `numpy.packbits` of which of N test examples
each seed got right. Rows are counted as they are packed: 10,000 seeds on 10,000 examples take 12.5 MB.
"""

import math
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from scipy import special

from src.study import statistics as st
from src.study.comparison import welch
from src.study.scores import Scores
from src.study.statistics import Array, Interval

FAMOUS_SEEDS = (0, 1, 42, 1234, 3407)
FEWEST = 5  # seeds
CHOICES = (2, 3, 5, 10, 20, 50, 100, 200, 500, 1000)
TOLD = (2, 5, 10, 100, 1000)  # of them in words


class Between(NamedTuple):
    """The variance of accuracies (fractions) split in two, and the 95 % interval of the second part."""

    seen: float
    independent: float  # what chance on single test examples alone would give
    between: float  # between networks on new examples; below 0 where the scores vary less than chance would let them
    interval: Interval


def between_networks(accuracy: Array, share_right: Array) -> Between:
    """Variance between networks on new examples, from accuracies (S,) and the share of seeds right on each (N,).

    N/(N-1)·(Var(accuracy) - V_ind), unbiased where seeds err independently of one another given the example (Jordan
    2023, arXiv 2304.01910, section 4); V_ind as `independent_example_variance`. The interval is Bonett's of the
    variance seen, less V_ind, which averages over examples and is all but known. nan for fewer than 5 seeds.
    """
    seeds, n = len(accuracy), len(share_right)
    independent = st.independent_example_variance(share_right, seeds)
    seen = float(st.sample_std(accuracy)) ** 2
    scale = n / (n - 1)
    interval = Interval(*(scale * (side**2 - independent) for side in st.std_interval(accuracy)))
    return Between(seen, independent, scale * (seen - independent), interval)


def halves(rows: Array, examples: int, seed: int = 0) -> tuple[Array, Array]:
    """Accuracy of each seed (S,) on a random half of the test examples, and on the other.

    Not on even and odd ones: where the classes of a set take turns, those are other classes, and a network that favours
    some is good on one half because it is bad on the other.
    """
    chosen = np.zeros(examples, bool)
    chosen[np.random.default_rng(seed).permutation(examples)[: examples // 2]] = True
    one, other = (np.bitwise_count(rows & np.packbits(half)).sum(axis=1, dtype=np.int64) for half in (chosen, ~chosen))
    return one / (examples // 2), other / (examples - examples // 2)


def chances_to_be_best(n: int, k: int) -> Array:
    """How likely each of n ranks (n,), the worst first, is the best of k drawn without replacement.

    C(i-1, k-1) / C(n, k) for rank i, through the logarithms of factorials.
    """
    rank = np.arange(1, n + 1)
    with np.errstate(divide="ignore", invalid="ignore"):
        log = (
            special.gammaln(rank) - special.gammaln(k) - special.gammaln(rank - k + 1)
            - special.gammaln(n + 1) + special.gammaln(k + 1) + special.gammaln(n - k + 1)
        )  # fmt: skip
    return np.where(rank >= k, np.exp(log), 0.0)


def expected_best_of(scores: Array, k: int) -> float:
    """Mean of the best of k of these scores (S,) drawn without replacement: unbiased for the best of k new ones."""
    return float(chances_to_be_best(len(scores), k) @ np.sort(scores))


def expected_at_best_of(chosen_by: Array, scored_by: Array, chances: Array) -> Array:
    """Mean of `scored_by` (S,) at the best by `chosen_by` (S,), for rows of `chances_to_be_best` (K, S): (K,).

    Equals are chosen among at random.
    """
    _, group = np.unique(chosen_by, return_inverse=True)
    mean_of_equals = np.bincount(group, scored_by) / np.bincount(group)
    return chances @ mean_of_equals[np.sort(group)]


def best_quarter_gain(chosen_by: Array, scored_by: Array) -> tuple[float, Interval]:
    """By how much the best quarter of seeds by one half beats the mean of all on the other half, in `scored_by` (S,).

    The interval is Welch's against the other three quarters, scaled to all.
    """
    order = np.argsort(-chosen_by, kind="stable")
    quarter = max(2, len(order) // 4)
    found = welch(scored_by[order[quarter:]], scored_by[order[:quarter]])
    share = 1 - quarter / len(order)
    return share * found.value, Interval(*(share * side for side in found.interval))


class Choice(NamedTuple):
    """What the best of k seeds shows above the mean, in points, on the half it was chosen on, and on the other half."""

    k: int
    apparent: float
    real: float
    real_interval: Interval


@dataclass(frozen=True)
class Luck:
    """What the test set's chance and the networks' differences are of one study; points and percent."""

    name: str
    seeds: Array
    accuracy: Array
    examples: int
    variance: Between
    one_half: Array
    other_half: Array
    correlation: float
    correlation_interval: Interval
    quarter_gain: float
    quarter_interval: Interval
    choices: list[Choice]

    @classmethod
    def of(cls, scores: Scores) -> "Luck | None":
        """From the seeds whose predictions are known; None where they are fewer than 5 or all score the same."""
        known = np.isin(scores.seeds, list(scores.correct))
        if known.sum() < FEWEST or st.is_constant(scores.accuracy[known]):
            return None
        rows = np.stack([scores.correct[seed] for seed in scores.seeds[known].tolist()])
        share = st.share_right(rows, scores.examples)
        one, other = (100 * half for half in halves(rows, scores.examples))
        correlation, correlation_interval = st.correlation(one, other)
        gain, gain_interval = best_quarter_gain(other, one)
        return cls(
            name=scores.name,
            seeds=scores.seeds[known],
            accuracy=scores.accuracy[known],
            examples=scores.examples,
            variance=between_networks(scores.accuracy[known] / 100, share),
            one_half=one,
            other_half=other,
            correlation=correlation,
            correlation_interval=correlation_interval,
            quarter_gain=gain,
            quarter_interval=gain_interval,
            choices=_choices(one, other),
        )

    @property
    def reliability(self) -> float:
        """The share of the variance seen that is between networks, from 0 to 1."""
        return min(1.0, max(0.0, self.variance.between / self.variance.seen))


def _choices(one: Array, other: Array, resamples: int = 400) -> list[Choice]:
    """Chosen on one half, scored on the other, both ways round; percentile bootstrap over seeds."""
    n = len(one)
    ks = [k for k in CHOICES if k <= n // 2]
    if not ks:
        return []
    chances = np.stack([chances_to_be_best(n, k) for k in ks])

    def real(one: Array, other: Array) -> Array:
        there = expected_at_best_of(one, other, chances) - other.mean()
        return (there + expected_at_best_of(other, one, chances) - one.mean()) / 2

    rng = np.random.default_rng(0)
    drawn = np.stack([real(one[at], other[at]) for at in (rng.integers(n, size=n) for _ in range(resamples))])
    intervals = np.quantile(drawn, [0.025, 0.975], axis=0).T.tolist()
    apparent = [(expected_best_of(one, k) - one.mean() + expected_best_of(other, k) - other.mean()) / 2 for k in ks]
    rows = zip(ks, apparent, real(one, other).tolist(), intervals, strict=True)
    return [Choice(k, shown, kept, Interval(*interval)) for k, shown, kept, interval in rows]


def points(variance: float) -> str:
    """A variance of fractions as a standard deviation in points; a negative one is told as what it is."""
    if variance < 0:
        return f"none (the estimate of the variance is {1e4 * variance:.3f} points squared)"
    return f"{100 * math.sqrt(variance):.2f} points"


def told(luck: Luck) -> list[str]:
    """All of it in plain words."""
    return [_spread(luck), _halves(luck), *_choosing(luck), *_famous(luck)]


def _spread(luck: Luck) -> str:
    v = luck.variance
    words = (
        f"{luck.name}: the scores of {len(luck.seeds):,} seeds have a std of {points(v.seen)}. Chance on the "
        f"{luck.examples:,} test examples alone, each network right or wrong on each at the rate of all, would give "
        f"{points(v.independent)}. What is left lies between networks, and would show on new examples as well: "
        f"{points(v.between)}"
    )
    low, high = (f"{100 * math.sqrt(max(0.0, side)):.2f}" for side in v.interval)
    words += f" (95 %: {low} to {high}), {100 * luck.reliability:.0f} % of the variance seen. "
    if v.interval.high <= 0:
        return words + "The scores vary less than chance would let them: these networks share their mistakes."
    if v.interval.low <= 0:
        return words + "Nothing shows that any of these networks is better than another."
    return words + "The networks do differ."


def _halves(luck: Luck) -> str:
    if math.isnan(luck.correlation):
        return "Whether seeds good on one half of the test examples are good on the other cannot be said from so few."
    low, high = luck.correlation_interval
    gain_low, gain_high = luck.quarter_interval
    words = (
        f"Seeds good on one random half of the test examples and on the other: correlation {luck.correlation:+.2f} "
        f"(95 %: {low:+.2f} to {high:+.2f}). The best quarter by one half lies {luck.quarter_gain:+.2f} points from "
        f"the mean on the other ({gain_low:+.2f} to {gain_high:+.2f}): "
    )
    if low > 0:
        return words + "good seeds stay good, as far as that goes."
    return words + ("a good seed is not shown to stay good." if high > 0 else "good seeds turn out bad; is it chance?")


def _choosing(luck: Luck) -> list[str]:
    if not luck.choices:
        return [f"What picking the best of several gains cannot be said from {len(luck.seeds)} seeds."]
    lines = [
        f"best of {c.k:,}: {c.apparent:+.2f} points on the half it was picked on, {c.real:+.2f} on the other "
        f"({c.real_interval.low:+.2f} to {c.real_interval.high:+.2f})"
        for c in luck.choices
        if c.k in TOLD
    ]
    return [
        f"What picking the best of several seeds gains in appearance, and on new examples: {'; '.join(lines)}. These "
        "are halves of the test set; picking by all of it errs less."
    ]


def _famous(luck: Luck) -> list[str]:
    where = {seed: i for i, seed in enumerate(luck.seeds.tolist()) if seed in FAMOUS_SEEDS}
    if not where:
        return []
    n, mean = len(luck.seeds), luck.accuracy.mean()
    ranks = []
    for seed, i in where.items():
        rank = int((luck.accuracy > luck.accuracy[i]).sum()) + 1
        ranks.append(f"seed {seed} is {luck.accuracy[i] - mean:+.2f} points from the mean, rank {rank:,} of {n:,}")
    words = f"Seeds that people like: {'; '.join(ranks)}. "
    if luck.reliability:
        left = 196 * math.sqrt(luck.variance.between * (1 - luck.reliability))
        words += (
            f"Of such a distance {100 * luck.reliability:.0f} % would show again on new examples, ± {left:.2f} points"
        )
    else:
        words += "None of that would show again on new examples"
    return [f"{words}; with another network, other data or another machine the number of a seed means nothing."]
