"""A search for hyperparameters as its records tell it: trials, the best of them, and what it is worth on fresh seeds.

results/<study>-search/search.yaml             the config that trials differ from: the baseline
results/<study>-search/trial-003/              a study, and trial.json: the point, and which search chose it
results/<study>-search/trial-003-fresh/        the same config on seeds that it was not chosen by
results/<study>-search/baseline/               the baseline on those seeds
results/<study>-search/report/                 the page
"""

import json
import math
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from seedspread.config.errors import InputError
from seedspread.config.identity import compute_digest, describe_differences
from seedspread.config.overrides import format_value
from seedspread.records.files import unwritable_error, write_atomically
from seedspread.records.record import Status
from seedspread.records.scores import to_percent
from seedspread.records.study import Scan, Study
from seedspread.search.space import Point, Space, Tried

FIRST_FRESH_SEED = 10_000  # those below are for choosing by
BASELINE = "baseline"


# What is on disk.


@dataclass(frozen=True)
class Trial:
    """A point, and the accuracies in percent that its seeds came to; `name` is its study's."""

    name: str
    point: Point
    scores: dict[int, float]
    diverged: tuple[int, ...] = ()
    failed: tuple[int, ...] = ()
    search: str = "explore"
    space: dict[str, Any] | None = None  # the one it was chosen from
    search_seed: int = 0
    problems: tuple[str, ...] = ()  # files that are not counted, and why

    @classmethod
    def read(cls, folder: Path) -> "Trial":
        """The trial in `folder`, with the records it has by now; InputError names a damaged file."""
        path = folder / "trial.json"
        try:
            told = json.loads(path.read_text())
            point, search, space = told["point"], told["search"], told["space"]
        except (OSError, ValueError, TypeError, KeyError) as error:
            raise InputError(f"{path} is damaged; put back a copy of it, or remove {folder}") from error
        begun = (folder / "study.yaml").exists() or any(folder.glob("seeds/*.json"))
        scan = Study.load(folder).scan() if begun else Scan()
        records = scan.records
        ended = {status: [s for s, record in records.items() if record.status == status] for status in Status}
        scores = {s: float(to_percent(records[s].accuracy)) for s in ended[Status.FINISHED]}
        problems = tuple(f"{folder.name}/seeds/{name}: {reason}" for name, reason in scan.problems.items())
        diverged, failed = tuple(ended[Status.DIVERGED]), tuple(ended[Status.FAILED])
        return cls(folder.name, point, scores, diverged, failed, search, space, told.get("search_seed", 0), problems)

    @property
    def score(self) -> float:
        """The mean over the finished seeds; nan where none is."""
        return float(np.mean(list(self.scores.values()))) if self.scores else math.nan

    @property
    def std(self) -> float:
        return float(np.std(list(self.scores.values()), ddof=1)) if len(self.scores) > 1 else math.nan

    @property
    def settings(self) -> str:
        """The point as it is typed."""
        return " ".join(f"{key}={format_value(value)}" for key, value in self.point.items())

    @property
    def number(self) -> int:
        return int(self.name.removeprefix("trial-"))

    @property
    def was_trained(self) -> bool:
        """Whether a seed of it came to an end, or left a file that is not counted."""
        return bool(self.scores or self.diverged or self.failed or self.problems)

    @property
    def has_diverged(self) -> bool:
        """Whether all seeds that came to an end diverged."""
        return bool(self.diverged) and not self.scores

    def line(self) -> str:
        """The score or what went wrong, and the point, in a line."""
        if self.scores:
            parts = [f"{self.score:6.2f}" + (f" ± {self.std:.2f} %" if len(self.scores) > 1 else " %")]
            parts += [f"{len(self.diverged)} diverged"] * bool(self.diverged)
            parts += [f"{len(self.failed)} failed"] * bool(self.failed)
        else:
            parts = ["diverged" if self.diverged else "failed"]
        return "  ".join([self.name, *parts, self.settings])

    def describe(self, folder: Path) -> None:
        """Write down the point before it is trained."""
        told = {"search": self.search, "search_seed": self.search_seed, "point": self.point, "space": self.space}
        try:
            folder.mkdir(parents=True, exist_ok=True)
            write_atomically(folder / "trial.json", json.dumps(told, indent=1).encode())
        except OSError as error:
            raise unwritable_error(folder, error) from error


def read_trials(folder: Path) -> list[Trial]:
    """The trials of a search in the order of their numbers."""
    found = [path.parent for path in folder.glob("trial-*/trial.json") if re.fullmatch(r"trial-\d+", path.parent.name)]
    return sorted(map(Trial.read, found), key=lambda trial: trial.number)


def best_trial(trials: Sequence[Trial]) -> Trial | None:
    """The trial with the highest mean, the earliest of equals; None where none has a finished seed."""
    finished = [trial for trial in trials if trial.scores]
    return max(finished, key=lambda trial: trial.score, default=None)


def comparable_trials(trials: Iterable[Trial], space: Space) -> list[Trial]:
    """The trials that have a value for each key of the space, and for no other."""
    return [trial for trial in trials if trial.point.keys() == set(space.keys)]


def observations(trials: Sequence[Trial]) -> list[Tried]:
    """Points and scores of the trials that came to one; nan where all seeds diverged."""
    return [(trial.point, trial.score) for trial in trials if trial.scores or trial.has_diverged]


def check_baseline(folder: Path, config: dict[str, Any]) -> None:
    """Remember the config of the baseline until a seed has a record; InputError where later it is another one."""
    place = folder / "search.yaml"
    elsewhere = f"name another search, for example study={folder.name.removesuffix('-search')}_2"
    if not any(folder.glob("*/seeds/*.json")):
        stored = {"digest": compute_digest(config), "config": config}
        try:
            write_atomically(place, yaml.safe_dump(stored, sort_keys=False).encode())
        except OSError as error:
            raise unwritable_error(folder, error) from error
    if not place.exists():
        raise InputError(f"{folder} holds records but no search.yaml, which says what of; put it back, or {elsewhere}")
    try:
        stored = yaml.safe_load(place.read_text())
        digest, theirs = stored["digest"], stored["config"]
    except (OSError, ValueError, yaml.YAMLError, TypeError, KeyError) as error:
        raise InputError(f"{place} is damaged; put back a copy of it, or {elsewhere}") from error
    if digest != compute_digest(config):
        raise InputError(
            f"{folder} holds a search around another config ({describe_differences(theirs, config)}).\n"
            f"Searches around two configs are kept apart: {elsewhere}"
        )
