"""How many seeds show a difference, and what n seeds can show: `python -m src.power std=0.23 difference=0.1`.

By Welch's test at 5 %, two-sided, of normal scores with one std in both arms.
"""

import math
from collections.abc import Sequence

import hydra
from omegaconf import DictConfig

from src.command_line import plain_errors, positive_number, run, whole_number
from src.errors import InputError
from src.study import statistics as st
from src.study.comparison import achieved_power, detectable_difference, seeds_needed
from src.study.scores import Scores
from src.study.statistics import Interval
from src.study.store import Study, study_folder
from src.train import CONF

ALPHA, POWERS = 0.05, (0.8, 0.95)


def plan(
    std: float,
    interval: Interval | None = None,
    difference: float | None = None,
    n: int | None = None,
    alpha: float = ALPHA,
    pairs: bool = False,
) -> list[str]:
    """What to tell of seeds (with a `difference`), of what n seeds show (with `n`), or of both, in lines.

    `interval` is the std's, where it comes from a study: then seeds and differences have ranges that follow it.
    """
    known = interval is not None and not math.isnan(interval.low)
    arm = "pairs of seeds" if pairs else "seeds an arm"

    def ranged(values: Sequence[float], form: str) -> str:
        value, low, high = (format(value, form) for value in values)
        return f"{value} ({low} to {high})" if known else value

    low, high = interval if known and interval is not None else (std, std)
    lines = []
    if difference is not None and n is not None:
        powers = [100 * achieved_power(n, difference, s, alpha=alpha, pairs=pairs) for s in (std, high, low)]
        lines.append(f"{n:,} {arm} show a difference of {difference:g} with {ranged(powers, '.0f')} % power.")
    for power in POWERS:
        told = f"with {100 * power:.0f} % power."
        if difference is not None:
            needed = [seeds_needed(s, difference, power, alpha, pairs=pairs) for s in (std, low, high)]
            lines.append(f"{ranged(needed, ',')} {arm} show a difference of {difference:g} {told}")
        if n is not None:
            seen = [detectable_difference(s, n, power, alpha, pairs=pairs) for s in (std, low, high)]
            lines.append(f"{n:,} {arm} show a difference of {ranged(seen, '.3g')} {told}")
    return lines


@hydra.main(version_base="1.3", config_path=CONF, config_name="power")
def main(cfg: DictConfig) -> None:
    """Print the plan that `cfg` asks for."""
    with plain_errors():
        std, difference = positive_number(cfg, "std"), positive_number(cfg, "difference")
        n = None if cfg.n is None else whole_number(cfg, "n", least=2)
        candidates = whole_number(cfg, "candidates")
        if (std is None) == (cfg.study is None):
            raise InputError("give the std between seeds, std=0.23, or a study that has it, study=NAME")
        if difference is None and n is None:
            raise InputError("give the difference to show, difference=0.1, or the seeds an arm, n=20, or both")
        interval = None
        if std is None:
            if cfg.paired:
                raise InputError("paired=true: the std is that of differences of pairs, which no study has; give std=")
            std, interval = _spread_of(Study.load(study_folder(cfg.results, cfg.study)))
        if difference is not None and std > 1e6 * difference:
            raise InputError(f"difference={difference:g}: less than a millionth of the std, {std:g}; name a larger one")
        alpha = ALPHA / candidates
        if candidates > 1:
            print(f"for {candidates:,} candidates, each at {100 * alpha:.2g} % (Bonferroni; Holm needs no more)")
        print(*plan(std, interval, difference, n, alpha, bool(cfg.paired)), sep="\n")


def _spread_of(study: Study) -> tuple[float, Interval]:
    """The std of a study's accuracy in points and its interval, which it tells; InputError where there is none."""
    scores = Scores.of(study).accuracy
    std, interval = float(st.sample_std(scores)), st.std_interval(scores)
    if not std > 0:
        why = "1 finished seed has no spread" if len(scores) == 1 else f"all {len(scores)} seeds score the same"
        raise InputError(f"study={study.name}: {why}; give a std, for example std=0.23, or another study")
    bounds = "too few to bound it" if math.isnan(interval.low) else f"95 % {interval.low:.2g} to {interval.high:.2g}"
    print(f"{study.name}: std {std:.2g} points over {len(scores):,} seeds ({bounds}; ranges below follow it)")
    return std, interval


if __name__ == "__main__":
    run(main)
