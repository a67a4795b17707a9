"""The trials of a search on disk, and the best of them.

results/<study>-search/search.yaml             the config that trials differ from: the baseline
results/<study>-search/trial-003/              a study, and trial.json: the point, and which search chose it
results/<study>-search/trial-003-fresh/        the same config on fresh seeds
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
from seedspread.records.digits import Digits
from seedspread.records.files import unwritable_error, write_atomically
from seedspread.records.metric import ACCURACY, Metric
from seedspread.records.record import Status
from seedspread.records.study import Scan, Study
from seedspread.search.space import Observation, Point, Space

FIRST_FRESH_SEED = 10_000  # seeds below choose among trials
BASELINE = "baseline"


@dataclass(frozen=True)
class Trial:
    """A point and the final scores of its seeds in the unit shown; `name` is that of its study."""

    name: str
    point: Point
    scores: dict[int, float]
    diverged: tuple[int, ...] = ()
    failed: tuple[int, ...] = ()
    search: str = "explore"
    space: dict[str, Any] | None = None  # the one it was chosen from
    search_seed: int = 0
    problems: tuple[str, ...] = ()  # files that are not counted, with the reason
    metric: Metric = ACCURACY

    @classmethod
    def read(cls, folder: Path) -> "Trial":
        """The trial in `folder` with its current records; InputError names a damaged file."""
        path = folder / "trial.json"
        try:
            stored = json.loads(path.read_text())
            point, search, space = stored["point"], stored["search"], stored["space"]
        except (OSError, ValueError, TypeError, KeyError) as error:
            raise InputError(f"{path} is damaged; restore a copy of it, or remove {folder}") from error
        has_started = (folder / "study.yaml").exists() or any(folder.glob("seeds/*.json"))
        study = Study.load(folder) if has_started else None
        scan, metric = (study.scan(), study.metric) if study else (Scan(), ACCURACY)
        records = scan.records
        ended = {status: [s for s, record in records.items() if record.status == status] for status in Status}
        scores = {s: records[s].score(metric) for s in ended[Status.FINISHED]}
        problems = tuple(f"{folder.name}/seeds/{name}: {reason}" for name, reason in scan.problems.items())
        diverged, failed = tuple(ended[Status.DIVERGED]), tuple(ended[Status.FAILED])
        chosen_by = (search, space, stored.get("search_seed", 0))
        return cls(folder.name, point, scores, diverged, failed, *chosen_by, problems, metric)

    @property
    def fresh_name(self) -> str:
        """The study of the same point on fresh seeds."""
        return f"{self.name}-fresh"

    @property
    def score(self) -> float:
        """The mean over the finished seeds; nan where none is."""
        return float(np.mean(list(self.scores.values()))) if self.scores else math.nan

    @property
    def std(self) -> float:
        return float(np.std(list(self.scores.values()), ddof=1)) if len(self.scores) > 1 else math.nan

    @property
    def better(self) -> float:
        """The score, negated where smaller is better: a larger one is better."""
        return self.metric.sign * self.score

    @property
    def digits(self) -> Digits:
        """How its scores are written."""
        return Digits.of(self.metric, [*self.scores.values()])

    @property
    def settings(self) -> str:
        """The point as it is typed."""
        return " ".join(f"{key}={format_value(value)}" for key, value in self.point.items())

    @property
    def number(self) -> int:
        return int(self.name.removeprefix("trial-"))

    @property
    def was_trained(self) -> bool:
        """Whether any seed ended, or left a file that is not counted."""
        return bool(self.scores or self.diverged or self.failed or self.problems)

    @property
    def has_diverged(self) -> bool:
        """Whether all seeds that ended diverged or failed, and at least one diverged."""
        return bool(self.diverged) and not self.scores

    def line(self) -> str:
        """The score or the problem, and the point, in a line."""
        if self.scores:
            digits = self.digits
            spread = f" ± {digits.plain(self.std)}" if len(self.scores) > 1 else ""
            parts = [f"{digits.plain(self.score):>6}{spread}{digits.suffix}"]
            parts += [f"{len(self.diverged)} diverged"] * bool(self.diverged)
            parts += [f"{len(self.failed)} failed"] * bool(self.failed)
        else:
            parts = ["diverged" if self.diverged else "failed"]
        return "  ".join([self.name, *parts, self.settings])

    def write(self, folder: Path) -> None:
        """Write the point to `folder` before it is trained."""
        stored = {"search": self.search, "search_seed": self.search_seed, "point": self.point, "space": self.space}
        try:
            folder.mkdir(parents=True, exist_ok=True)
            write_atomically(folder / "trial.json", json.dumps(stored, indent=1).encode())
        except OSError as error:
            raise unwritable_error(folder, error) from error


def read_trials(folder: Path) -> list[Trial]:
    """The trials of a search in the order of their numbers."""
    found = [path.parent for path in folder.glob("trial-*/trial.json") if re.fullmatch(r"trial-\d+", path.parent.name)]
    return sorted(map(Trial.read, found), key=lambda trial: trial.number)


def best_trial(trials: Sequence[Trial]) -> Trial | None:
    """The trial with the best mean, the earliest of equals; None where none has a finished seed."""
    finished = [trial for trial in trials if trial.scores]
    return max(finished, key=lambda trial: trial.better, default=None)


def comparable_trials(trials: Iterable[Trial], space: Space) -> list[Trial]:
    """The trials with exactly the keys of the space."""
    return [trial for trial in trials if trial.point.keys() == set(space.keys)]


def observations(trials: Sequence[Trial]) -> list[Observation]:
    """Points and scores of the trials that have one; nan where all seeds diverged."""
    return [(trial.point, trial.score) for trial in trials if trial.scores or trial.has_diverged]


def check_baseline(folder: Path, config: dict[str, Any]) -> None:
    """Store the config of the baseline before the first record; InputError where it differs later."""
    place = folder / "search.yaml"
    elsewhere = f"name another search, for example study={folder.name.removesuffix('-search')}_2"
    if not any(folder.glob("*/seeds/*.json")):
        stored = {"digest": compute_digest(config), "config": config}
        try:
            write_atomically(place, yaml.safe_dump(stored, sort_keys=False).encode())
        except OSError as error:
            raise unwritable_error(folder, error) from error
    if not place.exists():
        raise InputError(f"{folder} holds records but no search.yaml, their config; restore it, or {elsewhere}")
    try:
        stored = yaml.safe_load(place.read_text())
        digest, theirs = stored["digest"], stored["config"]
    except (OSError, ValueError, yaml.YAMLError, TypeError, KeyError) as error:
        raise InputError(f"{place} is damaged; restore a copy of it, or {elsewhere}") from error
    if digest != compute_digest(config):
        raise InputError(
            f"{folder} holds a search around another config ({describe_differences(theirs, config)}).\n"
            f"A search has one baseline: {elsewhere}"
        )
