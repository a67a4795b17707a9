"""The winner of a search on fresh seeds, against the baseline.

Where there is a test set beside the validation data that chose among trials, it judges; else what chose judges as well.
"""

from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from seedspread.config.errors import InputError
from seedspread.decide.arms import Arm, pair_arms
from seedspread.decide.verdict import ALPHA, ArmComparison, NothingVaries, compare_arms
from seedspread.records.record import Status
from seedspread.records.scores import Scores
from seedspread.records.study import Study
from seedspread.search.trials import BASELINE, Trial
from seedspread.statistics import Array


@dataclass(frozen=True)
class Judgement:
    """The best trial and the baseline on the same fresh seeds."""

    winner: Trial
    arms: tuple[Arm, Arm]  # the baseline and the winner
    comparison: ArmComparison | None  # None where nothing varies to test: every seed differs by the same amount
    diverged: tuple[int, int]  # fresh seeds of the baseline, and of the winner
    validated: tuple[Arm, Arm] | None = None  # by the metric that chose, where the arms are of a test set
    chosen_on_test_among: int = 1  # trials that were compared on the examples that judge; 1 where others chose

    @classmethod
    def of(
        cls,
        winner: Trial,
        baseline: Arm,
        candidate: Arm,
        diverged: tuple[int, int] = (0, 0),
        validated: tuple[Arm, Arm] | None = None,
        chosen_on_test_among: int = 1,
    ) -> "Judgement":
        comparison = None
        with suppress(NothingVaries):  # for example, the winner has the settings of the baseline
            (comparison,) = compare_arms(baseline, [candidate], pair=True)
        return cls(winner, (baseline, candidate), comparison, diverged, validated, chosen_on_test_among)

    @cached_property
    def _shared(self) -> tuple[Array, Array]:
        return _pair(self.arms)

    @property
    def baseline(self) -> Array:
        """Scores of the baseline on the fresh seeds that both finished, (S,), in the unit shown."""
        return self._shared[0]

    @property
    def fresh(self) -> Array:
        """Scores of the winner on the same seeds, (S,)."""
        return self._shared[1]

    @cached_property
    def again(self) -> tuple[Array, Array]:
        """Scores of the baseline and the winner on the same seeds, (S,) each, by the metric that chose among trials."""
        return _pair(self.validated or self.arms)

    @property
    def fresh_score(self) -> float:
        return float(self.fresh.mean())

    @property
    def curse(self) -> float:
        """The winner's curse: by how much the winner looked better when it was chosen than on fresh seeds."""
        return self.winner.metric.sign * (self.winner.score - float(self.again[1].mean()))

    @property
    def decision(self) -> str:
        """adopt: better is shown. keep: it is not. more seeds: the seeds at hand are too few to show it.

        Better on other seeds and on other test examples: configs that are equal in truth differ on the examples at hand
        by more than seeds explain, and of many such configs one is chosen.
        """
        if self.diverged[1] > self.diverged[0]:
            return "keep"
        if self.comparison is None:
            gain = self.winner.metric.sign * (self.fresh_score - self.baseline.mean())
            return "more seeds" if gain > 0 else "keep"
        if self.comparison.verdict == "better":
            return "adopt" if self.is_better_on_other_examples is not False else "keep"
        return "more seeds" if self.comparison.verdict == "too few seeds" else "keep"

    @property
    def is_better_on_other_examples(self) -> bool | None:
        """Whether better is shown with the choice of test examples in its error; None where predictions are unknown.

        Where the test set chose among k trials, its p-value counts k times (Bonferroni).
        """
        if self.comparison is None or self.comparison.examples is None:
            return None
        whole = self.comparison.examples.whole
        return self.comparison.verdict == "better" and whole.p * self.chosen_on_test_among < ALPHA


def _pair(arms: tuple[Arm, Arm]) -> tuple[Array, Array]:
    places = pair_arms(*arms, True).places
    assert places is not None
    return arms[0].scores[places[0]], arms[1].scores[places[1]]


def judge_winner(folder: Path, winner: Trial, trials: int) -> Judgement:
    """The judgement of the best of `trials` from the records in `folder`; InputError says why there is none."""
    found = []
    for name in (BASELINE, f"{winner.name}-fresh"):
        if not (folder / name / "study.yaml").exists():
            raise InputError("run the search with fresh_seeds=20")
        found.append(Scores.of(Study.load(folder / name)))
    one, other = found
    baseline, candidate = validated = Arm.of(one), Arm.of(other)
    chosen_on_test_among, tested = trials, None
    if (metric := one.test_metric) and other.test_metric:
        chosen_on_test_among, tested = 1, validated
        baseline, candidate = Arm.of(one.by(metric)), Arm.of(other.by(metric))
    assert baseline.seeds is not None
    assert candidate.seeds is not None
    if len(np.intersect1d(baseline.seeds, candidate.seeds)) < 2:
        raise InputError("fewer than 2 fresh seeds are finished by both; run the search once more")
    before, now = (len(scores.reasons(Status.DIVERGED)) for scores in found)
    return Judgement.of(winner, baseline, candidate, (before, now), tested, chosen_on_test_among)
