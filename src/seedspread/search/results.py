"""A search as its records show it."""

import math
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import optuna
from optuna.storages.journal import JournalFileBackend

from seedspread.config.errors import InputError
from seedspread.records.digits import Digits
from seedspread.records.metric import Metric
from seedspread.records.scores import NothingFinished, Scores
from seedspread.records.study import Study
from seedspread.search.judge import Judgement, judge_winner
from seedspread.search.space import Hyperparameter, Space
from seedspread.search.trials import Trial, best_trial, comparable_trials, observations, read_trials

BEST_DRAWN = 3  # trials whose curves are drawn
FEWEST_FOR_IMPORTANCE = 8
BINS = 6  # along a hyperparameter that is a number


@dataclass(frozen=True)
class SearchResults:
    """Every number in the report of a search, from its records."""

    folder: Path
    space: Space
    trials: list[Trial]  # those with exactly the keys of the space
    left_out: int
    best: Trial
    judgement: Judgement | None
    unjudged: str  # why there is no judgement

    @classmethod
    def of(cls, folder: Path, space: Space, worth: float | None = None) -> "SearchResults":
        """Read the search in `folder`; NothingFinished where no trial has a finished seed.

        `worth` is the smallest difference from the baseline that matters; None: no difference is too small.
        """
        found = [trial for trial in read_trials(folder) if trial.was_trained]
        trials = comparable_trials(found, space)
        best = best_trial(trials)
        if best is None:
            more = f" ({len(trials)} trials diverged or failed)" if trials else ""
            if found and not trials:
                keys = ", ".join(found[-1].point)
                more = f" has these keys; {found[-1].name} has {keys}: give the space of that search"
            raise NothingFinished(f"{folder}: no trial with a finished seed{more}")
        judgement, unjudged = None, ""
        try:
            judgement = judge_winner(folder, best, sum(bool(trial.scores) for trial in trials), worth)
        except InputError as error:
            unjudged = str(error).rstrip(".")
        return cls(folder, space, trials, len(found) - len(trials), best, judgement, unjudged)

    @property
    def name(self) -> str:
        return self.folder.name.removesuffix("-search")

    @property
    def metric(self) -> Metric:
        """What trials are scored by."""
        return self.best.metric

    @cached_property
    def digits(self) -> Digits:
        """How scores are written: by the std between the seeds of a trial, or where that is unknown between trials."""
        scores = [trial.score for trial in self.finished]
        if self.metric.symbol == "%" or math.isnan(self.noise) or not self.noise:
            return Digits.of(self.metric, scores)
        return Digits.of_error(self.metric, self.noise, max(map(abs, scores)))

    @cached_property
    def finished(self) -> list[Trial]:
        return [trial for trial in self.trials if trial.scores]

    @cached_property
    def ranked(self) -> list[Trial]:
        """The finished trials, best first."""
        return sorted(self.finished, key=lambda trial: -trial.better)

    @cached_property
    def curves(self) -> list[Scores]:
        """The learning curves of the best trials, best first."""
        return [Scores.of(Study.load(self.folder / trial.name)) for trial in self.ranked[:BEST_DRAWN]]

    @cached_property
    def diverged(self) -> list[Trial]:
        return [trial for trial in self.trials if trial.has_diverged]

    @cached_property
    def noise(self) -> float:
        """The std between seeds of a trial, pooled over the better half of trials: poor ones spread more."""
        better = self.ranked[: -(-len(self.ranked) // 2)]
        variances = [trial.std**2 for trial in better if not math.isnan(trial.std)]
        return math.sqrt(float(np.mean(variances))) if variances else math.nan

    def best_by(self, h: Hyperparameter) -> list[tuple[float, float, Trial]]:
        """The best trial in each bin along one hyperparameter: start, end (positions 0 to 1) and trial."""
        n = len(h.range) if h.scale == "choice" else BINS
        found: dict[int, list[Trial]] = {}
        for trial in self.finished:
            if h.contains(trial.point[h.key]):
                place = h.position(trial.point[h.key])
                at = round(place * (n - 1)) if h.scale == "choice" else min(n - 1, int(place * n))
                found.setdefault(at, []).append(trial)
        return [(at / n, (at + 1) / n, max(trials, key=lambda t: t.better)) for at, trials in sorted(found.items())]

    @cached_property
    def importance(self) -> dict[str, float]:
        """The share of the scores' variance that each hyperparameter explains, by fANOVA (Hutter et al. 2014).

        Empty where too few trials are finished, or where they all score the same.
        """
        inside = [(trial.point, trial.score) for trial in self.finished if self.space.contains(trial.point)]
        if len(inside) < FEWEST_FOR_IMPORTANCE or np.ptp([score for _, score in inside]) == 0:
            return {}
        evaluator = optuna.importance.FanovaImportanceEvaluator(seed=0)
        return optuna.importance.get_param_importances(self.space.to_optuna(inside), evaluator=evaluator)


def write_journal(t: SearchResults, path: Path) -> None:
    """Write the trials inside the space as an Optuna journal for its dashboard; the records remain authoritative."""
    storage = optuna.storages.JournalStorage(JournalFileBackend(str(path)))
    t.space.to_optuna(observations(t.trials), storage=storage, direction=t.metric.direction)
