"""Test examples as a sample: the variance that they give to an accuracy, and what they add to a comparison.

Shapes: share (N,), the share of seeds that got each test example right, from `share_right`. All are fractions.
"""

import math
from collections.abc import Iterable

import numpy as np
from scipy import stats

from seedspread.statistics.comparison import Difference
from seedspread.statistics.spread import Array


def example_error(baseline: Array, candidate: Array, same: bool) -> float:
    """The standard error that the choice of test examples leaves in the difference of two accuracies.

    From the share right of each example in either arm. Where both were scored on the `same` examples, it follows from
    the differences per example; otherwise each test set adds its own variance.
    """
    if same:
        return float((candidate - baseline).std(ddof=1) / math.sqrt(len(baseline)))
    return math.hypot(*(float(share.std(ddof=1)) / math.sqrt(len(share)) for share in (baseline, candidate)))


def shared_variance(baseline: Array, n: int, candidate: Array, m: int, both: Array | None = None) -> float:
    """The variance that the squared errors over seeds and over examples have in common: seed-example interaction.

    It must be counted once when the two errors are added. `baseline` and `candidate` are shares of n and of m seeds;
    `both` (N,) is the share of seeds that got an example right in both arms, where seeds and examples are paired.
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
    """The difference on other seeds and other test examples: both errors added.

    `examples` is the standard error by test examples, `shared` the variance in both errors, in the units of the
    difference; `count` is the number of examples. Degrees of freedom after Satterthwaite 1946.
    """
    seeds = over_seeds.error**2
    square = max(seeds + examples**2 - shared, seeds, examples**2)
    rest = seeds**2 / over_seeds.degrees_of_freedom + examples**4 / max(count - 1, 1)
    degrees_of_freedom = square**2 / rest if rest else over_seeds.degrees_of_freedom
    return Difference.of(over_seeds.value, math.sqrt(square), degrees_of_freedom, level)


def accuracy_interval(accuracy: Array, examples: int, level: float = 0.95) -> tuple[Array, Array]:
    """Wilson's (1927) interval of accuracies, fractions (S,) of `examples` test examples: low (S,), high (S,)."""
    counts, at = np.unique(np.round(accuracy * examples).astype(int), return_inverse=True)  # half a millisecond each
    found = [stats.binomtest(k, examples).proportion_ci(level, method="wilson") for k in counts.tolist()]
    low, high = np.array([(interval.low, interval.high) for interval in found]).T
    return low[at], high[at]


def share_right(correct: Iterable[Array], examples: int) -> Array:
    """The share of seeds that got each example right, (N,), from rows of packed bits, `numpy.packbits` of (N,) bool."""
    total, seeds = np.zeros(examples, np.int64), 0
    for row in correct:
        total += np.unpackbits(row, count=examples)
        seeds += 1
    return total / seeds


def independent_example_variance(share: Array, seeds: int) -> float:
    """Variance over seeds of the accuracy (a fraction) if seeds err on each example independently.

    `share` (N,) of `seeds` got each example right: 1/N² Σ S/(S-1)·p(1-p). Jordan 2023, arXiv 2304.01910, section 4.
    """
    return float(seeds / (seeds - 1) * (share * (1 - share)).sum() / len(share) ** 2) if seeds > 1 else math.nan
