"""Is the candidate better than the baseline, and how sure: `python -m src.compare baseline=A candidate=B`.

Arms are studies, from their records alone, or CSV files of scores from anywhere. Neither torch nor Lightning is
imported.
"""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import hydra
import numpy as np
import pandas as pd
from omegaconf import DictConfig, ListConfig

from src.command_line import plain_errors, positive_number, run
from src.errors import InputError
from src.study import figures
from src.study import statistics as st
from src.study.page import plain, verdict_tables
from src.study.scores import Scores
from src.study.store import Study, folder_of_several, studies_in, study_folder, unwritable
from src.study.verdict import Arm, Compared, compare, numbers
from src.study.verdict_in_words import notes, rows, sentence, setting_differences
from src.train import CONF

SETTINGS_TOLD = 12


# Where scores come from.


def is_file(name: str) -> bool:
    return name.lower().endswith((".csv", ".csv.gz"))


def arm_from_file(path: Path, column: str | None, seed_column: str | None) -> Arm:
    """The scores in a column of a CSV file as they stand, and its seeds where it has them; InputError otherwise."""
    try:
        table = pd.read_csv(path, skipinitialspace=True)
    except FileNotFoundError as error:
        raise InputError(f"{path}: no such file; paths are taken from {Path.cwd()}") from error
    except (OSError, ValueError) as error:  # what pandas raises of a file that is no table is a ValueError
        raise InputError(
            f"{path}: not a CSV file with a line of column names ({' '.join(str(error).split())})"
        ) from error
    there = ", ".join(map(str, table.columns))
    if column is None:
        raise InputError(f"column=?: name the column of scores in {path}; it has {there}")
    if column not in table.columns:
        raise InputError(f"column={column}: {path} has no such column; it has {there}")
    scores = pd.to_numeric(table[column], errors="coerce").to_numpy(dtype=float)
    if len(bad := np.flatnonzero(~np.isfinite(scores))):
        value = table[column].iloc[bad[0]]
        more = f", and {len(bad) - 1} more rows" if len(bad) > 1 else ""
        raise InputError(
            f"{path}: {column} is {value} in row {bad[0] + 1}{more}: not a finite number; leave such rows out, and say "
            "so where you tell the result"
        )
    seeds = None
    if seed_column in table.columns:
        again = table[seed_column].duplicated() | table[seed_column].isna()
        if again.any():
            raise InputError(
                f"{path}: {seed_column} is {table[seed_column][again].iloc[0]} in two rows or missing. Keep "
                "one row a seed, or seed_column=null to leave seeds out of it"
            )
        numeric = pd.api.types.is_numeric_dtype(table[seed_column])
        seeds = (table[seed_column] if numeric else table[seed_column].astype(str)).to_numpy(
            dtype=None if numeric else str
        )
    return Arm(path.name.removesuffix(".gz").removesuffix(".csv"), scores, seeds)


def arms(cfg: DictConfig) -> tuple[Arm, list[Arm]]:
    """The baseline and the candidates that `cfg` names; InputError where one is missing, or named twice."""
    named = {"baseline": cfg.baseline, "candidate": cfg.candidate}
    lists = {key: list(value) if isinstance(value, ListConfig) else [value] for key, value in named.items()}
    for key, values in lists.items():
        if not values or any(value is None for value in values):
            there = ", ".join(studies_in(cfg.results)) or "none"
            raise InputError(f"{key}=?: name a study ({cfg.results} has {there}), or a file of scores ending in .csv")
    if len(lists["baseline"]) > 1:
        raise InputError(f"baseline={cfg.baseline}: one baseline; candidates may be several, 'candidate=[ONE,OTHER]'")
    every = [str(value) for values in lists.values() for value in values]
    places = [(Path(n) if is_file(n) else study_folder(cfg.results, n)).resolve() for n in every]
    for i, place in enumerate(places):
        if place in places[:i]:
            raise InputError(f"candidate={every[i]}: it is named twice, here and as {every[places.index(place)]}")
    found = [_arm(cfg, "candidate" if i else "baseline", name) for i, name in enumerate(every)]
    names = [arm.name for arm in found]
    if len(set(names)) < len(names):  # files of one name in several folders
        found = [
            Arm(f"{place.parent.name}_{arm.name}", arm.scores, arm.seeds, arm.study)
            for arm, place in zip(found, places, strict=True)
        ]
    _check_units(found)
    return found[0], found[1:]


def _arm(cfg: DictConfig, key: str, name: str) -> Arm:
    if is_file(name):
        return arm_from_file(Path(name), cfg.column, cfg.seed_column)
    folder = study_folder(cfg.results, name)
    if not folder.exists():
        there = ", ".join(studies_in(cfg.results)) or "none"
        raise InputError(f"{key}={name}: no such study in {cfg.results} ({there}); a file of scores ends in .csv")
    return Arm.of(Scores.of(Study.load(folder)))


def _check_units(found: Sequence[Arm]) -> None:
    """Refuse fractions beside percent: scores within 0 to 1 beside a study, or beside scores far above."""
    fractions = [arm for arm in found if arm.study is None and arm.n and 0 <= arm.scores.min() <= arm.scores.max() <= 1]
    percent = [arm for arm in found if arm.study is not None or (arm.n and np.median(arm.scores) > 5)]
    if fractions and percent:
        raise InputError(
            f"{fractions[0].name} has scores within 0 to 1, {percent[0].name} has percent; multiply the former by 100"
        )


# What is written.


def page(found: Sequence[Compared]) -> str:
    """Everything as Markdown: verdicts first."""
    title = f"{' and '.join(plain(c.candidate.name) for c in found)} against {plain(found[0].baseline.name)}"
    parts = [f"# {title}", *(f"**{plain(sentence(c))}**" for c in found)]
    parts += ["![scores of every seed](compare.png)", _arms_table(found)]
    for c in found:
        if len(found) > 1:
            parts.append(f"## {plain(c.candidate.name)}")
        parts += verdict_tables(c)
        if differing := setting_differences(c.baseline, c.candidate):
            head = [f"| what differs | {plain(c.baseline.name)} | {plain(c.candidate.name)} |", "|---|---|---|"]
            parts.append("\n".join([*head, *(f"| {' | '.join(map(plain, row))} |" for row in differing)]))
    return "\n\n".join(parts) + "\n"


def _arms_table(found: Sequence[Compared]) -> str:
    lines = ["| | seeds | mean ± std | min | max |", "|---|---|---|---|---|"]
    several = [found[0].baseline, *(c.candidate for c in found)]
    spread = min((float(st.sample_std(arm.scores)) for arm in several if not st.is_constant(arm.scores)), default=1.0)
    decimals = max(2 if found[0].baseline.study else 0, min(10, 1 - math.floor(math.log10(spread))))
    for arm in several:
        mean, std = arm.scores.mean(), float(st.sample_std(arm.scores))
        numbers_ = (f"{mean:.{decimals}f} ± {std:.{decimals}f}", *(f"{x:.{decimals}f}" for x in _range(arm)))
        lines.append(f"| {plain(arm.name)} | {arm.n:,} | {' | '.join(numbers_)} |")
    return "\n".join(lines)


def _range(arm: Arm) -> tuple[float, float]:
    return float(arm.scores.min()), float(arm.scores.max())


def write(found: Sequence[Compared], folder: Path) -> None:
    """compare.md, compare.csv and the figure as compare.png and compare.svg."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "compare.md").write_text(page(found))
        pd.DataFrame([numbers(c) for c in found]).to_csv(folder / "compare.csv", index=False)
        figures.save(figures.arms([found[0].baseline, *(c.candidate for c in found)]), folder, "compare")
    except OSError as error:
        raise unwritable(folder, error) from error


def told(c: Compared) -> str:
    """The table and the notes for a terminal."""
    table = rows(c)
    width = max(len(what) for what, _ in table)
    lines = [f"  {what:<{width}}  {told}" for what, told in table]
    lines += [f"  - {note}" for note in notes(c)]
    differing = setting_differences(c.baseline, c.candidate)
    if c.baseline.study is not None and c.candidate.study is not None:
        short = [f"{key} {old} / {new}" for key, old, new in differing[:SETTINGS_TOLD]]
        more = [f"{len(differing) - SETTINGS_TOLD} more in compare.md"] * (len(differing) > SETTINGS_TOLD)
        lines.append(f"  - Settings that differ: {'; '.join(short + more) or 'none'}.")
    return "\n".join(lines)


def _settings(cfg: DictConfig) -> dict[str, Any]:
    """What is set of how to compare; InputError where a value cannot be."""
    for key in ("pair", "same_examples"):
        if cfg[key] is not None and not isinstance(cfg[key], bool):
            raise InputError(f"{key}={cfg[key]}: true or false, or leave it out")
    worth = positive_number(
        cfg, "worth", "the smallest difference that matters, a positive number in the scores' units"
    )
    return {"pair": cfg.pair, "same_examples": cfg.same_examples, "worth": worth}


@hydra.main(version_base="1.3", config_path=CONF, config_name="compare")
def main(cfg: DictConfig) -> None:
    """Compare the arms that `cfg` names: the verdict of each candidate, then what it stands on."""
    with plain_errors():
        settings = _settings(cfg)
        baseline, candidates = arms(cfg)
        names = "+".join(arm.name for arm in candidates)
        folder = folder_of_several(Path(cfg.results), f"{names}-against-{baseline.name}")
        found = compare(baseline, candidates, **settings)
        write(found, folder)
        print("\n".join(sentence(c) for c in found))
        for c in found:
            print(f"\n{c.candidate.name} against {c.baseline.name}\n{told(c)}")
        print(f"\nwritten: {folder / 'compare.md'}, compare.csv, compare.png, compare.svg")


if __name__ == "__main__":
    run(main)
