"""Arms of a comparison: their scores, and which seeds pair."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from seedspread.config.errors import InputError
from seedspread.records.metric import Metric
from seedspread.records.record import Status
from seedspread.records.scores import Scores
from seedspread.statistics import Array, Interval, collapse_rate, find_collapsed

SCORE = Metric.of("score")


@dataclass(frozen=True)
class Arm:
    """One side of a comparison: scores (S,), their seeds (S,) where known, their study and metric.

    Scores of a study are in the unit shown; those of a file keep the file's unit, and have no metric: the other arm's
    holds, or where that has none larger is better. `collapsed` seeds are not among the scores: `seeds_collapsed` says
    which, where seeds are known.
    """

    name: str
    scores: Array
    seeds: Array | None = None
    study: Scores | None = None
    metric: Metric | None = None
    collapsed: int = 0
    seeds_collapsed: Array | None = None

    @classmethod
    def of(cls, study: Scores) -> "Arm":
        diverged = np.array(list(study.reasons(Status.DIVERGED)), dtype=int)
        return cls(study.name, study.final, study.seeds, study, study.metric, len(diverged), diverged)

    def healthy(self, sign: int, others: Sequence["Arm"] = ()) -> "Arm":
        """The arm without the seeds that collapsed, as it looks beside `others`; they count beside those diverged."""
        lost = find_collapsed(self.scores, sign, [arm.scores for arm in others])
        if not lost.any():
            return self
        more = self.collapsed + int(lost.sum())
        if self.seeds is None:
            return replace(self, scores=self.scores[~lost], collapsed=more)
        before = [] if self.seeds_collapsed is None else [self.seeds_collapsed]
        which = np.concatenate([*before, self.seeds[lost]])
        return replace(self, scores=self.scores[~lost], seeds=self.seeds[~lost], collapsed=more, seeds_collapsed=which)

    @property
    def n(self) -> int:
        """The number of seeds that have a score."""
        return len(self.scores)

    @property
    def runs(self) -> int:
        """The number of seeds that were run, those that collapsed among them."""
        return self.n + self.collapsed

    @property
    def collapse_rate(self) -> tuple[float, Interval]:
        """The share of seeds that collapsed, and its interval."""
        return collapse_rate(self.collapsed, self.runs)

    @property
    def seeds_run(self) -> Array:
        """All seeds that are known, in no order."""
        return np.concatenate([seeds for seeds in (self.seeds, self.seeds_collapsed) if seeds is not None])


@dataclass(frozen=True)
class Pairing:
    """Positions of the same seeds in the baseline and in the candidate, (P,) each, or None; and why."""

    places: tuple[Array, Array] | None
    why: str


def pair_arms(baseline: Arm, candidate: Arm, wanted: bool | None) -> Pairing:
    """Pair arms that ran exactly the same seeds, or the seeds in common where `wanted`; InputError where impossible.

    Equal seeds of an imported study pair only where `wanted`: another program may draw other streams from them.
    """
    if wanted is False:
        return Pairing(None, "pair=false")
    if baseline.seeds is None or candidate.seeds is None:
        without = baseline.name if baseline.seeds is None else candidate.name
        if wanted:
            raise InputError(f"pair=true: {without} has no seed column; name it with seed_column=NAME")
        return Pairing(None, f"the seeds of {without} are unknown")
    imported = [arm.name for arm in (baseline, candidate) if arm.study and arm.study.study.is_imported]
    if imported and wanted is None:
        were = f"{' and '.join(imported)} {'was' if len(imported) == 1 else 'were'} imported"
        return Pairing(None, f"{were}, and equal seeds need not mean the same there; pair=true pairs equal seeds")
    common, ours, theirs = np.intersect1d(baseline.seeds, candidate.seeds, return_indices=True)
    both = len(np.intersect1d(baseline.seeds_run, candidate.seeds_run))
    healthy = " that did not collapse" if baseline.collapsed or candidate.collapsed else ""
    if wanted and len(common) < 2:
        raise InputError(
            f"pair=true: {baseline.name} and {candidate.name} have {len(common)} seeds in common{healthy}; train at "
            "least 2 of the same seeds, or leave out pair"
        )
    if wanted or (both == baseline.runs == candidate.runs and len(common) >= 2):
        left = f", of {baseline.runs:,} and {candidate.runs:,}" if both < max(baseline.runs, candidate.runs) else ""
        kept = f"; {len(common):,} collapsed in neither" if len(common) < both else ""
        return Pairing((ours, theirs), f"both ran the same {both:,} seeds{left}{kept}")
    why = f"{both:,} seeds are in both, of {baseline.runs:,} and {candidate.runs:,}"
    return Pairing(None, why + ("; pair=true compares only these" if len(common) > 1 else ""))


def check_units(found: Sequence[Arm]) -> None:
    """Raise InputError for fractions against percent: scores from 0 to 1 against a study or scores far above 1."""
    fractions = [arm for arm in found if arm.study is None and arm.n and 0 <= arm.scores.min() <= arm.scores.max() <= 1]
    percent = [arm for arm in found if arm.study is not None or (arm.n and np.median(arm.scores) > 5)]
    if fractions and percent and not any(arm.metric and arm.metric.symbol != "%" for arm in found):
        raise InputError(
            f"{fractions[0].name} has scores from 0 to 1, {percent[0].name} has percent; multiply the former by 100"
        )


def common_metric(found: Sequence[Arm]) -> Metric:
    """The metric of all arms; of files alone, a score without a unit, larger is better.

    Raises InputError where two arms have different metrics, or one metric in different directions or units.
    """
    named = [arm for arm in found if arm.metric]
    for arm in named[1:]:
        one, other = named[0].metric, arm.metric
        assert one is not None
        assert other is not None
        if (one.name, one.direction, one.symbol) != (other.name, other.direction, other.symbol):
            both = _recorded(named[0]) & _recorded(arm)
            example = one.name if one.name in both or not both else min(both)
            known = both or None in (named[0].study, arm.study)
            raise InputError(
                f"{named[0].name} is scored by {one.describe()}, {arm.name} by {other.describe()}; "
                + (f"name a metric that both record, for example metric={example}" if known else "they share no metric")
            )
    return next((arm.metric for arm in named if arm.metric), SCORE)


def _recorded(arm: Arm) -> set[str]:
    """The metrics that every finished seed of an arm has a final value of."""
    return set.intersection(*(set(record.final) for record in arm.study.finished)) if arm.study else set()
