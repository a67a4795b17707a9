"""Is the candidate better than the baseline, and how sure: `seedspread compare baseline=A candidate=B`.

Arms are studies, from their records alone, or CSV files of scores from anywhere. Neither torch nor Lightning is
imported.
"""

import shlex
from dataclasses import replace
from pathlib import Path

import hydra
from omegaconf import DictConfig, ListConfig

from seedspread.commands.console import describe_studies, plain_errors, wanted_metric
from seedspread.config.check import check_config
from seedspread.config.compose import CONF
from seedspread.config.errors import InputError
from seedspread.config.overrides import override_key, typed_overrides
from seedspread.config.schema import Compare
from seedspread.decide.arms import SCORE, Arm, check_units
from seedspread.decide.score_files import is_score_file, read_arm
from seedspread.decide.verdict import compare_arms
from seedspread.records.files import combined_folder
from seedspread.records.scores import Scores
from seedspread.records.study import Study, study_folder
from seedspread.report.comparison_page import format_comparison, write_comparison
from seedspread.report.verdict_words import verdict_sentence


def named_arms(cfg: DictConfig) -> tuple[Arm, list[Arm]]:
    """The baseline and the candidates that `cfg` names; InputError where one is missing, or named twice."""
    named = {"baseline": cfg.baseline, "candidate": cfg.candidate}
    lists = {key: list(value) if isinstance(value, ListConfig) else [value] for key, value in named.items()}
    for key, values in lists.items():
        if not values or any(value is None for value in values):
            there = describe_studies(cfg.results)
            raise InputError(f"{key}=?: name a study ({cfg.results} has {there}), or a file of scores ending in .csv")
    if len(lists["baseline"]) > 1:
        raise InputError(f"baseline={cfg.baseline}: one baseline; candidates may be several, 'candidate=[ONE,OTHER]'")
    every = [str(value) for values in lists.values() for value in values]
    places = [(Path(n) if is_score_file(n) else study_folder(cfg.results, n)).resolve() for n in every]
    for i, place in enumerate(places):
        if place in places[:i]:
            raise InputError(f"candidate={every[i]}: it is named twice, here and as {every[places.index(place)]}")
    found = [_named_arm(cfg, "candidate" if i else "baseline", name) for i, name in enumerate(every)]
    if cfg.direction != "auto" and not any(arm.study for arm in found):
        found = [replace(arm, metric=replace(SCORE, direction=cfg.direction)) for arm in found]
    names = [arm.name for arm in found]
    if len(set(names)) < len(names):  # files of one name in several folders
        found = [replace(arm, name=f"{place.parent.name}_{arm.name}") for arm, place in zip(found, places, strict=True)]
    check_units(found)
    return found[0], found[1:]


def _named_arm(cfg: DictConfig, key: str, name: str) -> Arm:
    if is_score_file(name):
        return read_arm(Path(name), cfg.column, cfg.seed_column)
    folder = study_folder(cfg.results, name)
    if not folder.exists():
        there = describe_studies(cfg.results)
        raise InputError(f"{key}={name}: no such study in {cfg.results} ({there}); a file of scores ends in .csv")
    study = Study.load(folder)
    return Arm.of(Scores.of(study, wanted_metric(cfg, study)))


def decide_command(cfg: DictConfig, candidate: int = 0) -> str:
    """The command that decides between the baseline and one of the candidates with as many seeds as it takes.

    Empty for another metric than the studies' own, which decides.
    """
    if cfg.metric is not None:
        return ""
    candidates = list(cfg.candidate) if isinstance(cfg.candidate, ListConfig) else [cfg.candidate]
    words = [f"baseline={cfg.baseline}", f"candidate={candidates[candidate]}"]
    keys = ("column", "seed_column", "direction", "worth", "results")
    typed = {override_key(word) for word in typed_overrides(cfg)}
    return shlex.join(["seedspread", "decide", *words, *(f"{key}={cfg[key]}" for key in keys if key in typed)])


@hydra.main(version_base="1.3", config_path=CONF, config_name="compare")
def main(cfg: DictConfig) -> None:
    """Compare the arms that `cfg` names: the verdict of each candidate, then its evidence."""
    with plain_errors():
        check_config(cfg, Compare)
        baseline, candidates = named_arms(cfg)
        names = "+".join(arm.name for arm in candidates)
        folder = combined_folder(Path(cfg.results), f"{names}-against-{baseline.name}")
        found = compare_arms(baseline, candidates, pair=cfg.pair, same_examples=cfg.same_examples, worth=cfg.worth)
        found = [replace(c, more=decide_command(cfg, i)) for i, c in enumerate(found)]
        write_comparison(found, folder)
        print("\n".join(verdict_sentence(c) for c in found))
        for c in found:
            print(f"\n{c.candidate.name} against {c.baseline.name}\n{format_comparison(c)}")
        print(f"\npage in {folder / 'index.html'}")
