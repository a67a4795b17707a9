"""Inference on the difference of two arms that stays valid however often one looks, and stops whenever one likes.

Shapes: one and other (..., N), scores of baseline and candidate on the same seeds in a fixed order, nan where a seed
diverged; leading axes are independent repetitions. Differences are other - one.

The interval inverts a t-test of differences with a Gaussian prior on the mean in standard deviations and the right-Haar
prior on the standard deviation. The probability that it ever leaves out the true mean of normal differences, at any of
infinitely many looks, is at most alpha: Lai 1976, "On confidence sequences", Annals of Statistics 4; Wang and Ramdas
2024, "Anytime-valid t-tests and confidence sequences for Gaussian means with unknown variance", arXiv 2310.03722,
section 4; Grünwald, de Heide and Koolen 2024, "Safe testing", section 4.
"""

import math
from dataclasses import dataclass
from enum import IntEnum

import numpy as np
from scipy import special

from seedspread.statistics.collapse import find_collapsed
from seedspread.statistics.spread import Array

PRIOR_VARIANCE = 0.25  # of the mean in stds: smallest sample sizes for means of 0.3 to 1 std
FEWEST = 3  # pairs before the first look
NODES = 64  # of the integral over the sample's standard deviation
COLLAPSE_SHARE = 0.1  # of alpha, for the rates of collapsed seeds; the rest is for the means


class Outcome(IntEnum):
    """What a look decides about the candidate."""

    UNDECIDED = 0
    BETTER = 1
    WORSE = 2
    EQUIVALENT = 3


def critical_t(pairs: Array | int, alpha: float = 0.05) -> Array:
    """The |t| of so many differences beyond which a mean is rejected at every look; infinite for 6 or fewer at 5 %.

    With n differences, k = 1 + n·PRIOR_VARIANCE and c = (√k/alpha)^(2/n): t² = (n-1)(c-1)/(1-c/k).
    """
    n = np.maximum(np.asarray(pairs, dtype=float), 1)
    k = 1 + n * PRIOR_VARIANCE
    c = np.exp(2 / n * (0.5 * np.log(k) - math.log(alpha)))
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        square = np.where(c < k, (n - 1) * (c - 1) / (1 - c / k), np.inf)
    found: Array = np.sqrt(square)
    return found


def log_e_value(t: Array, pairs: Array | int) -> Array:
    """Logarithm of the evidence against a mean at which n differences have this t: its e-process.

    E = k^(-1/2) · ((1 + t²/ν) / (1 + t²/(νk)))^(n/2), with k = 1 + n·PRIOR_VARIANCE and ν = n-1.
    """
    n = np.asarray(pairs, dtype=float)
    k, v = 1 + n * PRIOR_VARIANCE, np.maximum(n - 1, 1)
    square = np.square(t) / v
    found: Array = np.where(n > 1, n / 2 * (np.log1p(square) - np.log1p(square / k)) - np.log(k) / 2, 0.0)
    return found


@dataclass(frozen=True)
class Look:
    """What so many pairs of seeds show; arrays (...) over repetitions."""

    healthy: Array  # pairs of which neither seed collapsed
    mean: Array  # their mean difference
    error: Array  # and its standard error; nan where all differences are equal
    low: Array  # the interval of the mean
    high: Array
    log_e: Array  # evidence against a mean of 0
    collapsed: tuple[Array, Array]  # seeds of the baseline, and of the candidate
    outcome: Array  # Outcome


def look(one: Array, other: Array, sign: int = 1, worth: float | None = None, alpha: float = 0.05) -> Look:
    """What the pairs at hand decide, at a level that holds over all looks together.

    `sign` is 1 where larger scores are better, else -1. BETTER, WORSE: the interval of the mean difference leaves out
    0. EQUIVALENT: it lies within ±`worth`, that is two one-sided tests (Schuirmann 1987), also where it leaves out 0.
    Pairs with a collapsed seed count for the rates of collapse alone. Where only one arm has any, no outcome is in its
    favour or EQUIVALENT; where the rates are shown to differ, the means must not say the contrary.
    """
    lost, gone = find_collapsed(one, sign, [other]), find_collapsed(other, sign, [one])
    kept = ~(lost | gone)
    n = kept.sum(axis=-1)
    apart = np.where(kept, other - one, 0.0)
    with np.errstate(divide="ignore", invalid="ignore"):
        mean = apart.sum(axis=-1) / n
        away = np.where(kept, apart - mean[..., None], 0.0)
        std = np.sqrt(np.square(away).sum(axis=-1) / (n - 1))
        std = np.where(std > 1e-12 * np.abs(apart).max(axis=-1), std, np.nan)  # what rounding leaves of equal ones
        error = std / np.sqrt(n)
        half = critical_t(n, alpha * (1 - COLLAPSE_SHARE)) * error
        log_e = np.nan_to_num(log_e_value(mean / error, n))
    low, high = mean - half, mean + half
    only_one, only_other = (lost & ~gone).sum(axis=-1), (gone & ~lost).sum(axis=-1)
    counts = lost.sum(axis=-1), gone.sum(axis=-1)
    differ = log_e_of_signs(only_one, only_other) > -math.log(alpha * COLLAPSE_SHARE)
    better, worse = (low > 0, high < 0) if sign > 0 else (high < 0, low > 0)
    equivalent = np.zeros_like(better) if worth is None else (low > -worth) & (high < worth)
    better, worse = better & ~equivalent, worse & ~equivalent
    more, fewer = differ & (only_other > only_one), differ & (only_one > only_other)
    alone, baseline_alone = (counts[0] == 0) & (counts[1] > 0), (counts[0] > 0) & (counts[1] == 0)
    outcome = np.select(
        [
            (better & ~alone & ~more) | (fewer & ~worse),
            (worse & ~baseline_alone & ~fewer) | (more & ~better),
            equivalent & ~(alone | baseline_alone | more | fewer),
        ],
        [Outcome.BETTER, Outcome.WORSE, Outcome.EQUIVALENT],
        Outcome.UNDECIDED,
    )
    return Look(n, mean, error, low, high, log_e, counts, outcome)


def log_e_of_signs(one: Array, other: Array) -> Array:
    """Logarithm of the evidence against even odds of so many pairs for one side and for the other.

    The uniform mixture over all odds: 2^(a+b) B(a+1, b+1), valid at every look (Robbins 1970, "Statistical methods
    related to the law of the iterated logarithm", section 3).
    """
    found: Array = (one + other) * math.log(2) + special.betaln(one + 1.0, other + 1.0)
    return found


def std_upper_limit(std: float, n: int, level: float = 0.8) -> float:
    """The upper limit at `level` of the standard deviation of normal numbers, of which n have this one.

    s·√((n-1)/χ²); planning with it in the place of s keeps the power that was planned with probability `level` (Browne
    1995, "On the use of a pilot sample for sample size determination", Statistics in Medicine 14).
    """
    return std * math.sqrt((n - 1) / float(special.chdtri(n - 1, level)))


def chance_of_outcome(pairs: int, std: float, worth: float, alpha: float = 0.05) -> float:
    """The probability that so many pairs decide, where the true mean difference is 0 or `worth`: the smaller of both.

    `std` is that of the differences. That is the chance at the last look alone: of all looks together it is a few
    points larger.
    """
    if pairs < FEWEST or not math.isfinite(t := float(critical_t(pairs, alpha * (1 - COLLAPSE_SHARE)))):
        return 0.0
    upper = (np.arange(NODES) + 0.5) / NODES
    stds = np.sqrt(special.chdtri(pairs - 1, upper) / (pairs - 1))  # the sample's, over which both chances are means
    beyond = special.ndtr(math.sqrt(pairs) * worth / std - t * stds)
    return float(np.maximum(0, 2 * beyond - 1).mean())  # at 0, both tails count: never more than at `worth`


def pairs_to_narrow(std: float, worth: float, alpha: float = 0.05) -> int:
    """The smallest number of pairs whose interval is no wider than `worth`: it decides, whatever the difference."""
    low, high = FEWEST - 1, FEWEST
    while _half_width(high, std, alpha) > worth / 2:
        low, high = high, 2 * high
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if _half_width(middle, std, alpha) <= worth / 2 else (middle, high)
    return high


def _half_width(pairs: int, std: float, alpha: float) -> float:
    return float(critical_t(pairs, alpha * (1 - COLLAPSE_SHARE))) * std / math.sqrt(pairs)


def pairs_needed(std: float, worth: float, power: float = 0.8, alpha: float = 0.05) -> int:
    """The smallest number of pairs that decides with `power`, where the true mean difference is 0 or `worth`."""
    low, high = FEWEST - 1, FEWEST
    while chance_of_outcome(high, std, worth, alpha) < power:
        low, high = high, 2 * high
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if chance_of_outcome(middle, std, worth, alpha) >= power else (middle, high)
    return high
