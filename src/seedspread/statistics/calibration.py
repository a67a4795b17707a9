"""Is a prediction of 90 % confidence right in 90 % of cases? Confidence beside accuracy, seed by seed.

The confidence of a prediction is the probability that the seed gave to the label it predicted. Whatever is asked of
calibration follows from counts in a few bins of confidence: those of 10,000 seeds are small, and their probabilities
are never in memory together. Shapes: B bins; (..., B) of one seed or of many.
"""

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np
from scipy import special, stats

from seedspread.statistics.agreement import total_error
from seedspread.statistics.spread import UNKNOWN, Array, Interval, sample_std

BINS = 15  # Guo et al. 2017
LEAST = 10  # examples in a bin of a seed, from which its accuracy there enters a std over seeds


class ConfidenceBins(NamedTuple):
    """Examples in equal-width bins of confidence (..., B): how many, the sum of confidences, how many are right."""

    examples: Array
    confidence: Array
    right: Array

    @classmethod
    def stack(cls, several: Iterable["ConfidenceBins"]) -> "ConfidenceBins":
        """Those of S seeds as one: (S, B)."""
        return cls(*map(np.stack, zip(*several, strict=True)))

    @property
    def overconfidence(self) -> Array:
        """Mean confidence minus accuracy (...)."""
        return (self.confidence - self.right).sum(axis=-1) / self.examples.sum(axis=-1)


def confidence_bins(confidence: Array, right: Array, bins: int = BINS) -> ConfidenceBins:
    """The bins of one seed: confidence (N,) and right (N,), 1 or 0, of each example. Bin b holds (b/B, (b+1)/B]."""
    place = np.clip(np.ceil(confidence * bins).astype(int) - 1, 0, bins - 1)
    return ConfidenceBins(*(np.bincount(place, weights, bins) for weights in (None, confidence, right)))


def calibration_error(bins: ConfidenceBins) -> Array:
    """Expected calibration error, ECE (...): Σ_b n_b/N · |accuracy_b - confidence_b|, fractions.

    Guo et al. 2017 (arXiv 1706.04599, equation 3), after Naeini et al. 2015. It is biased upward, as the accuracy of a
    bin of n_b examples is off its expectation also where predictions are calibrated: see `calibration_error_by_chance`.
    """
    error: Array = np.abs(bins.right - bins.confidence).sum(axis=-1) / bins.examples.sum(axis=-1)
    return error


def calibration_error_by_chance(bins: ConfidenceBins) -> Array:
    """The mean ECE of perfectly calibrated predictions with these confidences (...): the largest bias of the ECE.

    In each bin the number of right answers is then binomial. Its mean absolute deviation is 2m·(1-p)·P(X = m) with
    m = ⌊np⌋ + 1 (de Moivre; Diaconis and Zabell 1991, "Closed form summation for classical distributions"). The bias is
    smaller where bins are off by more than chance.
    """
    n, p = bins.examples, bins.confidence / np.maximum(1, bins.examples)
    m = np.floor(n * p) + 1
    deviations: Array = 2 * m * (1 - p) * stats.binom.pmf(m, n, p)
    return deviations.sum(axis=-1) / n.sum(axis=-1)


def squared_calibration_error(bins: ConfidenceBins) -> Array:
    """The squared calibration error without the bias (...): Σ_b n_b/N · (gap_b² - a_b(1-a_b) / (n_b - 1)).

    gap_b is accuracy a_b minus confidence: Kumar et al. 2019 (arXiv 1909.10155, definition 5.1). Its mean over seeds
    has no bias either; of calibrated predictions it is negative about half of the time. Bins of one example are left
    out.
    """
    n = np.maximum(1, bins.examples)
    gap, accuracy = (bins.right - bins.confidence) / n, bins.right / n
    squares = np.where(bins.examples > 1, gap**2 - accuracy * (1 - accuracy) / np.maximum(1, n - 1), 0.0)
    total: Array = (bins.examples * squares).sum(axis=-1) / bins.examples.sum(axis=-1)
    return total


def overconfidence_interval(by_seed: Array, by_example: Array, squares: float, level: float = 0.95) -> Interval:
    """The interval of the mean overconfidence, for other seeds and other test examples; unknown for one of either.

    From the means of confidence minus right over examples (S,) and over seeds (N,), and the sum of its squares over
    both: a crossed design without replicates. The variances over seeds and over examples add; what both contain, their
    interaction, is counted once (Satterthwaite 1946).
    """
    seeds, examples = len(by_seed), len(by_example)
    if min(seeds, examples) < 2:
        return UNKNOWN
    value, variances = float(by_seed.mean()), (float(by_seed.var(ddof=1)), float(by_example.var(ddof=1)))
    rest = squares - seeds * examples * value**2
    rest -= examples * (seeds - 1) * variances[0] + seeds * (examples - 1) * variances[1]
    shared = max(0.0, rest) / ((seeds - 1) * (examples - 1) * seeds * examples)
    error, degrees = total_error(variances[0] / seeds, seeds, variances[1] / examples, examples, shared)
    half = float(special.stdtrit(degrees, (1 + level) / 2)) * error
    return Interval(value - half, value + half)


class Reliability(NamedTuple):
    """Of each bin (B,): mean confidence and accuracy over all seeds, and the std over seeds of its accuracy.

    `seeds` have at least `LEAST` examples in it: the std is of these, nan where they are fewer than half of all or than
    two. `share` is that of all examples. Confidence and accuracy are nan for bins with less than one example a seed.
    """

    confidence: Array
    accuracy: Array
    std: Array
    seeds: Array
    share: Array


def reliability(bins: ConfidenceBins, least: int = LEAST) -> Reliability:
    """The reliability curve of S seeds, bins of (S, B): accuracy by confidence (DeGroot and Fienberg 1983)."""
    total = ConfidenceBins(*(part.sum(axis=0) for part in bins))
    enough, seeds = bins.examples >= least, len(bins.examples)
    shown = np.where(total.examples >= seeds, total.examples, np.nan)
    means = total.confidence / shown, total.right / shown
    each = bins.right / np.maximum(1, bins.examples)
    columns = [column[known] for column, known in zip(each.T, enough.T, strict=True)]
    std = np.array([sample_std(column) if 2 * len(column) >= seeds else np.nan for column in columns])
    return Reliability(*means, std, enough.sum(axis=0), total.examples / total.examples.sum())
