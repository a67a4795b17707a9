"""How much of a spread is luck with the test set, and what choosing a good seed gains on new examples.

Shapes: accuracy (S,), one fraction per seed; rows (S, ceil(N/8)) uint8, `numpy.packbits` of which of N test examples
each seed got right. Rows stay packed: 10,000 seeds on 10,000 examples take 12.5 MB.
"""

import math
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from scipy import special

from seedspread.statistics.comparison import welch_test
from seedspread.statistics.examples import independent_example_variance
from seedspread.statistics.spread import Array, Interval, log_variance_error, sample_std

CHOICES = (2, 3, 5, 10, 20, 50, 100, 200, 500, 1000)


class Between(NamedTuple):
    """The variance of accuracies (fractions) in two parts, and the 95 % interval of the second."""

    seen: float
    independent: float  # if networks erred on each example independently
    between: float  # between networks on new examples; negative where scores vary less than `independent`
    interval: Interval  # of `between`, for other seeds and other test examples


class _Covariances(NamedTuple):
    accuracy: Array  # (S,)
    share: Array  # (N,) of seeds that got each example right
    others: Array  # (N,) of being right on an example with the accuracy on all others, over seeds
    noise: float  # the mean variance of `others` that comes from there being S seeds only


def _covariances(rows: Array, examples: int) -> _Covariances:
    """The covariance of each example with the mean of the others, over seeds, in two passes over packed rows."""
    seeds, chunk = len(rows), max(1, 4_000_000 // examples)  # 16 MB of float32 at a time
    accuracy = np.bitwise_count(rows).sum(axis=1, dtype=np.int64) / examples
    centred = accuracy - accuracy.mean()

    def unpacked() -> Iterator[tuple[slice, Array]]:
        for start in range(0, seeds, chunk):
            at = slice(start, start + chunk)
            yield at, np.unpackbits(rows[at], axis=1, count=examples).astype(np.float32)

    sums, squares = np.zeros((2, examples)), np.empty(seeds)
    weights = np.stack([np.ones(seeds), centred]).astype(np.float32)
    for at, right in unpacked():
        sums += weights[:, at] @ right
    share, covariance = sums[0] / seeds, sums[1] / (seeds - 1)
    from_share = (1 - 2 * share).astype(np.float32)
    for at, right in unpacked():
        squares[at] = right @ from_share + (share**2).sum()  # of right - share, over examples
    others = (examples * covariance - seeds / (seeds - 1) * share * (1 - share)) / (examples - 1)
    # The plug-in variance of a mean of S products, corrected for centring both factors by their own means.
    products = (seeds / (seeds - 1)) ** 3 * float((centred**2 * squares).sum()) / examples / seeds**2
    noise = seeds / (seeds - 1) * (products - float((others**2).mean()) / seeds)
    return _Covariances(accuracy, share, others, noise)


def between_networks(rows: Array, examples: int, level: float = 0.95) -> Between:
    """Variance between networks on new examples, from packed rows (S, ceil(N/8)) of which of N examples are right.

    N/(N-1)·(Var(accuracy) - V_ind), unbiased where seeds err independently of one another given the example (Jordan
    2023, arXiv 2304.01910, section 4); V_ind as `independent_example_variance`. It equals the mean over examples of
    c_i, the covariance over seeds of being right on example i with the accuracy on the others: quadratic in seeds and
    in examples, and both are samples. The interval adds two errors on the logarithm of the variance seen, and takes
    V_ind from its ends: Bonett's for the seeds, and for the examples the infinitesimal jackknife of c_i (Jaeckel 1972),
    4·(Var(c_i) - noise)/N, where `noise` is the variance of c_i that comes from the seeds and is counted already. It
    covers 93 to 97 % in simulations of 20 to 2,000 seeds and 500 to 10,000 examples. nan for fewer than 5 seeds.
    """
    accuracy, share, others, noise = _covariances(rows, examples)
    independent = independent_example_variance(share, len(rows))
    seen, scale = float(sample_std(accuracy)) ** 2, examples / (examples - 1)
    by_examples = 4 * max(0.0, float(others.var(ddof=1)) - noise) / examples
    factor, error = log_variance_error(accuracy, level)
    relative = math.sqrt(by_examples) / (scale * seen) if seen else math.nan
    half = float(special.ndtri((1 + level) / 2)) * math.hypot(error, relative)
    interval = Interval(*(float(scale * (factor * seen * math.exp(side * half) - independent)) for side in (-1, 1)))
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
