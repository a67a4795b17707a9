"""Seeds whose training collapsed: scores far below those of all other seeds, and how often that happens."""

import numpy as np
from scipy import stats

from seedspread.statistics.spread import Array, Interval

FAR = 20  # robust standard deviations: among 5 normal scores one is so far in 0.5 % of arms, among 10 in under 0.01 %
LEAST = 5  # of fewer scores the median and its deviations are too uncertain
OF_EQUAL = 0.001  # of the median: taken for one standard deviation where most scores are equal


def find_collapsed(scores: Array, sign: int = 1) -> Array:
    """Which of scores (S,) collapsed, (S,) bool: worse than their median by more than 20 robust standard deviations.

    `sign` is 1 where larger is better, else -1; a score that is far better is none. The robust standard deviation is
    1.4826 times the median absolute deviation (Rousseeuw and Croux 1993), which up to half of the scores cannot
    move; where most scores are equal, it is 0.001 times their median. None of fewer than 5 scores collapsed.
    """
    scores = np.asarray(scores, dtype=float)
    if len(scores) < LEAST:
        return np.zeros(len(scores), dtype=bool)
    middle = np.median(scores)
    std = 1.4826 * np.median(np.abs(scores - middle)) or OF_EQUAL * abs(middle)
    worse: Array = sign * (middle - scores)
    return (worse > FAR * std) & (std > 0)


def collapse_rate(count: int, n: int, level: float = 0.95) -> tuple[float, Interval]:
    """The share of `count` collapsed seeds among n, and its interval (Clopper and Pearson 1934)."""
    low, high = stats.binomtest(count, n).proportion_ci(level, method="exact")
    return count / n, Interval(float(low), float(high))
