"""What the winner of a search is worth on fresh seeds."""

from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from seedspread.config.errors import InputError
from seedspread.decide.verdict import Arm, ArmComparison, NothingVaries, compare_arms, pair_arms
from seedspread.records.record import Status
from seedspread.records.scores import Scores
from seedspread.records.study import Study
from seedspread.report.verdict_words import verdict_sentence
from seedspread.search.trials import BASELINE, Trial
from seedspread.statistics.spread import Array

# What the winner is worth.


@dataclass(frozen=True)
class Judgement:
    """The best trial on fresh seeds, beside the baseline on the same ones."""

    winner: Trial
    arms: tuple[Arm, Arm]  # the baseline and the winner
    compared: ArmComparison | None  # None where the scores differ by the same on every seed
    diverged: tuple[int, int]  # of the baseline's fresh seeds, and of the winner's

    @classmethod
    def of(cls, winner: Trial, baseline: Arm, candidate: Arm, diverged: tuple[int, int] = (0, 0)) -> "Judgement":
        compared = None
        with suppress(NothingVaries):  # as where the best of a list of choices is what the baseline has
            (compared,) = compare_arms(baseline, [candidate], pair=True)
        return cls(winner, (baseline, candidate), compared, diverged)

    @cached_property
    def _shared(self) -> tuple[Array, Array]:
        places = pair_arms(*self.arms, True).places
        assert places is not None
        return self.arms[0].scores[places[0]], self.arms[1].scores[places[1]]

    @property
    def baseline(self) -> Array:
        """Scores of the baseline on the fresh seeds that both finished, (seeds,), in percent."""
        return self._shared[0]

    @property
    def honest(self) -> Array:
        """Scores of the winner on the same seeds, (seeds,)."""
        return self._shared[1]

    @property
    def honest_score(self) -> float:
        return float(self.honest.mean())

    @property
    def curse(self) -> float:
        """What the choice made the winner look better by than it is: chosen less honest score."""
        return self.winner.score - self.honest_score

    @property
    def decision(self) -> str:
        """adopt; keep, because nothing better is shown; or more seeds, because these could not show it."""
        if self.diverged[1] > self.diverged[0]:
            return "keep"
        if self.compared is None:
            return "more seeds" if self.honest_score > self.baseline.mean() else "keep"
        return {"better": "adopt", "too few seeds": "more seeds"}.get(self.compared.verdict, "keep")

    @property
    def reason(self) -> str:
        """What the fresh seeds say of the two, in a sentence."""
        if self.compared is not None:
            return verdict_sentence(self.compared)
        baseline, winner = (arm.name for arm in self.arms)
        if difference := self.honest_score - self.baseline.mean():
            told = f"{winner} differs from {baseline} by {difference:+.2f} on each of {len(self.honest)} seeds"
            return f"{told}: nothing varies to test by."
        return f"{winner} and {baseline} have the same score on each of {len(self.honest)} seeds."


def judge_winner(folder: Path, winner: Trial) -> Judgement:
    """The winner's judgement from the records in `folder`; InputError says why there is none."""
    arms = []
    for name in (BASELINE, f"{winner.name}-fresh"):
        if not (folder / name / "study.yaml").exists():
            raise InputError("run the search with fresh_seeds=20")
        arms.append(Arm.of(Scores.of(Study.load(folder / name))))
    baseline, candidate = arms
    assert baseline.seeds is not None
    assert candidate.seeds is not None
    if len(np.intersect1d(baseline.seeds, candidate.seeds)) < 2:
        raise InputError("fewer than 2 fresh seeds are finished by both; run the search once more")
    before, now = (len(arm.study.reasons(Status.DIVERGED)) for arm in arms if arm.study)
    return Judgement.of(winner, baseline, candidate, (before, now))
