"""Several seeds as one predictor: by their votes, or by their averaged probabilities.

Shapes: labels (S, N), what each of S seeds predicted for each of N test examples; truth (N,), the true labels.
"""

import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from scipy import special

from seedspread.statistics.agreement import total_error
from seedspread.statistics.calibration import calibration_error, confidence_bins
from seedspread.statistics.spread import UNKNOWN, Array, Interval

DRAWS = 200  # ensembles of one size, at least
MOST_READ = 400_000_000  # probabilities, unless one pass over the seeds takes more


class Ensemble(NamedTuple):
    """k seeds as one predictor: its accuracy, and how much that is above the accuracy of one seed; fractions.

    `calibration_error` is the ECE of averaged probabilities, the mean over ensembles; nan for votes.
    """

    k: int
    accuracy: float
    gain: float
    interval: Interval  # of the gain
    calibration_error: float = math.nan


def votes_right(labels: Array, truth: Array) -> Array:
    """The chance that the label with most votes of these few seeds (k, N), ties at random, is the true one (N,)."""
    votes = np.zeros(labels.shape, np.uint16)
    for row in labels:
        votes += labels == row
    most = votes.max(axis=0)
    # Each label with most votes is met once for each of its votes.
    tied = (votes == most).sum(axis=0) / most
    return np.where((labels == truth).sum(axis=0) == most, 1 / tied, 0.0)


def ensemble(labels: Array, truth: Array, k: int, seed: int = 0, level: float = 0.95) -> Ensemble:
    """The accuracy of the plurality vote of k of these seeds, ties at random, and its gain over one of them.

    Averaged over random partitions of the seeds into groups of k, `DRAWS` groups in all. Two votes are right as often
    as one: where they differ, a coin decides. The interval of the gain is for other seeds and other examples; unknown
    where fewer than two groups can be formed. ValueError for fewer than k seeds.
    """
    groups = min(_count_groups(labels, k), DRAWS)
    rng, truth = np.random.default_rng(seed), truth.astype(labels.dtype)
    found = _Gains(k, labels, truth)
    for _ in range(-(-DRAWS // groups)):
        drawn = rng.permutation(len(labels))[: groups * k].reshape(groups, k)
        for chosen in drawn:
            found.add(chosen, votes_right(labels[chosen], truth))
        found.end_partition()
    return found.ensemble(level)


def averaged_ensembles(
    read: Callable[[int], Array],
    labels: Array,
    truth: Array,
    sizes: Sequence[int],
    seed: int = 0,
    level: float = 0.95,
) -> list[Ensemble]:
    """Ensembles of each of `sizes` seeds by the mean of their probabilities, as `ensemble`, with their ECE.

    `read` gives the probabilities (N, K) of the seed at a position in `labels`; only the sums of one ensemble of each
    size are kept. Every partition is read once for all sizes: as many partitions as give `DRAWS` ensembles of the
    largest size, fewer where they would read more than `MOST_READ` probabilities, and of more than `DRAWS` times the
    largest size as many seeds, drawn at random.
    """
    largest = max(sizes)
    groups = min(_count_groups(labels, largest), DRAWS)
    rng, found = np.random.default_rng(seed), [_Gains(k, labels, truth) for k in sizes]
    used = len(labels) if groups < DRAWS else groups * largest
    each = used * read(0).size
    for _ in range(max(1, min(-(-DRAWS // groups), MOST_READ // each))):
        order = rng.permutation(len(labels))[:used]
        sums: list[Array | float] = [0.0] * len(sizes)
        for end, position in enumerate(order.tolist(), start=1):
            probabilities = read(position).astype(np.float32)
            for at, one in enumerate(found):
                sums[at] = total = sums[at] + probabilities
                if end % one.k == 0:
                    label = total.argmax(axis=1)
                    right = (label == truth).astype(float)
                    one.add(order[end - one.k : end], right)
                    confidence = total[np.arange(len(total)), label].astype(float) / one.k
                    one.errors.append(float(calibration_error(confidence_bins(confidence, right))))
                    sums[at] = 0.0
        for one in found:
            one.end_partition()
    return [one.ensemble(level) for one in found]


def _count_groups(labels: Array, k: int) -> int:
    if len(labels) < k:
        raise ValueError(f"an ensemble of {k} needs as many seeds, not {len(labels)}")
    return len(labels) // k


class _Gains:
    """Sums over ensembles of k seeds: how often together and alone they are right on each example, gain by gain."""

    def __init__(self, k: int, labels: Array, truth: Array) -> None:
        self.k, self.labels, self.truth = k, labels, truth
        self.together, self.alone = np.zeros(len(truth)), np.zeros(len(truth))
        self.partitions: list[list[float]] = [[]]
        self.errors: list[float] = []

    def add(self, chosen: Array, together: Array) -> None:
        """An ensemble of the seeds at these positions (k,), and how often it is right on each example (N,)."""
        each = (self.labels[chosen] == self.truth).mean(axis=0)
        self.together += together
        self.alone += each
        self.partitions[-1].append(float((together - each).mean()))

    def end_partition(self) -> None:
        self.partitions.append([])

    def ensemble(self, level: float) -> Ensemble:
        gains, n = np.array(self.partitions[:-1]), len(self.truth)
        error = float(np.mean(self.errors)) if self.errors else math.nan
        found = Ensemble(self.k, float(self.together.mean()) / gains.size, float(gains.mean()), UNKNOWN, error)
        if gains.shape[1] < 2 or n < 2:
            return found
        by_example = (self.together - self.alone) / gains.size
        seeds_variance = float(gains.var(axis=1, ddof=1).mean()) / gains.shape[1]
        # The variance is the mean over partitions: it has more degrees of freedom than a single one, fewer than seeds.
        fewest, over_examples = len(self.labels) // 2, float(by_example.var(ddof=1)) / n
        error, degrees = total_error(seeds_variance, fewest, over_examples, n, 0.0)
        half = float(special.stdtrit(degrees, (1 + level) / 2)) * error
        return found._replace(interval=Interval(found.gain - half, found.gain + half))
