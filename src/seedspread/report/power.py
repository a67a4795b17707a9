"""The power of a comparison in words."""

from collections.abc import Sequence

from seedspread.statistics import Interval, achieved_power, detectable_difference, seeds_needed

ALPHA, POWERS = 0.05, (0.8, 0.95)


def describe_plan(
    std: float,
    interval: Interval | None = None,
    difference: float | None = None,
    n: int | None = None,
    alpha: float = ALPHA,
    pairs: bool = False,
) -> list[str]:
    """The seeds that show a `difference`, the difference that `n` seeds show, or the power of both, in lines.

    `interval` is that of a std measured in a study: seeds, differences and powers then have ranges.
    """
    known = interval is not None and interval.is_known
    arm = "pairs of seeds" if pairs else "seeds per arm"

    def ranged(values: Sequence[float], form: str) -> str:
        value, low, high = (format(value, form) for value in values)
        return f"{value} ({low} to {high})" if known else value

    low, high = interval if known and interval is not None else (std, std)
    lines = []
    if difference is not None and n is not None:
        powers = [100 * achieved_power(n, difference, s, alpha=alpha, pairs=pairs) for s in (std, high, low)]
        lines.append(f"{n:,} {arm} show a difference of {difference:g} with {ranged(powers, '.0f')} % power.")
    for power in POWERS:
        power_text = f"with {100 * power:.0f} % power."
        if difference is not None:
            needed = [seeds_needed(s, difference, power, alpha, pairs=pairs) for s in (std, low, high)]
            lines.append(f"{ranged(needed, ',')} {arm} show a difference of {difference:g} {power_text}")
        if n is not None:
            seen = [detectable_difference(s, n, power, alpha, pairs=pairs) for s in (std, low, high)]
            lines.append(f"{n:,} {arm} show a difference of {ranged(seen, '.3g')} {power_text}")
    return lines
