"""Is the candidate better than the baseline, and how sure: `seedspread compare baseline=A candidate=B`.

Arms are studies, from their records alone, or CSV files of scores from anywhere; the baseline may be a published
mean ± std, or a target. Neither torch nor Lightning is imported.
"""

import shlex
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import hydra
from omegaconf import DictConfig

from seedspread.commands.console import as_list, plain_errors, wanted_metric
from seedspread.config.check import check_config
from seedspread.config.compose import CONF
from seedspread.config.errors import InputError
from seedspread.config.overrides import format_value, override_key, typed_overrides
from seedspread.config.schema import Compare
from seedspread.decide.arms import SCORE, Arm, check_units
from seedspread.decide.reference import Published, compare_with_published, compare_with_target
from seedspread.decide.score_files import is_score_file, read_arm
from seedspread.decide.verdict import compare_arms
from seedspread.records.files import combined_folder
from seedspread.records.scores import Scores
from seedspread.records.study import Study, describe_studies, study_folder
from seedspread.report.comparison_page import format_comparison, write_comparison
from seedspread.report.reference_page import Comparisons, format_reference, write_reference
from seedspread.report.reference_words import reference_name, reference_sentence
from seedspread.report.verdict_words import verdict_sentence


def named_arms(cfg: DictConfig, keys: Sequence[str]) -> list[Arm]:
    """The arms that `cfg` names under `keys`, in their order; InputError where one is missing, or named twice."""
    lists = {key: as_list(cfg[key]) for key in keys}
    for key, values in lists.items():
        if not values or any(value in (None, "") for value in values):
            there = describe_studies(cfg.results)
            raise InputError(f"{key}=?: name a study ({cfg.results} has {there}), or a file of scores ending in .csv")
    if len(lists.get("baseline", [])) > 1:
        raise InputError(f"baseline={cfg.baseline}: one baseline; candidates may be several, 'candidate=[ONE,OTHER]'")
    named = [(key, str(value)) for key, values in lists.items() for value in values]
    places: dict[Path, str] = {}
    for key, name in named:
        place = (Path(name) if is_score_file(name) else study_folder(cfg.results, name, key)).resolve()
        if place in places:
            raise InputError(f"candidate={name}: it is named twice, here and as {places[place]}")
        places[place] = name
    found = [_named_arm(cfg, key, name) for key, name in named]
    if cfg.direction != "auto" and not any(arm.study for arm in found):
        found = [replace(arm, metric=replace(SCORE, direction=cfg.direction)) for arm in found]
    names = [arm.name for arm in found]
    if len(set(names)) < len(names):  # files of one name in several folders
        found = [replace(arm, name=f"{place.parent.name}_{arm.name}") for arm, place in zip(found, places, strict=True)]
    check_units(found)
    return found


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
    candidates = as_list(cfg.candidate)
    words = [f"baseline={cfg.baseline}", f"candidate={candidates[candidate]}"]
    keys = ("column", "seed_column", "direction", "worth", "results")
    typed = {override_key(word) for word in typed_overrides(cfg)}
    return shlex.join(["seedspread", "decide", *words, *(f"{key}={cfg[key]}" for key in keys if key in typed)])


def compare_with_number(cfg: DictConfig) -> None:
    """Compare the candidates with a published result or with a target."""
    what = "a published result" if cfg.target is None else "a target"
    if cfg.target is not None and cfg.baseline is not None:
        raise InputError(f"target={cfg.target:g}: candidates are compared with it or with baseline=; leave one out")
    for key in ("pair", "same_examples"):
        if cfg[key] is not None:
            raise InputError(f"{key}={format_value(cfg[key])}: {what} has no seeds and no predictions; leave it out")
    if cfg.target is not None and cfg.worth is not None:
        raise InputError(f"worth={cfg.worth:g}: a target has no margin; name the least that is enough, target=")
    published = Published.read(cfg.baseline) if cfg.target is None else None
    candidates = named_arms(cfg, ["candidate"])
    against = f"target-{cfg.target:.10g}" if published is None else f"published-{published.mean:.10g}"
    folder = combined_folder(Path(cfg.results), f"{'+'.join(arm.name for arm in candidates)}-against-{against}")
    found: Comparisons
    if published is None:
        found = compare_with_target(cfg.target, candidates)
    else:
        found = compare_with_published(published, candidates, cfg.worth)
    write_reference(found, folder)
    print("\n".join(reference_sentence(c) for c in found))
    for c in found:
        print(f"\n{c.candidate.name} against {reference_name(c)}\n{format_reference(c)}")
    print(f"\npage in {folder / 'index.html'}")


@hydra.main(version_base="1.3", config_path=CONF, config_name="compare")
def main(cfg: DictConfig) -> None:
    """Compare the arms that `cfg` names: the verdict of each candidate, then its evidence."""
    with plain_errors():
        check_config(cfg, Compare)
        if cfg.target is not None or isinstance(cfg.baseline, DictConfig):
            compare_with_number(cfg)
            return
        baseline, *candidates = named_arms(cfg, ["baseline", "candidate"])
        names = "+".join(arm.name for arm in candidates)
        folder = combined_folder(Path(cfg.results), f"{names}-against-{baseline.name}")
        found = compare_arms(baseline, candidates, pair=cfg.pair, same_examples=cfg.same_examples, worth=cfg.worth)
        if all(arm.study is None or arm.study.study.kind == "config" for arm in (baseline, *candidates)):
            found = [replace(c, more=decide_command(cfg, i)) for i, c in enumerate(found)]
        write_comparison(found, folder)
        print("\n".join(verdict_sentence(c) for c in found))
        for c in found:
            print(f"\n{c.candidate.name} against {c.baseline.name}\n{format_comparison(c)}")
        print(f"\npage in {folder / 'index.html'}")
