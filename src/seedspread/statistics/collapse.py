"""Seeds whose training collapsed: scores far below those of all other seeds, and how often that happens."""

from collections.abc import Sequence

import numpy as np
from scipy import stats

from seedspread.statistics.spread import Array, Interval

FAR = 20  # robust standard deviations: among 5 normal scores one is so far in 0.5 % of arms, among 10 in under 0.01 %
LEAST = 5  # of fewer scores the median and its deviations are too uncertain


def find_collapsed(scores: Array, sign: int = 1, beside: Sequence[Array] = ()) -> Array:
    """Which of scores (..., S) collapsed, (..., S) bool: worse than their median by more than 20 robust stds, or nan.

    Each row is one arm; nan stands for a seed that diverged. `sign` is 1 where larger is better, else -1; a score that
    is far better is none. The robust standard deviation is that of the arm, or where it is larger the one pooled with
    an arm (..., T) `beside` it, with which it is compared, the smallest of several: a small arm whose scores happen to
    lie close together would lose seeds that the other keeps. Of fewer than 5 scores those that are nan alone.
    """
    scores = np.asarray(scores, dtype=float)
    diverged: Array = np.isnan(scores)
    if scores.shape[-1] < LEAST or diverged.all():
        return diverged
    std = robust_std([scores])
    if beside:
        std = np.fmax(std, np.min([robust_std([scores, arm]) for arm in beside], axis=0))
    found: Array = diverged | (sign * (_median(scores) - scores) > FAR * std)
    return found


def robust_std(arms: Sequence[Array]) -> Array:
    """1.4826 times the median absolute deviation of scores (..., S) from the median of their arm, over all arms.

    Up to half of the scores cannot move it (Rousseeuw and Croux 1993). Where most scores are equal, it is the smallest
    distance of another score from the median: so no score of two values, such as success and failure, is far away.
    """
    middles = [_median(arm) for arm in arms]
    away = np.concatenate([np.abs(arm - middle) for arm, middle in zip(arms, middles, strict=True)], axis=-1)
    std = 1.4826 * _median(away)
    step = np.where(away > 0, away, np.inf).min(axis=-1, keepdims=True)
    found: Array = np.where(std > 0, std, step)
    return found


def _median(scores: Array) -> Array:
    median = np.nanmedian if np.isnan(scores).any() else np.median  # which is many times faster
    found: Array = median(scores, axis=-1, keepdims=True)
    return found


def collapse_rate(count: int, n: int, level: float = 0.95) -> tuple[float, Interval]:
    """The share of `count` collapsed seeds among n, and its interval (Clopper and Pearson 1934)."""
    low, high = stats.binomtest(count, n).proportion_ci(level, method="exact")
    return count / n, Interval(float(low), float(high))
