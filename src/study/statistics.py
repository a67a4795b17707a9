"""Statistics of scores over seeds."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Summary:
    """Scores over n seeds: mean, sample standard deviation (ddof=1; nan for one seed), and the extremes' seeds."""

    n: int
    mean: float
    std: float
    min: float
    min_seed: int
    max: float
    max_seed: int


def summarise(scores: Mapping[int, float]) -> Summary:
    """The summary of at least one score, by seed; the smallest seed is named where several share an extreme."""
    seeds = sorted(scores)
    values = np.array([scores[seed] for seed in seeds])
    low, high = int(values.argmin()), int(values.argmax())
    return Summary(
        n=len(seeds),
        mean=float(values.mean()),
        std=float(values.std(ddof=1)) if len(seeds) > 1 else float("nan"),
        min=float(values[low]),
        min_seed=seeds[low],
        max=float(values[high]),
        max_seed=seeds[high],
    )
