"""Whether a candidate is better than a published result, or reaches a target: arms against a number.

Of a published result mean, std and number of runs are known, so Welch's test decides; nothing pairs, and there are no
scores to permute. A target is a number without error: Student's one-sided test decides.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from seedspread import statistics as st
from seedspread.config.errors import InputError
from seedspread.decide.arms import Arm, check_units, common_metric
from seedspread.decide.verdict import (
    ALPHA,
    LARGEST,
    POWER,
    NothingVaries,
    check_arm,
    judge,
    needs_caution,
    towards,
)
from seedspread.records.metric import Metric
from seedspread.statistics import Difference, Summary

DDOF_MATTERS = 100  # runs; from here on dividing by n or by n-1 changes a std by less than 0.51 %


@dataclass(frozen=True)
class Published:
    """A published mean ± std over n runs, as printed; `ddof` 0: the std divides by n, 1: by n-1."""

    mean: float
    std: float
    n: int
    ddof: int = 1

    @classmethod
    def read(cls, given: Mapping[str, Any]) -> "Published":
        """From a checked config; InputError for a key that is missing."""
        needed = ("mean", "std", "n")
        if missing := [name for name in needed if given.get(name) is None]:
            raise InputError(
                f"baseline.{missing[0]}=?: a published result has mean, std and n: "
                "baseline='{mean: 90.02, std: 0.23, n: 10000}'"
            )
        mean, std, n = (given[name] for name in needed)
        if (ddof := given.get("ddof")) is None and n < DDOF_MATTERS:
            raise InputError(
                f"baseline.ddof=?: std of {n} runs: divided by n (ddof: 0, NumPy's default) or n-1 (ddof: 1)?"
            )
        return cls(float(mean), float(std), n, 1 if ddof is None else ddof)

    @property
    def sample_std(self) -> float:
        """The std that divides by n-1."""
        return self.std if self.ddof else self.std * math.sqrt(self.n / (self.n - 1))


@dataclass(frozen=True)
class ReferenceComparison:
    """A candidate, without the seeds that collapsed, minus a number, in the units of the scores.

    `p` is Holm-adjusted over `candidates`.
    """

    candidate: Arm
    metric: Metric
    difference: Difference
    candidates: int
    p: float


@dataclass(frozen=True)
class PublishedComparison(ReferenceComparison):
    """A candidate against a published result; `p` of no difference, `p_equivalent` of one of `worth` or more."""

    published: Published
    worth: float | None
    p_equivalent: float

    @property
    def detectable(self) -> float:
        """The smallest true difference that these seeds show with 80 % power, given their spread."""
        degrees_of_freedom = self.difference.degrees_of_freedom
        return self.difference.error * st.detectable_errors(degrees_of_freedom, POWER, ALPHA / self.candidates)

    @property
    def towards(self) -> str:
        """The side of the difference, sure or not: better or worse."""
        return towards(self.metric, self.difference)

    @property
    def means_verdict(self) -> str:
        """better, worse, equivalent, not shown or too few seeds, as of two arms."""
        if min(self.published.n, self.candidate.n) < st.FEWEST:
            return "too few seeds"
        spread = math.hypot(self.published.sample_std, self.candidate.scores.std(ddof=1)) / math.sqrt(2)
        return judge(self.p, self.p_equivalent, self.towards, self.detectable > (self.worth or spread))

    @property
    def verdict(self) -> str:
        """The verdict on the means, qualified where the candidate has collapsed seeds and it is not worse anyway."""
        doubtful = self.candidate.collapsed > 0 and self.means_verdict in ("better", "equivalent")
        return self.means_verdict + " among seeds that did not collapse" * doubtful


@dataclass(frozen=True)
class TargetComparison(ReferenceComparison):
    """A candidate against a target; `difference` has the 90 % interval, whose ends are the one-sided 95 % bounds.

    `p` is that of the side on which the mean is.
    """

    target: float

    @property
    def p_reaches(self) -> float:
        """The one-sided p-value, not adjusted, of a mean that is worse than the target."""
        return self._p_of_side if self._on_better_side else 1 - self._p_of_side

    @property
    def p_misses(self) -> float:
        """The one-sided p-value, not adjusted, of a mean that reaches the target."""
        return 1 - self.p_reaches

    @property
    def _p_of_side(self) -> float:
        return self.difference.p / 2

    @property
    def _on_better_side(self) -> bool:
        return self.metric.sign * self.difference.value >= 0

    @property
    def bounds(self) -> tuple[float, float]:
        """The lower and the upper one-sided 95 % bound of the mean."""
        low, high = self.difference.interval
        return self.target + low, self.target + high

    @property
    def detectable(self) -> float:
        """How much better than the target a mean is that these seeds show to reach it with 80 % power."""
        one_sided = 2 * ALPHA / self.candidates
        return self.difference.error * st.detectable_errors(self.difference.degrees_of_freedom, POWER, one_sided)

    @property
    def means_verdict(self) -> str:
        """reaches, does not reach, not shown, or too few seeds."""
        if self.candidate.n < st.FEWEST:
            return "too few seeds"
        if self.p >= ALPHA:
            return "not shown"
        return "reaches" if self._on_better_side else "does not reach"

    @property
    def verdict(self) -> str:
        """The verdict on the mean, qualified where seeds collapsed that speak against it."""
        doubtful = self.candidate.collapsed > 0 and self.means_verdict == "reaches"
        return self.means_verdict + " among seeds that did not collapse" * doubtful


def compare_with_published(
    published: Published, candidates: Sequence[Arm], worth: float | None = None
) -> list[PublishedComparison]:
    """Compare each candidate with a published result; InputError where they cannot be compared.

    Welch's test has the degrees of freedom of the smaller arm under the same conditions as between two arms.
    """
    candidates, metric = _prepare(candidates, "the published result", [published.mean, published.std])
    known = Summary(published.mean, published.sample_std, published.n)
    found = []
    for arm in candidates:
        caution = needs_caution(published.n, arm.n)
        difference = st.welch_test_of_summaries(known, Summary.of(arm.scores), cautious=caution)
        p_equivalent = difference.p_beyond(worth) if worth else math.nan
        found.append(
            PublishedComparison(arm, metric, difference, len(candidates), difference.p, published, worth, p_equivalent)
        )
    p, equivalent = (st.holm(np.array([getattr(c, name) for c in found])) for name in ("p", "p_equivalent"))
    return [replace(c, p=float(p[i]), p_equivalent=float(equivalent[i])) for i, c in enumerate(found)]


def compare_with_target(target: float, candidates: Sequence[Arm]) -> list[TargetComparison]:
    """Compare each candidate with a number that its mean is to reach; InputError where that cannot be.

    Of the two one-sided hypotheses of a candidate, exactly one is true, so both are tested at the full level; over
    candidates Holm's procedure, on the p-value of the side on which each mean is (Shaffer 1980).
    """
    candidates, metric = _prepare(candidates, f"target={target:g}", [target])
    found = []
    for arm in candidates:
        if st.is_constant(arm.scores):
            raise NothingVaries(
                f"all scores of {arm.name} are {arm.scores[0]:g}: there is no variance to test against. Check that the "
                "training depends on the seed"
            )
        difference = st.one_sample_t_test(arm.scores, target, level=1 - 2 * ALPHA)
        found.append(TargetComparison(arm, metric, difference, len(candidates), difference.p / 2, target))
    p = st.holm(np.array([c.p for c in found]))
    return [replace(c, p=float(p[i])) for i, c in enumerate(found)]


def _prepare(candidates: Sequence[Arm], name: str, numbers: Sequence[float]) -> tuple[list[Arm], Metric]:
    """The candidates without collapsed seeds, and their metric, checked against the number, the first of `numbers`."""
    if (largest := max(map(abs, numbers))) > LARGEST:
        raise InputError(f"{name}: {largest:g} is too large; correct it, or scale the scores")
    check_units([Arm(name, np.array(numbers[:1])), *candidates])
    metric = common_metric(candidates)
    if fault := metric.find_fault(numbers[0] / (100 if metric.unit == "fraction" else 1)):
        raise InputError(f"{name}: {fault}; correct {numbers[0]:g}, or name the metric that it is of with metric=")
    for arm in candidates:
        check_arm(arm)
    return [arm.healthy(metric.sign) for arm in candidates], metric


def reference_row(c: PublishedComparison | TargetComparison) -> dict[str, object]:
    """Every number, unrounded, as a row of a table."""
    arm, d = c.candidate, c.difference
    rate, (low, high) = arm.collapse_rate
    row: dict[str, object] = {"candidate": arm.name, "verdict": c.verdict}
    row |= {"metric": c.metric.name, "direction": c.metric.direction}
    if isinstance(c, PublishedComparison):
        row |= {"published_mean": c.published.mean, "published_std": c.published.std, "published_n": c.published.n}
        row |= {"published_ddof": c.published.ddof}
    else:
        row["target"] = c.target
    row |= {"candidate_collapsed": arm.collapsed, "candidate_collapse_rate": rate}
    row |= {"candidate_collapse_rate_low": low, "candidate_collapse_rate_high": high, "candidate_seeds": arm.n}
    row |= {"candidate_mean": arm.scores.mean(), "candidate_std": arm.scores.std(ddof=1), "difference": d.value}
    if isinstance(c, PublishedComparison):
        row |= {"test": "Welch", "p": d.p, "p_holm": c.p}
        row |= {"difference_low": d.interval.low, "difference_high": d.interval.high}
        row |= {"worth": c.worth, "p_equivalent": c.p_equivalent}
    else:
        row |= {"test": "one-sample t", "p_reaches": c.p_reaches, "p_misses": c.p_misses, "p_holm": c.p}
        row |= {"bound_low": c.bounds[0], "bound_high": c.bounds[1]}
    return row | {"degrees_of_freedom": d.degrees_of_freedom, "detectable": c.detectable}
