"""Seeds whose training collapsed: scores far below those of all other seeds, and how often that happens."""

import numpy as np
from scipy import stats

from seedspread.statistics.spread import Array, Interval

FAR = 20  # robust standard deviations: among 5 normal scores one is so far in 0.5 % of arms, among 10 in under 0.01 %
LEAST = 5  # of fewer scores the median and its deviations are too uncertain
OF_EQUAL = 0.001  # of the median: taken for one standard deviation where most scores are equal


def find_collapsed(scores: Array, sign: int = 1) -> Array:
    """Which of scores (..., S) collapsed, (..., S) bool: worse than their median by more than 20 robust stds, or nan.

    Each row is one arm; nan stands for a seed that diverged. `sign` is 1 where larger is better, else -1; a score that
    is far better is none. The robust standard deviation is 1.4826 times the median absolute deviation (Rousseeuw and
    Croux 1993), which up to half of the scores cannot move; where most scores are equal, it is 0.001 times their
    median. Of fewer than 5 scores those that are nan alone.
    """
    scores = np.asarray(scores, dtype=float)
    diverged: Array = np.isnan(scores)
    if scores.shape[-1] < LEAST or diverged.all():
        return diverged
    median = np.nanmedian if diverged.any() else np.median  # which is many times faster
    middle = median(scores, axis=-1, keepdims=True)
    std = 1.4826 * median(np.abs(scores - middle), axis=-1, keepdims=True)
    std = np.where(std > 0, std, OF_EQUAL * np.abs(middle))
    found: Array = diverged | ((sign * (middle - scores) > FAR * std) & (std > 0))
    return found


def collapse_rate(count: int, n: int, level: float = 0.95) -> tuple[float, Interval]:
    """The share of `count` collapsed seeds among n, and its interval (Clopper and Pearson 1934)."""
    low, high = stats.binomtest(count, n).proportion_ci(level, method="exact")
    return count / n, Interval(float(low), float(high))
