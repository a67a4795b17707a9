"""Planning: seeds that show a difference, and the difference that seeds show."""

import math

import numpy as np
from scipy import optimize, stats

# Planning.


def _planned(n: int, std: float, other: float | None, pairs: bool) -> tuple[float, float]:
    """Standard error of the difference of means and Welch's degrees of freedom, of n seeds an arm or n pairs."""
    _positive(std=std, other=std if other is None else other)
    if n < 2:
        raise ValueError(f"n={n}: one seed has no spread; 2 are the fewest")
    if pairs:
        return std / math.sqrt(n), n - 1
    ratio = 1.0 if other is None else other / std
    return std * math.sqrt((1 + ratio**2) / n), (n - 1) * (1 + ratio**2) ** 2 / (1 + ratio**4)


def _t_power(away: float, freedom: float, alpha: float) -> float:
    """Chance that a two-sided t-test rejects where the truth lies `away` standard errors from 0."""
    if freedom > 1e5:  # as good as normal, and there the noncentral t is slow
        z = float(stats.norm.isf(alpha / 2))
        return float(stats.norm.sf(z - away) + stats.norm.cdf(-z - away))
    t = float(stats.t.isf(alpha / 2, freedom))
    wrong_side = float(np.nan_to_num(stats.nct.cdf(-t, freedom, away)))  # nan where it is too small to matter
    return min(1.0, float(stats.nct.sf(t, freedom, away)) + wrong_side)


def achieved_power(
    n: int, difference: float, std: float, other: float | None = None, alpha: float = 0.05, pairs: bool = False
) -> float:
    """Chance that n seeds an arm show a true difference at level alpha, by Welch's test of normal scores.

    `std` is the baseline's, `other` the candidate's where it differs; with `pairs`, `std` is that of the differences.

    >>> round(achieved_power(n=20, difference=0.1, std=0.23), 2)
    0.27
    """
    error, freedom = _planned(n, std, other, pairs)
    return _t_power(abs(difference) / error, freedom, alpha)


def seeds_needed(
    std: float,
    difference: float,
    power: float = 0.8,
    alpha: float = 0.05,
    other: float | None = None,
    pairs: bool = False,
) -> int:
    """The fewest seeds an arm, at least 2, that show a true `difference` with this power: 84 for 0.23 and 0.1.

    2 (z_{1-alpha/2} + z_power)² std²/difference², refined by the noncentral t distribution. A power is reached where it
    is when rounded to a tenth of a percent: those 84 have 79.995 %. Arguments as in `achieved_power`.

    >>> seeds_needed(std=0.23, difference=0.1)
    84
    """
    _between(power=power, alpha=alpha)
    _positive(std=std, difference=abs(difference))
    square = (std / difference) ** 2 if pairs else (std / difference) ** 2 + ((other or std) / difference) ** 2
    normal = (stats.norm.isf(alpha / 2) + stats.norm.ppf(max(power, 0.5))) ** 2 * square

    def enough(n: int) -> bool:
        return achieved_power(n, difference, std, other, alpha, pairs) >= power - 0.0005

    low, high = 1, max(2, math.ceil(normal))
    while not enough(high):
        low, high = high, math.ceil(1.2 * high) + 1
    while high - low > 1:  # the power grows with n
        middle = (low + high) // 2
        low, high = (low, middle) if enough(middle) else (middle, high)
    return high


def detectable_errors(freedom: float, power: float = 0.8, alpha: float = 0.05) -> float:
    """How many standard errors a true difference must measure to be shown with this power: 2.80 for many seeds."""
    _between(power=power, alpha=alpha)
    if power <= alpha:
        raise ValueError(f"power={power}: alpha={alpha} is reached without any difference")
    high = 2.0
    while _t_power(high, freedom, alpha) < power:
        high *= 2
    return float(optimize.brentq(lambda away: _t_power(away, freedom, alpha) - power, 0, high, rtol=1e-12))


def detectable_difference(
    std: float, n: int, power: float = 0.8, alpha: float = 0.05, other: float | None = None, pairs: bool = False
) -> float:
    """The smallest true difference that n seeds an arm show with this power; arguments as in `achieved_power`.

    >>> round(detectable_difference(std=0.23, n=20), 2)
    0.21
    """
    error, freedom = _planned(n, std, other, pairs)
    return error * detectable_errors(freedom, power, alpha)


def _positive(**values: float) -> None:
    for name, value in values.items():
        if not (math.isfinite(value) and value > 0):
            raise ValueError(f"{name}={value}: a positive number is needed")


def _between(**values: float) -> None:
    for name, value in values.items():
        if not 0 < value < 1:
            raise ValueError(f"{name}={value}: a number between 0 and 1 is needed")
