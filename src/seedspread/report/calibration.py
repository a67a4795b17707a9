"""Whether the probabilities of a study's seeds are right, in numbers: they are read seed by seed, never all at once."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from seedspread import statistics as st
from seedspread.records.examples import DAMAGED
from seedspread.records.study import Study
from seedspread.statistics import Array, ConfidenceBins, Ensemble, Interval, Reliability

ROUNDING = 0.01  # by which a row of float16 may miss a sum of 1


@dataclass(frozen=True)
class Calibration:
    """Confidence and accuracy of the seeds (S,) that keep probabilities; all shares are fractions."""

    study: Study
    seeds: Array
    labels: Array  # (S, N), of these seeds
    truth: Array
    sizes: Sequence[int]  # of ensembles
    bins: ConfidenceBins  # (S, B)
    interval: Interval  # of the overconfidence

    @classmethod
    def of(cls, study: Study, seeds: Array, labels: Array, truth: Array, sizes: Sequence[int]) -> "Calibration | None":
        """Of those of `seeds` (S,) that keep probabilities, which predicted `labels` (S, N); None where none does."""
        n = labels.shape[1]
        kept, bins, by_example, squares, classes = [], [], np.zeros(n), 0.0, 0
        for position, (seed, row) in enumerate(zip(seeds.tolist(), labels, strict=True)):
            try:
                # Two classes are four bytes beside the label: a look at the size saves opening 10,000 archives.
                if study.examples_path(seed).stat().st_size < n * (row.itemsize + 4):
                    continue
                probabilities = study.probabilities(seed)
                confidence = _confidence(probabilities, row)
            except DAMAGED:
                continue
            if probabilities.shape[1] != (classes := classes or probabilities.shape[1]):
                continue
            right = row == truth
            gap = confidence - right
            kept.append(position)
            bins.append(st.confidence_bins(confidence, right))
            by_example += gap
            squares += float(gap @ gap)
        if not kept:
            return None
        stacked = ConfidenceBins.stack(bins)
        interval = st.overconfidence_interval(stacked.overconfidence, by_example / len(kept), squares)
        known = labels if len(kept) == len(labels) else labels[kept]
        return cls(study, seeds[kept], known, truth, [k for k in sizes if k <= len(kept)], stacked, interval)

    @cached_property
    def error(self) -> Array:
        """The expected calibration error of each seed (S,)."""
        return st.calibration_error(self.bins)

    @property
    def error_by_chance(self) -> float:
        """The mean error if seeds were calibrated perfectly."""
        return float(st.calibration_error_by_chance(self.bins).mean())

    @property
    def unbiased(self) -> float:
        """The root mean square calibration error over seeds, without the bias of small bins."""
        return float(np.sqrt(max(0.0, st.squared_calibration_error(self.bins).mean())))

    @property
    def overconfidence(self) -> float:
        """Mean confidence minus accuracy."""
        return float(self.bins.overconfidence.mean())

    @property
    def accuracy(self) -> float:
        return float(self.bins.right.sum() / self.bins.examples.sum())

    @property
    def reliability(self) -> Reliability:
        return st.reliability(self.bins)

    @cached_property
    def ensembles(self) -> list[Ensemble]:
        """Seeds that average their probabilities."""
        if not self.sizes:
            return []

        def read(position: int) -> Array:
            return self.study.probabilities(int(self.seeds[position]))

        return st.averaged_ensembles(read, self.labels, self.truth, self.sizes)


def _confidence(probabilities: Array, labels: Array) -> Array:
    """The probability of each predicted label (N,); ValueError for what is no distribution over these labels."""
    if probabilities.ndim != 2 or len(probabilities) != len(labels) or int(labels.max()) >= probabilities.shape[1]:
        raise ValueError("no row of probabilities for each label")
    off = np.abs(probabilities.astype(np.float32).sum(axis=1) - 1)
    if not (off < ROUNDING).all():  # also of nan
        raise ValueError("rows that do not sum to 1")
    return probabilities[np.arange(len(labels)), labels].astype(float)
