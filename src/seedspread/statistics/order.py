"""Almost stochastic order of two sets of scores."""

from functools import lru_cache

import numpy as np
from scipy import stats

from seedspread.statistics.comparison import DRAWS, check_scores, split_draws
from seedspread.statistics.spread import Array


@lru_cache(maxsize=8)
def _steps(n: int, m: int) -> tuple[Array, Array, Array]:
    """The intervals on which the quantile functions of n and m scores are constant: widths (K,), and the ranks."""
    ends = np.union1d(np.arange(1, n + 1) * m, np.arange(1, m + 1) * n)  # in units of 1/(n·m), exact
    return np.diff(ends, prepend=0) / (n * m), (ends - 1) // m, (ends - 1) // n


def _violation(one: Array, other: Array) -> Array:
    """The violation ratio of sorted rows (..., S) and (..., T); one half where both are the same."""
    width, at_one, at_other = _steps(one.shape[-1], other.shape[-1])
    apart = one[..., at_one] - other[..., at_other]
    squares = apart**2
    whole = squares @ width
    part = np.where(apart > 0, squares, 0.0) @ width
    return np.divide(part, whole, out=np.full(np.shape(whole), 0.5), where=whole > 0)


def violation_ratio(baseline: Array, candidate: Array) -> float:
    """How far the candidate is from beating the baseline at every quantile: 0 where it does, 1 where it never does.

    ∫(Q_b - Q_c)₊² / ∫(Q_b - Q_c)² over the quantile functions, integrated exactly over their steps (del Barrio,
    Cuesta-Albertos and Matran 2018, "An optimal transportation approach for assessing almost stochastic order").
    """
    one, other = check_scores(baseline, candidate)
    return float(_violation(np.sort(one), np.sort(other)))


def almost_stochastic_dominance(
    baseline: Array, candidate: Array, alpha: float = 0.05, draws: int = DRAWS, seed: int = 0
) -> float:
    """The upper bound ε_min of `violation_ratio` at confidence 1 - alpha; below 0.2 the candidate is better.

    Dror, Shlomov and Reichart 2019, "Deep dominance", set the limit at 0.5, which one in five comparisons of equal arms
    falls below; Ulmer et al. 2022 advise 0.2, which fewer than 5 % fall below from 10 seeds per arm on.
    ε - σ Φ⁻¹(alpha) / sqrt(ST/(S+T)), within 0 to 1, where σ is the bootstrap std of sqrt(ST/(S+T))·(ε* - ε).
    With the usual 1,000 draws ε_min itself has a std of up to 0.01: ε* has long tails.
    """
    return almost_stochastic_order(baseline, candidate, alpha, draws, seed)[0]


def almost_stochastic_order(
    baseline: Array, candidate: Array, alpha: float = 0.05, draws: int = DRAWS, seed: int = 0
) -> tuple[float, float]:
    """ε_min of the candidate over the baseline, and of the baseline over the candidate, from the same resamples.

    Who looks both ways takes half of alpha: with 0.025, 4 to 5 % of comparisons of equal arms of 10 to 40 seeds have
    an ε_min below 0.2 one way or the other, with 0.05 5 to 7 %.
    """
    one, other = (np.sort(scores) for scores in check_scores(baseline, candidate))
    rng = np.random.default_rng(seed)

    def resampled(scores: Array, size: int) -> Array:
        places = rng.integers(0, len(scores), (size, len(scores)), dtype=np.int32)
        places.sort(axis=1)  # sorting integers is faster than sorting scores
        return scores[places]

    found = [
        _violation(resampled(one, size), resampled(other, size))
        for size in split_draws(draws, 2 * (len(one) + len(other)))
    ]
    # The factors sqrt(ST/(S+T)) cancel.
    margin = -float(np.concatenate(found).std()) * float(stats.norm.ppf(alpha))
    violation = float(_violation(one, other))  # the other way round it is one minus this
    return min(1.0, violation + margin), min(1.0, 1 - violation + margin)
