"""Whether one arm is better than another, in numbers.

One test decides: the paired t-test where both arms ran the same seeds, else Welch's, which in arms of unequal size
has to reject under permutations as well; Holm-corrected over candidates. The choice of the test never depends on the
scores: it would reject too often. All else is context. Seeds that collapsed are left out of all that and have a rate of
their own: one of them hides a difference of means, and the difference in rates is another question.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from seedspread import statistics as st
from seedspread.config.errors import InputError
from seedspread.decide.arms import SCORE, Arm, Pairing, check_units, common_metric, pair_arms
from seedspread.records.digits import Digits
from seedspread.records.metric import Metric
from seedspread.records.scores import Scores
from seedspread.statistics import Array, Difference, Interval

ALPHA, POWER = 0.05, 0.8
LARGEST = 1e70  # a score beyond it has a fourth power, as in its kurtosis, that overflows
LEAST_SEEDS = 10  # per arm: with fewer, bootstraps call equal arms different too often, and Welch's test may


@dataclass(frozen=True)
class Examples:
    """The error by the choice of test examples, in points, and the difference with the errors of seeds and examples."""

    same: bool
    count: int
    error: float
    whole: Difference


@dataclass(frozen=True)
class ArmComparison:
    """A candidate against a baseline: every number of the report, in the units of the scores.

    Differences are candidate minus baseline; both arms are without the seeds that collapsed. `improvement` and
    `dominance` are about being better, whichever way the metric goes; `dominated` is the same for the baseline over the
    candidate. p-values are Holm-adjusted: `p` of no difference, and `p_equivalent` of one of `worth` or more, nan
    without `worth`. `more` is the command that decides with more seeds, where one is known.
    """

    baseline: Arm
    candidate: Arm
    pairing: Pairing
    welch: Difference
    paired: Difference | None
    correlation: float
    correlation_interval: Interval
    improvement: float
    improvement_interval: Interval
    effect: float
    effect_interval: Interval
    std_ratio: float
    std_ratio_interval: Interval
    p_spreads: float
    examples: Examples | None
    candidates: int
    worth: float | None
    p: float
    p_equivalent: float
    metric: Metric
    more: str = ""

    def __repr__(self) -> str:
        found, digits = self.primary, self.digits()
        return (
            f"<{self.candidate.name} against {self.baseline.name}: {self.verdict}, {self.metric.name} "
            f"{digits.signed(found.value)}{digits.difference_suffix} (95 % {digits.signed_interval(*found.interval)})>"
        )

    def digits(self, error: float | None = None) -> Digits:
        """How differences are written: by the standard error of the difference, or another `error`."""
        largest = max(float(np.abs(arm.scores).max()) for arm in (self.baseline, self.candidate))
        return Digits.of_error(self.metric, self.primary.error if error is None else error, largest)

    @cached_property
    def p_permutation(self) -> float:
        """The p of the permutation test; with that of the order it is most of a comparison's time, on demand."""
        one, other = self.baseline.scores, self.candidate.scores
        if self.pairing.places:
            return st.sign_flip_test(one[self.pairing.places[0]], other[self.pairing.places[1]])
        return (self.welch.permutations or st.permute_arms(one, other)).p()

    @cached_property
    def _orders(self) -> tuple[float, float]:
        sign = self.metric.sign
        one, other = sign * self.baseline.scores, sign * self.candidate.scores
        return st.almost_stochastic_order(one, other, alpha=ALPHA / self.candidates / 2)

    @property
    def dominance(self) -> float:
        """How far the candidate is from being stochastically larger than the baseline, from 0 to 1."""
        return self._orders[0]

    @property
    def dominated(self) -> float:
        """The same for the baseline over the candidate."""
        return self._orders[1]

    @property
    def primary(self) -> Difference:
        """The difference by the test that decides."""
        return self.paired or self.welch

    @property
    def alpha(self) -> float:
        """The level for planning seeds: Bonferroni's, which is at most Holm's."""
        return ALPHA / self.candidates

    @property
    def fewest(self) -> int:
        """Seeds in the smaller arm."""
        return min(self.baseline.n, self.candidate.n)

    @property
    def pairs(self) -> int:
        """The number of pairs of seeds; 0 where the arms are not paired."""
        return len(self.pairing.places[0]) if self.pairing.places else 0

    @property
    def detectable(self) -> float:
        """The smallest true difference that these seeds show with 80 % power, given their spread."""
        found = self.primary
        return found.widening * found.error * st.detectable_errors(found.degrees_of_freedom, POWER, self.alpha)

    @property
    def verdict(self) -> str:
        """The verdict on the means, qualified where collapsed seeds speak against it.

        A candidate is not plainly better, nor equivalent, where it alone has seeds that collapsed; it is not plainly
        worse where it alone has none: then the verdict is "better among seeds that did not collapse", and so on.
        """
        against = {"better": ["candidate"], "worse": ["baseline"], "equivalent": ["baseline", "candidate"]}
        doubtful = self.only_collapsing in against.get(self.means_verdict, [])
        return self.means_verdict + " among seeds that did not collapse" * doubtful

    @property
    def only_collapsing(self) -> str:
        """The side, baseline or candidate, that alone has collapsed seeds; empty where both or neither have."""
        baseline, candidate = self.baseline.collapsed > 0, self.candidate.collapsed > 0
        return "" if baseline == candidate else "baseline" if baseline else "candidate"

    @property
    def means_verdict(self) -> str:
        """better, worse, equivalent, not shown, or too few seeds: these could not show a difference that matters.

        Equivalent are arms whose difference is shown to be smaller than `worth`, be it sure or not. The smallest
        difference that matters is `worth`, or the std between seeds where that is not given.
        """
        if (self.pairs or self.fewest) < st.FEWEST:
            return "too few seeds"
        spread = math.sqrt((self.baseline.scores.var(ddof=1) + self.candidate.scores.var(ddof=1)) / 2)
        return judge(self.p, self.p_equivalent, self.towards, self.detectable > (self.worth or spread))

    @property
    def towards(self) -> str:
        """The side of the difference, sure or not: better or worse."""
        return towards(self.metric, self.primary)

    @property
    def planned_pairs(self) -> int | None:
        """Pairs of seeds that `seedspread decide` takes with 80 % power where the true difference is 0 or `worth`.

        Planned with the upper limit of the spread, never with the difference seen. None without `worth` or a spread.
        """
        if self.worth is None or not self.primary.error:
            return None
        if self.pairs:
            std, n = self.primary.error * math.sqrt(self.pairs), self.pairs
        else:
            std, n = math.hypot(*(arm.scores.std(ddof=1) for arm in (self.baseline, self.candidate))), self.fewest
        return st.pairs_needed(st.std_upper_limit(std, n), self.worth, POWER, self.alpha)


def towards(metric: Metric, difference: Difference) -> str:
    """The side of a difference, sure or not: better or worse."""
    return "better" if metric.sign * difference.value > 0 else "worse"


def judge(p: float, p_equivalent: float, side: str, blind: bool) -> str:
    """equivalent, the `side`, or not shown; too few seeds where they are `blind` to a difference that matters."""
    if p_equivalent < ALPHA:
        return "equivalent"
    return side if p < ALPHA else "too few seeds" if blind else "not shown"


class NothingVaries(InputError):
    """Two arms whose scores differ by the same amount on every seed: there is no variance to test against."""


def compare_arms(
    baseline: Arm,
    candidates: Sequence[Arm],
    pair: bool | None = None,
    same_examples: bool | None = None,
    worth: float | None = None,
) -> list[ArmComparison]:
    """Compare each candidate with the baseline; InputError where scores cannot be compared, naming the arm."""
    metric = common_metric([baseline, *candidates])
    for arm in (baseline, *candidates):
        check_arm(arm)
    every = [baseline, *candidates]
    baseline, *candidates = (arm.healthy(metric.sign, [o for o in every if o is not arm]) for arm in every)
    found = [_compare(baseline, arm, pair, same_examples, worth, len(candidates), metric) for arm in candidates]
    p, equivalent = (st.holm(np.array([getattr(c, name) for c in found])) for name in ("p", "p_equivalent"))
    return [replace(c, p=float(p[i]), p_equivalent=float(equivalent[i])) for i, c in enumerate(found)]


def check_arm(arm: Arm) -> None:
    """Raise InputError for fewer than two scores, and for scores that cannot be computed with."""
    if arm.n < 2:
        raise InputError(
            f"{arm.name} has {arm.n or 'no'} score{'s' * (arm.n != 1)}: a comparison needs at least 2 seeds, better 20"
        )
    if not np.isfinite(arm.scores).all():
        raise InputError(f"{arm.name}: {int((~np.isfinite(arm.scores)).sum())} scores are not finite; leave them out")
    if (largest := np.abs(arm.scores).max()) > LARGEST:
        raise InputError(f"{arm.name}: a score of {largest:g} is too large; correct it, or scale the scores")


def _compare(
    baseline: Arm,
    candidate: Arm,
    pair: bool | None,
    same_examples: bool | None,
    worth: float | None,
    candidates: int,
    metric: Metric,
) -> ArmComparison:
    """One candidate against the baseline, p-values not yet adjusted for the number of `candidates`."""
    one, other = baseline.scores, candidate.scores
    if st.is_constant(one) and st.is_constant(other):
        raise NothingVaries(
            f"all scores of {baseline.name} are {one[0]:g} and all of {candidate.name} are {other[0]:g}: there is no "
            "variance to test against. Check that the training depends on the seed"
        )
    pairs = pair_arms(baseline, candidate, pair)
    a, b = (one[pairs.places[0]], other[pairs.places[1]]) if pairs.places else (one, other)
    if pairs.places and st.is_constant(b - a):
        what = "have the same scores" if not np.any(b - a) else f"differ by {b[0] - a[0]:g}"
        raise NothingVaries(
            f"{baseline.name} and {candidate.name} {what} on each of {len(a)} seeds: there is no variance to test "
            "against. Train more seeds, or name another study if one is a copy of the other"
        )
    r, r_interval = st.correlation(a, b) if pairs.places else (math.nan, st.UNKNOWN)
    sign = metric.sign
    improvement, improvement_interval = st.probability_of_improvement(sign * a, sign * b, pairs=bool(pairs.places))
    effect, effect_interval = st.effect_size(one, other)
    ratio, ratio_interval = st.std_ratio(other, one)
    if pairs.places:
        paired = st.paired_t_test(a, b)
        welch = st.welch_test(one, other, cautious=needs_caution(len(one), len(other)))
    else:
        paired, welch = None, unpaired_test(one, other)
    return ArmComparison(
        baseline=baseline,
        candidate=candidate,
        pairing=pairs,
        welch=welch,
        paired=paired,
        correlation=r,
        correlation_interval=r_interval,
        improvement=improvement,
        improvement_interval=improvement_interval,
        effect=effect,
        effect_interval=effect_interval,
        std_ratio=ratio,
        std_ratio_interval=ratio_interval,
        p_spreads=st.brown_forsythe([one, other]),
        examples=_examples(baseline, candidate, paired or welch, pairs, same_examples),
        candidates=candidates,
        worth=worth,
        p=(paired or welch).p,
        p_equivalent=(paired or welch).p_beyond(worth) if worth else math.nan,
        metric=metric,
    )


def unpaired_test(one: Array, other: Array) -> Difference:
    """Welch's test of two arms; in arms of unequal size their permutations have to reject as well."""
    unequal = st.permute_arms(one, other) if len(one) != len(other) else None
    return st.welch_test(one, other, cautious=needs_caution(len(one), len(other)), permutations=unequal)


def needs_caution(one: int, other: int) -> bool:
    """Whether Welch's test of so many seeds may reject too often: few in one arm and more in the other."""
    return min(one, other) < LEAST_SEEDS and one != other


def same_test_set(one: Scores, other: Scores) -> bool:
    """Whether two studies were scored on the same examples in the same order, according to their records."""

    def known(scores: Scores) -> tuple:
        data = scores.study.config.get("data") or {}
        return {record.pictures_sha256 for record in scores.finished}, scores.examples, data.get("test_size")

    prints, *_ = known(one)
    return known(one) == known(other) and len(prints) == 1 and None not in prints


def _examples(
    baseline: Arm, candidate: Arm, over_seeds: Difference, pairs: Pairing, wanted: bool | None
) -> Examples | None:
    """The part of test examples in the error, from predictions, in percent; None where there are none."""
    one, other = baseline.study, candidate.study
    if wanted and (one is None or other is None):
        raise InputError("same_examples=true: a file of scores has no predictions of single examples; leave it out")
    if one is None or other is None:
        return None
    if wanted and (missing := [scores for scores in (one, other) if scores.examples is None]):
        raise InputError(
            f"same_examples=true: {missing[0].metric.name} of {missing[0].name} is not recorded with right and "
            "wrong answers to test examples; leave it out"
        )
    if wanted and one.examples != other.examples:
        raise InputError(
            f"same_examples=true: {one.name} was scored on {one.examples:,} test examples, {other.name} on "
            f"{other.examples:,}; leave it out to compare them as different test sets"
        )
    if one.examples is None or other.examples is None or not one.correct or not other.correct:
        return None
    rows, others = (
        {seed: bits for seed, bits in study.correct.items() if arm.seeds is None or seed in arm.seeds}
        for study, arm in ((one, baseline), (other, candidate))
    )
    if not rows or not others:
        return None
    same = same_test_set(one, other) if wanted is None else wanted
    share_one = st.share_right(rows.values(), one.examples)
    share_other = st.share_right(others.values(), other.examples)
    both = None
    if same and pairs.places and rows.keys() == others.keys():
        shared_bits = (rows[seed] & others[seed] for seed in rows)
        both = st.share_right(shared_bits, one.examples)
    error = 100 * st.example_error(share_one, share_other, same)
    shared = 1e4 * st.shared_variance(share_one, len(rows), share_other, len(others), both)
    count = min(one.examples, other.examples)
    if math.isnan(shared) or count < 2:
        return None
    return Examples(same, count, error, st.over_seeds_and_examples(over_seeds, error, shared, count))


def comparison_row(c: ArmComparison) -> dict[str, object]:
    """Every number, unrounded, as a row of a table."""
    row: dict[str, object] = {"baseline": c.baseline.name, "candidate": c.candidate.name, "verdict": c.verdict}
    row |= {"metric": c.metric.name, "direction": c.metric.direction}
    for name, arm in (("baseline", c.baseline), ("candidate", c.candidate)):
        rate, (low, high) = arm.collapse_rate
        row |= {f"{name}_collapsed": arm.collapsed, f"{name}_collapse_rate": rate}
        row |= {f"{name}_collapse_rate_low": low, f"{name}_collapse_rate_high": high}
        row |= {f"{name}_seeds": arm.n, f"{name}_mean": arm.scores.mean(), f"{name}_std": arm.scores.std(ddof=1)}
    row |= {"test": "paired t" if c.paired else "Welch", "difference": c.primary.value, "p": c.primary.p}
    row |= {"p_holm": c.p, "difference_low": c.primary.interval.low, "difference_high": c.primary.interval.high}
    row |= {"p_welch": c.welch.p, "p_permutation": c.p_permutation, "correlation": c.correlation}
    for name in ("improvement", "effect", "std_ratio"):
        low, high = getattr(c, f"{name}_interval")
        row |= {name: getattr(c, name), f"{name}_low": low, f"{name}_high": high}
    row |= {"aso_epsilon_min": c.dominance, "aso_epsilon_min_reverse": c.dominated, "p_brown_forsythe": c.p_spreads}
    row |= {"detectable": c.detectable, "worth": c.worth, "p_equivalent": c.p_equivalent}
    if e := c.examples:
        row |= {"examples_paired": e.same, "examples_error": e.error, "whole_p": e.whole.p}
        row |= {"whole_low": e.whole.interval.low, "whole_high": e.whole.interval.high}
    return row


def compare(
    baseline: Scores | Sequence[float],
    candidate: Scores | Sequence[float],
    pair: bool | None = None,
    worth: float | None = None,
    direction: str = "maximize",
) -> ArmComparison:
    """Is the candidate better than the baseline? Each is the scores of a study or numbers (S,).

    The verdict is "better", "worse", "equivalent", "not shown" or "too few seeds"; the first three end in "among seeds
    that did not collapse" where collapsed seeds of one arm alone speak against them. A study has its direction; of
    numbers larger is better, or with direction="minimize" smaller. `pair=True` compares seed by seed, numbers as those
    of seeds 0, 1, 2 and so on; None pairs studies that ran the same seeds. `worth` is the smallest difference that
    matters, in the scores' units: without it no arms are equivalent. Raises InputError where scores cannot be compared.

    >>> found = ss.compare([90.1, 90.4, 89.9, 90.2], [91.0, 91.3, 90.8, 91.1])
    >>> found
    <candidate against baseline: better, score +0.90 (95 % +0.54 to +1.26)>
    >>> found.verdict, round(found.p, 4)
    ('better', 0.0009)
    """

    def arm(name: str, side: Scores | Sequence[float]) -> Arm:
        if isinstance(side, Scores):
            return Arm.of(side)
        return Arm(name, np.array(side, dtype=float), np.arange(len(side)) if pair else None)

    arms = [arm("baseline", baseline), arm("candidate", candidate)]
    if not any(arm.metric for arm in arms):
        arms = [replace(arm, metric=replace(SCORE, direction=direction)) for arm in arms]
    check_units(arms)
    return compare_arms(arms[0], arms[1:], pair=pair, worth=worth)[0]
