"""The winner of a search on fresh seeds, against the baseline.

The metric that chose among trials decides, pair by pair of seeds, and stops where it is decided (decide.decision).
Where there is a test set beside the validation data that chose, it is looked at once then: better there, too, or the
baseline stays.
"""

import math
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import count
from pathlib import Path

import numpy as np

from seedspread import statistics as st
from seedspread.config.errors import InputError
from seedspread.decide.arms import Arm, pair_arms
from seedspread.decide.decision import Decision
from seedspread.decide.verdict import ALPHA, ArmComparison, NothingVaries, compare_arms
from seedspread.records.record import Status
from seedspread.records.scores import Scores
from seedspread.records.study import Study
from seedspread.search.trials import BASELINE, FIRST_FRESH_SEED, Trial
from seedspread.statistics import Array, Outcome

FEWEST_FRESH = st.pairs_needed(std=1e-9, worth=1.0)  # pairs before any difference, however large, can be decided on


@dataclass(frozen=True)
class Judgement:
    """The best trial and the baseline on the same fresh seeds, those of the decision."""

    winner: Trial
    decision: Decision  # by the metric that chose
    arms: tuple[Arm, Arm]  # the baseline and the winner: on the test set, or without one as in the decision
    diverged: tuple[int, int] = (0, 0)  # fresh seeds of the baseline, and of the winner
    has_test_set: bool = False  # which chose nothing
    chosen_on_test_among: int = 1  # trials that were compared on the examples that judge; 1 where others chose

    @cached_property
    def comparison(self) -> ArmComparison | None:
        """The arms compared; None where every seed differs by the same amount."""
        with suppress(NothingVaries):  # for example, the winner has the settings of the baseline
            return compare_arms(self.arms[0], self.arms[1:], pair=True)[0]
        return None

    @cached_property
    def _shared(self) -> tuple[Array, Array]:
        places = pair_arms(*self.arms, True).places
        assert places is not None
        return self.arms[0].scores[places[0]], self.arms[1].scores[places[1]]

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
        one, other = self.decision.scores
        finished = np.isfinite(one) & np.isfinite(other)
        return one[finished], other[finished]

    @property
    def curse(self) -> float:
        """The winner's curse: by how much the winner looked better when it was chosen than on fresh seeds."""
        return self.winner.metric.sign * (self.winner.score - float(self.again[1].mean()))

    @property
    def advice(self) -> str:
        """adopt: better is shown. keep: it is not. more seeds: nothing is decided yet.

        Better on other seeds and on other test examples: configs that are equal in truth differ on the examples at hand
        by more than seeds explain, and of many such configs one is chosen.
        """
        if self.diverged[1] > self.diverged[0]:
            return "keep"
        if self.decision.outcome == Outcome.BETTER:
            return "adopt" if self.is_better_on_test else "keep"
        one, other = self.again
        may_be_better = self.decision.outcome == Outcome.UNDECIDED and np.any(
            self.winner.metric.sign * (other - one) > 0
        )
        return "more seeds" if may_be_better else "keep"

    @property
    def is_better_on_test(self) -> bool:
        """Whether the arms show it as well: on other examples too where predictions are known, else on these."""
        if self.comparison is None or self.is_better_on_other_examples is False:
            return False
        return self.comparison.verdict == "better"

    @property
    def is_better_on_other_examples(self) -> bool | None:
        """Whether better is shown with the choice of test examples in its error; None where predictions are unknown.

        Where the test set chose among k trials, its p-value counts k times (Bonferroni).
        """
        if self.comparison is None or self.comparison.examples is None:
            return None
        whole = self.comparison.examples.whole
        return self.comparison.verdict == "better" and whole.p * self.chosen_on_test_among < ALPHA


def decide_pairs(
    winner: Trial,
    baseline: Mapping[int, float],
    candidate: Mapping[int, float],
    worth: float | None = None,
    identical: bool = False,
) -> Decision:
    """The decision by the scores of fresh seeds, nan where one diverged, up to the first look that decides.

    Pairs are taken in the order of seeds, up to the first that is not complete: who trained faster decides nothing.
    """
    decision = Decision(BASELINE, winner.fresh_name, winner.metric, worth, identical=identical)
    for seed in count(FIRST_FRESH_SEED):
        if decision.decided_after or seed not in baseline or seed not in candidate:
            return decision
        decision.add(seed, baseline[seed], candidate[seed])
    raise AssertionError


def decide_winner(folder: Path, winner: Trial, worth: float | None = None) -> Decision:
    """The decision between `winner` and the baseline by the records in `folder`."""
    studies = [
        Study.load(path) if (path / "study.yaml").exists() else None
        for path in (folder / BASELINE, folder / winner.fresh_name)
    ]
    one, other = (_ended_scores(study, winner) if study else {} for study in studies)
    digests = {study.digest if study else "" for study in studies}
    return decide_pairs(winner, one, other, worth, identical=len(digests) == 1)


def _ended_scores(study: Study, winner: Trial) -> dict[int, float]:
    """By seed its score, nan where it diverged; without those that failed, which will be trained again."""
    found = {}
    for seed, record in study.scan().records.items():
        if record.status != Status.FAILED:
            found[seed] = record.score(winner.metric) if record.status == Status.FINISHED else math.nan
    return found


def judge_winner(folder: Path, winner: Trial, trials: int, worth: float | None = None) -> Judgement:
    """The judgement of the best of `trials` from the records in `folder`; InputError says why there is none."""
    for name in (BASELINE, winner.fresh_name):
        if not (folder / name / "study.yaml").exists():
            raise InputError("run the search with fresh_seeds=40")
    decision = decide_winner(folder, winner, worth)
    if decision.pairs < st.FEWEST:
        raise InputError(f"fewer than {st.FEWEST} pairs of fresh seeds have ended; run the search once more")
    seeds = range(FIRST_FRESH_SEED, FIRST_FRESH_SEED + decision.pairs)
    used = [_of_seeds(Scores.of(Study.load(folder / name)), seeds) for name in (BASELINE, winner.fresh_name)]
    before, now = (len(scores.reasons(Status.DIVERGED)) for scores in used)
    shared = set.intersection(*({record.seed for record in scores.finished} for scores in used))
    if len(shared) < 2:
        raise InputError("fewer than 2 fresh seeds are finished by both; run the search once more")
    one, other = (_of_seeds(scores, shared) for scores in used)
    has_test_set = False
    if (metric := one.test_metric) and other.test_metric:
        one, other, has_test_set = one.by(metric), other.by(metric), True
    among = 1 if has_test_set else trials
    found = Judgement(winner, decision, (Arm.of(one), Arm.of(other)), (before, now), has_test_set, among)
    _ = found.comparison  # raises InputError where the arms cannot be compared
    return found


def _of_seeds(scores: Scores, seeds: Iterable[int]) -> Scores:
    """The records of these seeds alone: what was trained beside them changes no number."""
    return replace(scores, records={seed: scores.records[seed] for seed in sorted(seeds)}, missing=[])
