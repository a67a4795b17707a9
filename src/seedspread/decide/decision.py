"""A decision in steps: pairs of seeds come one after another, and each is looked at until the verdict is there."""

import math
from collections.abc import Hashable, Sequence
from dataclasses import dataclass, field

import numpy as np

from seedspread import statistics as st
from seedspread.config.errors import InputError
from seedspread.decide.arms import SCORE
from seedspread.decide.verdict import ALPHA, POWER
from seedspread.records.metric import Metric
from seedspread.statistics import Array, Look, Outcome

EXIT_CODES = {Outcome.BETTER: 0, Outcome.WORSE: 10, Outcome.EQUIVALENT: 11, Outcome.UNDECIDED: 12}


@dataclass
class Decision:
    """A candidate against the baseline on one task, pair by pair of seeds in a fixed order, at every look valid.

    Scores are in the unit shown, nan where a seed diverged; differences are candidate minus baseline. `alpha` is the
    probability of a false verdict over all looks. `identical`: both arms have the same config, so that each seed gives
    the same weights.

    >>> decision = ss.Decision("plain", "mine", worth=0.5)
    >>> for seed in range(9):
    ...     decision.add(seed, 90.0 + seed / 10, 91.0 + seed / 9)
    >>> decision.outcome.name, decision.decided_after
    ('BETTER', 8)
    """

    baseline: str
    candidate: str
    metric: Metric = SCORE
    worth: float | None = None
    alpha: float = ALPHA
    identical: bool = False
    labels: list[Hashable] = field(default_factory=list)  # the seeds, or rows
    looks: list[Look] = field(default_factory=list)  # one for each pair from the third on
    _scores: list[tuple[float, float]] = field(default_factory=list)

    def add(self, label: Hashable, one: float, other: float) -> None:
        """Take in the scores of baseline and candidate on the next seed, and look."""
        self.labels.append(label)
        self._scores.append((one, other))
        if len(self._scores) >= st.FEWEST:
            self.looks.append(st.look(*self.scores, self.metric.sign, self.worth, self.alpha))

    @property
    def pairs(self) -> int:
        return len(self._scores)

    @property
    def scores(self) -> tuple[Array, Array]:
        """Scores of the baseline and of the candidate, (N,) each."""
        one, other = np.array(self._scores, dtype=float).reshape(-1, 2).T
        return one, other

    @property
    def decided_after(self) -> int | None:
        """The number of pairs at the first look that decided; None before."""
        if self.identical and self.pairs >= st.FEWEST:
            return st.FEWEST
        found = (st.FEWEST + i for i, look in enumerate(self.looks) if look.outcome != Outcome.UNDECIDED)
        return next(found, None)

    @property
    def outcome(self) -> Outcome:
        """The verdict of the first look that decided: later pairs do not change it."""
        if self.decided_after is None:
            return Outcome.UNDECIDED
        return Outcome.EQUIVALENT if self.identical else Outcome(int(self.look.outcome))

    @property
    def look(self) -> Look:
        """The look that decided, else the last one. At least three pairs are needed."""
        return self.looks[(self.decided_after or self.pairs) - st.FEWEST]

    @property
    def means_outcome(self) -> Outcome:
        """What the means of the healthy seeds say at that look, whatever the rates of collapse."""
        low, high = sorted((self.metric.sign * float(self.look.low), self.metric.sign * float(self.look.high)))
        if self.worth is not None and -self.worth < low and high < self.worth:
            return Outcome.EQUIVALENT
        return Outcome.BETTER if low > 0 else Outcome.WORSE if high < 0 else Outcome.UNDECIDED

    @property
    def p(self) -> float:
        """The p-value of no difference in means, valid at every look: one by the largest evidence up to the verdict."""
        seen = self.looks[: (self.decided_after or self.pairs) - st.FEWEST + 1]
        return math.exp(-max([0.0, *(float(look.log_e) for look in seen)]))

    @property
    def std(self) -> float:
        """The standard deviation of the differences of healthy pairs; nan where they are equal or too few."""
        if not self.looks:
            return math.nan
        look = self.looks[-1]
        return float(look.error) * math.sqrt(int(look.healthy))

    @property
    def pairs_to_come(self) -> int | None:
        """How many more pairs decide with 80 % power, where the true difference is 0 or `worth`.

        Where these are there already, how many more decide whatever the difference: see `is_plan_spent`.
        Planned with the upper limit of the spread, never with the difference seen so far. None where that is unknown,
        or where the means are decided and the rates of collapse are not.
        """
        if self.worth is None or math.isnan(self.std) or self.decided_after or self.means_outcome != Outcome.UNDECIDED:
            return None
        most = (
            self._planned if not self.is_plan_spent else st.pairs_to_narrow(self._largest_std, self.worth, self.alpha)
        )
        return max(1, most - self.pairs)

    @property
    def is_plan_spent(self) -> bool:
        """Whether the pairs that separate 0 from `worth` are there, and the difference seems to lie between."""
        return self._planned <= self.pairs

    @property
    def _largest_std(self) -> float:
        return st.std_upper_limit(self.std, int(self.looks[-1].healthy))

    @property
    def _planned(self) -> int:
        assert self.worth is not None
        return st.pairs_needed(self._largest_std, self.worth, POWER, self.alpha)


@dataclass
class Contest:
    """A candidate against the baseline on one task or several, all with the same seeds; `overall` decides.

    Of several tasks that is the mean over tasks, seed by seed: with `worths` of each task's scores in units of its
    worth, so that metrics of any unit and direction have a mean.
    """

    tasks: Sequence[Decision]
    overall: Decision
    worths: Sequence[float] = ()

    def add(self, label: Hashable, scores: Sequence[tuple[float, float]]) -> None:
        """Take in the scores of baseline and candidate on the next seed, a pair for each task."""
        for task, pair in zip(self.tasks, scores, strict=True):
            task.add(label, *pair)
        if self.overall is not self.tasks[0]:
            scales = np.ones(len(self.tasks))
            if self.worths:
                scales = np.array([task.metric.sign for task in self.tasks]) / self.worths
            one, other = scales @ np.array(scores) / len(self.tasks)
            self.overall.add(label, float(one), float(other))

    @property
    def name(self) -> str:
        return self.overall.candidate

    def task_verdicts(self) -> list[tuple[Outcome, float]]:
        """The verdict on each task and its p-value, Holm-adjusted for the number of tasks."""
        adjusted = st.holm(np.array([task.p for task in self.tasks]))
        found = []
        for task, p in zip(self.tasks, adjusted.tolist(), strict=True):
            outcome = task.outcome
            if outcome == Outcome.UNDECIDED and p < ALPHA and not any(task.look.collapsed):
                gain = task.metric.sign * float(task.look.mean)
                outcome = Outcome.BETTER if gain > 0 else Outcome.WORSE
            found.append((outcome, p))
        return found


def open_contest(
    baselines: Sequence[str],
    candidates: Sequence[str],
    metrics: Sequence[Metric],
    worth: float | Sequence[float] | None = None,
    alpha: float = ALPHA,
    identical: Sequence[bool] = (),
) -> Contest:
    """A contest without pairs yet: one name of each side and a metric for every task.

    Raises InputError where scores of several tasks have no mean: in different units, without a worth for each.
    """
    count = len(baselines)
    worths = list(worth) if isinstance(worth, Sequence) else []
    if worths and len(worths) != count:
        raise InputError(f"worth={worths}: {len(worths)} values for {count} tasks; give one for each")
    one_worth = None if isinstance(worth, Sequence) else worth
    each: list[float | None] = [*worths] or [one_worth] * count
    same = identical or [False] * count
    tasks = [
        Decision(one, other, metric, own, alpha / count, equal)
        for one, other, metric, own, equal in zip(baselines, candidates, metrics, each, same, strict=True)
    ]
    if count == 1:
        return Contest(tasks, tasks[0])
    names = "+".join(baselines), "+".join(candidates)
    if worths:
        gain = Metric.of("gain in worths", "maximize", "none")
        return Contest(tasks, Decision(*names, gain, 1.0, alpha, all(same)), worths)
    kinds = {(metric.name, metric.direction, metric.unit) for metric in metrics}
    if len(kinds) > 1:
        found = " and ".join(metric.describe() for metric in metrics)
        raise InputError(f"the tasks are scored by {found}, which have no mean; give the worth of each, worth=[A,B]")
    return Contest(tasks, Decision(*names, metrics[0], one_worth, alpha, all(same)))


def exit_code(outcomes: Sequence[Outcome]) -> int:
    """0 where any candidate is better, else 12 where any is undecided, 11 where any is equivalent, 10 where none is."""
    order = (Outcome.BETTER, Outcome.UNDECIDED, Outcome.EQUIVALENT, Outcome.WORSE)
    return EXIT_CODES[min(outcomes, key=order.index)]
