"""Arms of a comparison: their scores, and which seeds pair."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from seedspread.config.errors import InputError
from seedspread.records.metric import Metric
from seedspread.records.scores import Scores
from seedspread.statistics import Array

SCORE = Metric.of("score")


@dataclass(frozen=True)
class Arm:
    """One side of a comparison: scores (S,), their seeds (S,) where known, their study and metric.

    Scores of a study are in the unit shown; those of a file keep the file's unit, and have no metric: the other arm's
    holds, or where that has none larger is better.
    """

    name: str
    scores: Array
    seeds: Array | None = None
    study: Scores | None = None
    metric: Metric | None = None

    @classmethod
    def of(cls, study: Scores) -> "Arm":
        return cls(study.name, study.final, study.seeds, study, study.metric)

    @property
    def n(self) -> int:
        return len(self.scores)


@dataclass(frozen=True)
class Pairing:
    """Positions of the same seeds in the baseline and in the candidate, (P,) each, or None; and why."""

    places: tuple[Array, Array] | None
    why: str


def pair_arms(baseline: Arm, candidate: Arm, wanted: bool | None) -> Pairing:
    """Pair arms that ran exactly the same seeds, or the seeds in common where `wanted`; InputError where impossible."""
    if wanted is False:
        return Pairing(None, "pair=false")
    if baseline.seeds is None or candidate.seeds is None:
        without = baseline.name if baseline.seeds is None else candidate.name
        if wanted:
            raise InputError(f"pair=true: {without} has no seed column; name it with seed_column=NAME")
        return Pairing(None, f"the seeds of {without} are unknown")
    common, ours, theirs = np.intersect1d(baseline.seeds, candidate.seeds, return_indices=True)
    if wanted and len(common) < 2:
        raise InputError(
            f"pair=true: {baseline.name} and {candidate.name} have {len(common)} seeds in common; train at least "
            "2 of the same seeds, or leave out pair"
        )
    if wanted or len(common) == baseline.n == candidate.n:
        left = f", of {baseline.n:,} and {candidate.n:,}" if len(common) < max(baseline.n, candidate.n) else ""
        return Pairing((ours, theirs), f"both ran the same {len(common):,} seeds{left}")
    why = f"{len(common):,} seeds are in both, of {baseline.n:,} and {candidate.n:,}"
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
            raise InputError(
                f"{named[0].name} is scored by {one.describe()}, {arm.name} by {other.describe()}; name a metric that "
                f"both record, for example metric={one.name}"
            )
    return next((arm.metric for arm in named if arm.metric), SCORE)
