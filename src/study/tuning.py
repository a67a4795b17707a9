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
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from src.errors import InputError
from src.study.scores import NothingFinished, Scores, percent
from src.study.space import Point, Space, Tried
from src.study.statistics import Array, Interval, mean_interval
from src.study.store import KEYS_SHOWN, Study, differences, digest_of, write_atomically
from src.study.verdict import Arm, Compared, compare

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

    @classmethod
    def read(cls, folder: Path) -> "Trial":
        """The trial in `folder`, with the records it has by now."""
        told = json.loads((folder / "trial.json").read_text())
        by_status: dict[str, dict[int, float]] = {"finished": {}, "diverged": {}, "failed": {}}
        if (folder / "study.yaml").exists():
            for seed, record in Study.load(folder).scan().records.items():
                final = record.get("metrics", {}).get("final", {}).get("val/acc")
                by_status[record["status"]][seed] = math.nan if final is None else float(percent(final))
        diverged, failed = tuple(by_status["diverged"]), tuple(by_status["failed"])
        return cls(folder.name, told["point"], by_status["finished"], diverged, failed, told["search"], told["space"])

    @property
    def score(self) -> float:
        """The mean over the finished seeds; nan where none is."""
        return float(np.mean(list(self.scores.values()))) if self.scores else math.nan

    @property
    def std(self) -> float:
        return float(np.std(list(self.scores.values()), ddof=1)) if len(self.scores) > 1 else math.nan

    @property
    def has_diverged(self) -> bool:
        """Whether all seeds that came to an end diverged."""
        return bool(self.diverged) and not self.scores

    def describe(self, folder: Path) -> None:
        """Write down the point before it is trained."""
        folder.mkdir(parents=True, exist_ok=True)
        told = {"search": self.search, "point": self.point, "space": self.space}
        write_atomically(folder / "trial.json", json.dumps(told, indent=1).encode())


def trials_in(folder: Path) -> list[Trial]:
    """The trials of a search in the order of their numbers."""
    found = [path.parent for path in folder.glob("trial-*/trial.json") if re.fullmatch(r"trial-\d+", path.parent.name)]
    return [Trial.read(path) for path in sorted(found, key=lambda path: int(path.name.removeprefix("trial-")))]


def best_of(trials: Sequence[Trial]) -> Trial | None:
    """The trial with the highest mean, the earliest of equals; None where none has a finished seed."""
    finished = [trial for trial in trials if trial.scores]
    return max(finished, key=lambda trial: trial.score, default=None)


def tried(trials: Sequence[Trial]) -> list[Tried]:
    """Points and scores of the trials that came to one; nan where all seeds diverged."""
    return [(trial.point, trial.score) for trial in trials if trial.scores or trial.has_diverged]


def check_baseline(folder: Path, config: dict[str, Any]) -> None:
    """Remember the config of the baseline the first time; InputError where later it is another one."""
    place = folder / "search.yaml"
    if not place.exists():
        stored = {"digest": digest_of(config), "config": config}
        write_atomically(place, yaml.safe_dump(stored, sort_keys=False).encode())
    theirs = yaml.safe_load(place.read_text())
    if theirs["digest"] != digest_of(config):
        found = differences(theirs["config"], config)
        differing = "; ".join(f"{key}: {old} there, {new} now" for key, old, new in found[:KEYS_SHOWN])
        study = folder.name.removesuffix("-search")
        raise InputError(
            f"{folder} holds a search around another config ({differing}).\n"
            f"Searches around two configs are kept apart: name this one, for example study={study}_2"
        )


# What the winner is worth.


@dataclass(frozen=True)
class Judgement:
    """The best trial on fresh seeds, beside the baseline on the same ones."""

    winner: Trial
    honest: Array  # (fresh seeds,) percent
    compared: Compared
    diverged: tuple[int, int] = (0, 0)  # of the baseline's fresh seeds, and of the winner's

    @property
    def honest_score(self) -> float:
        return float(self.honest.mean())

    @property
    def honest_interval(self) -> Interval:
        return mean_interval(self.honest)

    @property
    def curse(self) -> float:
        """What the choice made the winner look better by than it is: chosen less honest score."""
        return self.winner.score - self.honest_score

    @cached_property
    def decision(self) -> str:
        """adopt; keep, because nothing better is shown; or more seeds, because these could not show it."""
        if self.diverged[1] > self.diverged[0]:
            return "keep"
        return {"better": "adopt", "worse": "keep", "not shown": "keep", "too few seeds": "more seeds"}[
            self.compared.verdict
        ]


def judged(folder: Path, winner: Trial) -> Judgement | None:
    """The winner's judgement from the records in `folder`; None where fresh seeds are missing."""
    arms = []
    for name in (BASELINE, f"{winner.name}-fresh"):
        try:
            arms.append(Arm.of(Scores.of(Study.load(folder / name))))
        except (NothingFinished, InputError):
            return None
    baseline, candidate = arms
    common = np.intersect1d(baseline.seeds, candidate.seeds)
    if len(common) < 2:
        return None
    (found,) = compare(baseline, [candidate], pair=True)
    counts = tuple(len(arm.study.others("diverged")) for arm in arms if arm.study)
    return Judgement(winner, candidate.scores, found, (counts[0], counts[1]))
