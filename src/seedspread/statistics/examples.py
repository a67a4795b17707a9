"""Single test examples: what chance on them gives, and what their choice adds to a comparison."""

import math
from collections.abc import Iterable

import numpy as np
from scipy import stats

from seedspread.statistics.comparison import Difference
from seedspread.statistics.spread import Array

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


def accuracy_interval(accuracy: Array, examples: int, level: float = 0.95) -> tuple[Array, Array]:
    """Wilson's (1927) interval of accuracies, fractions (S,) of `examples` test examples: low (S,), high (S,)."""
    z = stats.norm.ppf((1 + level) / 2)
    middle = (accuracy + z**2 / (2 * examples)) / (1 + z**2 / examples)
    half = z / (1 + z**2 / examples) * np.sqrt(accuracy * (1 - accuracy) / examples + z**2 / (4 * examples**2))
    return middle - half, middle + half


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
