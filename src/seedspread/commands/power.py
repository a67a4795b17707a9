"""How many seeds show a difference, and which difference n seeds show: `seedspread power std=0.23 difference=0.1`.

For Welch's two-sided test at 5 %, of normal scores with the same std in both arms.
"""

import hydra
from omegaconf import DictConfig

from seedspread import statistics as st
from seedspread.commands.console import plain_errors
from seedspread.config.check import check_config
from seedspread.config.compose import CONF
from seedspread.config.errors import InputError
from seedspread.config.schema import Power
from seedspread.records.scores import Scores
from seedspread.records.study import Study, study_folder
from seedspread.report.power import ALPHA, describe_plan
from seedspread.statistics import Interval


@hydra.main(version_base="1.3", config_path=CONF, config_name="power")
def main(cfg: DictConfig) -> None:
    """Print the numbers of seeds, differences or powers that `cfg` asks for."""
    with plain_errors():
        check_config(cfg, Power)
        std, difference, n, candidates = cfg.std, cfg.difference, cfg.n, cfg.candidates
        if (std is None) == (cfg.study is None):
            raise InputError("give the std between seeds, std=0.23, or a study to measure it, study=NAME")
        if difference is None and n is None:
            raise InputError("give the difference to show, difference=0.1, or the seeds per arm, n=20, or both")
        interval = None
        if std is None:
            if cfg.paired:
                raise InputError(
                    "paired=true needs the std of the differences between pairs, which no single study has; give std="
                )
            std, interval = _spread_of(Scores.of(Study.load(study_folder(cfg.results, cfg.study)), cfg.metric))
        if difference is not None and std > 1e6 * difference:
            raise InputError(f"difference={difference:g}: less than a millionth of the std, {std:g}; give a larger one")
        alpha = ALPHA / candidates
        if candidates > 1:
            print(f"{candidates:,} candidates: each tested at {100 * alpha:.2g} % (Bonferroni; Holm needs no more)")
        print(*describe_plan(std, interval, difference, n, alpha, cfg.paired), sep="\n")


def _spread_of(found: Scores) -> tuple[float, Interval]:
    """The std of a study's final scores and its interval, printed; InputError where there is no spread."""
    scores, unit = found.final, found.digits.difference_suffix
    std, interval = float(st.sample_std(scores)), st.std_interval(scores)
    if not std > 0:
        why = "1 finished seed has no spread" if len(scores) == 1 else f"all {len(scores)} seeds score the same"
        raise InputError(f"study={found.name}: {why}; give a std, for example std=0.23, or another study")
    bounds = f"95 % {interval.low:.2g} to {interval.high:.2g}" if interval.is_known else "too few seeds to bound it"
    print(f"{found.title}: std {std:.2g}{unit} over {len(scores):,} seeds ({bounds}; the ranges below follow from it)")
    return std, interval
