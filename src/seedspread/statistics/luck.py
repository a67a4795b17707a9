"""How much of a spread is luck with the test set, and what choosing a good seed gains on new examples.

Shapes: accuracy (S,), one fraction per seed; rows (S, ceil(N/8)) uint8, `numpy.packbits` of which of N test examples
each seed got right. Rows stay packed: 10,000 seeds on 10,000 examples take 12.5 MB.
"""

from typing import NamedTuple

import numpy as np
from scipy import special

from seedspread.statistics.comparison import welch_test
from seedspread.statistics.examples import independent_example_variance
from seedspread.statistics.spread import Array, Interval, sample_std, std_interval

CHOICES = (2, 3, 5, 10, 20, 50, 100, 200, 500, 1000)


class Between(NamedTuple):
    """The variance of accuracies (fractions) in two parts, and the 95 % interval of the second."""

    seen: float
    independent: float  # if networks erred on each example independently
    between: float  # between networks on new examples; negative where scores vary less than `independent`
    interval: Interval


def between_networks(accuracy: Array, share_right: Array) -> Between:
    """Variance between networks on new examples, from accuracies (S,) and the share of seeds right on each (N,).

    N/(N-1)·(Var(accuracy) - V_ind), unbiased where seeds err independently of one another given the example (Jordan
    2023, arXiv 2304.01910, section 4); V_ind as `independent_example_variance`. The interval is Bonett's for the
    variance seen, minus V_ind, which averages over examples and varies little. nan for fewer than 5 seeds.
    """
    seeds, n = len(accuracy), len(share_right)
    independent = independent_example_variance(share_right, seeds)
    seen = float(sample_std(accuracy)) ** 2
    scale = n / (n - 1)
    interval = Interval(*(scale * (side**2 - independent) for side in std_interval(accuracy)))
    return Between(seen, independent, scale * (seen - independent), interval)


def halves(rows: Array, examples: int, seed: int = 0) -> tuple[Array, Array]:
    """Accuracy of each seed (S,) on a random half of the test examples, and on the other.

    Not on even and odd examples: where classes alternate these halves hold different classes, and a network that
    favours some is good on one half because it is bad on the other.
    """
    chosen = np.zeros(examples, bool)
    chosen[np.random.default_rng(seed).permutation(examples)[: examples // 2]] = True
    one, other = (np.bitwise_count(rows & np.packbits(half)).sum(axis=1, dtype=np.int64) for half in (chosen, ~chosen))
    return one / (examples // 2), other / (examples - examples // 2)


def chances_to_be_best(n: int, k: int) -> Array:
    """The probability (n,) of each of n ranks, the worst first, to be the best of k drawn without replacement.

    C(i-1, k-1) / C(n, k) for rank i, by logarithms of factorials.
    """
    rank = np.arange(1, n + 1)
    with np.errstate(divide="ignore", invalid="ignore"):
        log = (
            special.gammaln(rank) - special.gammaln(k) - special.gammaln(rank - k + 1)
            - special.gammaln(n + 1) + special.gammaln(k + 1) + special.gammaln(n - k + 1)
        )  # fmt: skip
    return np.where(rank >= k, np.exp(log), 0.0)


def expected_best_of(scores: Array, k: int) -> float:
    """Mean of the best of k of these scores (S,) drawn without replacement: unbiased for k new seeds."""
    return float(chances_to_be_best(len(scores), k) @ np.sort(scores))


def expected_at_best_of(chosen_by: Array, scored_by: Array, chances: Array) -> Array:
    """Mean of `scored_by` (S,) at the best by `chosen_by` (S,), for rows of `chances_to_be_best` (K, S): (K,).

    Ties are broken at random.
    """
    _, group = np.unique(chosen_by, return_inverse=True)
    mean_of_ties = np.bincount(group, scored_by) / np.bincount(group)
    return chances @ mean_of_ties[np.sort(group)]


def best_quarter_gain(chosen_by: Array, scored_by: Array) -> tuple[float, Interval]:
    """How far the best quarter of seeds by `chosen_by` (S,) lies above the mean of all, in `scored_by` (S,).

    The interval is Welch's against the other three quarters, scaled to the mean of all.
    """
    order = np.argsort(-chosen_by, kind="stable")
    quarter = max(2, len(order) // 4)
    found = welch_test(scored_by[order[quarter:]], scored_by[order[:quarter]])
    share = 1 - quarter / len(order)
    return share * found.value, Interval(*(share * side for side in found.interval))


class Choice(NamedTuple):
    """The gain of the best of k seeds over the mean, in points: on the half it was chosen on, and on the other half."""

    k: int
    apparent: float
    real: float
    real_interval: Interval


def best_of_choices(one: Array, other: Array, resamples: int = 400) -> list[Choice]:
    """Gains of the best of 2, 3, 5, ... seeds, chosen on one half and scored on the other, averaged over both ways.

    `one` and `other` (S,) are accuracies in percent on either half; intervals by the percentile bootstrap over seeds.
    """
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
