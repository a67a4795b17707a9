"""Whether the seeds of a study agree on the test examples, in numbers."""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np

from seedspread import statistics as st
from seedspread.data.recorded_pictures import RecordedPictures, find_pictures, folder_names  # noqa: TID253 - no torch
from seedspread.records.examples import DAMAGED, ExampleIndex
from seedspread.records.scores import Scores
from seedspread.report.calibration import Calibration
from seedspread.statistics import Array, Churn, ClassSpread, Ensemble, Families

UNSTABLE = 30  # test examples that are shown
ENSEMBLES = (2, 5, 10)  # seeds that vote, or average their probabilities
LEAST_MAPPED, MOST_MAPPED = 3, 2_000  # seeds in a map
LEAST_FOR_FAMILIES = 6
# Not 5 %: fewer than 20 seeds of very different quality would be called families up to one time in ten.
FAMILIES_LEVEL = 0.01
LEVEL_OF_DIFFERENCES = 0.05  # of all pairs of studies together
MOST_CLASSES = 1 << 16  # labels above take more than two bytes: they are no classes


@dataclass(frozen=True)
class Agreement:
    """What the seeds of one study predicted, and how far they agree; all shares are fractions.

    labels (S, N) of `seeds` (S,); of a study of version 1 whether each was right, 1 or 0 (`only_right`). `collapsed`
    are seeds of the study that `scores` leave out.
    """

    scores: Scores
    seeds: Array
    labels: Array
    index: ExampleIndex | None
    only_right: bool
    collapsed: Sequence[int] = ()

    @classmethod
    def of(cls, scores: Scores, collapsed: Sequence[int] = ()) -> "Agreement | None":
        """From the seeds whose predicted labels are there; None for fewer than two."""
        study, seeds = scores.study, []
        rows: list[Array] = []
        index = None
        with suppress(*DAMAGED):  # some modules tell no true labels
            index = study.read_index() if study.schema > 1 else None
        for record in scores.finished:
            try:
                if study.schema > 1:
                    row = study.predictions(record.seed)
                else:
                    row = np.unpackbits(study.correct(record), count=record.test_examples)
            except DAMAGED:
                continue  # the report names these seeds
            if row.ndim == 1 and row.dtype.kind in "ub" and (not rows or len(row) == len(rows[0])):
                seeds.append(record.seed)
                rows.append(row)
        if len(rows) < 2 or not len(rows[0]) or max(int(row.max()) for row in rows) >= MOST_CLASSES:
            return None
        if index is not None and len(index.labels) < len(rows[0]):
            index = None
        labels = np.stack(rows)
        if index is not None:  # the type holds the true labels as well
            labels = labels.astype(np.result_type(labels, np.min_scalar_type(index.labels.max())), copy=False)
        return cls(scores, np.array(seeds), labels, index, study.schema == 1, collapsed)

    @property
    def name(self) -> str:
        return self.scores.name

    @property
    def examples(self) -> int:
        return self.labels.shape[1]

    @cached_property
    def truth(self) -> Array | None:
        """The true labels (N,), of a study of version 1 all 1; None where they are not known."""
        if self.only_right:
            return np.ones(self.examples, np.int64)
        return None if self.index is None else self.index.labels[: self.examples].astype(np.int64)

    @cached_property
    def counts(self) -> Array:
        """How many seeds gave each example each label (N, K)."""
        most = max(int(self.labels.max()), 0 if self.truth is None else int(self.truth.max()))
        return st.label_counts(self.labels, most + 1)

    @cached_property
    def churn(self) -> Churn:
        return st.churn(self.labels, self.counts)

    @cached_property
    def share_right(self) -> Array | None:
        """The share of seeds that are right on each example (N,)."""
        return None if self.truth is None else self.counts[np.arange(self.examples), self.truth] / len(self.seeds)

    @property
    def error(self) -> float | None:
        """The mean test error of the seeds."""
        return None if self.share_right is None else 1 - float(self.share_right.mean())

    @cached_property
    def at_random(self) -> float | None:
        """The churn of as many and the same mistakes at random places."""
        return None if self.truth is None else st.independent_churn(self.counts, self.truth)

    @cached_property
    def class_spread(self) -> ClassSpread | None:
        if self.truth is None or self.only_right:
            return None
        return st.class_spread(self.labels, self.counts, self.truth)

    @cached_property
    def confusion(self) -> Array | None:
        """How often seeds gave each label to examples of each class (C, K)."""
        return None if self.truth is None or self.only_right else st.confusion(self.counts, self.truth)

    @cached_property
    def ensembles(self) -> list[Ensemble]:
        """Votes of several seeds; none where labels are not known."""
        if self.truth is None or self.only_right:
            return []
        return [st.ensemble(self.labels, self.truth, k) for k in ENSEMBLES if k <= len(self.seeds)]

    @cached_property
    def calibration(self) -> Calibration | None:
        """What the probabilities of the seeds show; None where they are not kept, or true labels not known."""
        if self.truth is None or self.only_right:
            return None
        return Calibration.of(self.scores.study, self.seeds, self.labels, self.truth, ENSEMBLES)

    @cached_property
    def unstable(self) -> Array:
        """Positions of the examples on which seeds disagree most, at most UNSTABLE of them, the worst first."""
        order = np.argsort(-self.churn.by_example, kind="stable")[:UNSTABLE]
        return order[self.churn.by_example[order] > 0]

    @cached_property
    def map(self) -> "SeedMap | None":
        return SeedMap.of([self])

    @cached_property
    def pictures(self) -> RecordedPictures | None:
        """The pictures of the unstable examples, where they are at hand."""
        if self.index is None or not len(self.unstable):
            return None
        return find_pictures(self.scores.study, self.scores.finished[0], self.index, self.unstable.tolist())

    @cached_property
    def class_names(self) -> Sequence[str]:
        """The name of each label, its number where there is none."""
        known: Sequence[str] = ()
        if self.pictures is not None:
            known = self.pictures.classes
        elif self.index is not None:
            known = folder_names(self.index)
        return [*known, *map(str, range(len(known), self.counts.shape[1]))]

    def as_right_or_wrong(self) -> "Agreement":
        """What a study of version 1 would know of the same seeds: which were right. Needs true labels."""
        if self.only_right or self.truth is None:
            return self
        right = (self.labels == self.truth.astype(self.labels.dtype)).astype(np.uint8)
        return replace(self, labels=right, index=None, only_right=True)

    def cannot_compare(self, other: "Agreement") -> str | None:
        """Why the seeds of two studies are not compared example by example; None where they are.

        The test examples of a study of version 1 are known by the data's SHA-256 alone, and stand in their order.
        """
        data = {found.scores.finished[0].pictures_sha256 for found in (self, other)}
        for found in (self, other):
            if found.truth is None:
                return f"the true labels of {found.name} are not known"
            if found.only_right and None in data:
                return f"the records of {found.name} do not say on which data it was scored"
        alike = self.examples == other.examples and (len(data) == 1 or None in data)
        if alike and self.index is not None and other.index is not None:
            alike = self.index.equals(other.index)
        return None if alike else "they were scored on other test examples"


def in_common_terms(several: Sequence[Agreement]) -> Sequence[Agreement]:
    """Studies as they are, or as right or wrong where one of them knows no more."""
    return [found.as_right_or_wrong() for found in several] if any(found.only_right for found in several) else several


@dataclass(frozen=True)
class SeedMap:
    """Seeds of one or more studies in a plane, by their disagreement; `families` where there are seeds enough."""

    groups: list[tuple[str, Array]]  # names of studies, and their seeds in the map
    places: Array  # (S, 2)
    shares: Array
    families: Families | None
    churn: Array  # of pairs (S, S)
    total: int  # seeds before they were thinned

    @classmethod
    def of(cls, several: Sequence[Agreement]) -> "SeedMap | None":
        """Of the seeds of studies with the same test examples; None for fewer than LEAST_MAPPED or where all agree."""
        several = in_common_terms(several)
        total = sum(len(found.seeds) for found in several)
        if total < LEAST_MAPPED:
            return None
        kind: Any = np.result_type(*(found.labels.dtype for found in several))
        chosen = [st.mapped_seeds(len(found.seeds), MOST_MAPPED // len(several)) for found in several]
        labels = np.concatenate([a.labels[at].astype(kind, copy=False) for a, at in zip(several, chosen, strict=True)])
        apart = st.pairwise_churn(labels, st.label_counts(labels, int(labels.max()) + 1))
        if not apart.any():
            return None
        places, shares = st.embed(apart)
        groups = [(found.name, found.seeds[at]) for found, at in zip(several, chosen, strict=True)]
        split = st.families(places[:, 0]) if len(labels) >= LEAST_FOR_FAMILIES else None
        return cls(groups, places, shares, split, apart, total)

    @property
    def seeds(self) -> Array:
        return np.concatenate([seeds for _, seeds in self.groups])

    @property
    def is_split(self) -> bool:
        """Whether two families are shown among the seeds of one study; one seed apart is none."""
        if len(self.groups) > 1 or self.families is None or self.families.p >= FAMILIES_LEVEL:
            return False
        return 2 <= self.families.second.sum() <= len(self.seeds) - 2

    def mean_churn(self, one: Array, other: Array) -> float:
        """The mean churn of pairs of a seed among `one` and another among `other`, (S,) each of booleans."""
        pairs = one[:, None] & other & ~np.eye(len(one), dtype=bool)
        return float(self.churn[pairs].mean()) if pairs.any() else float("nan")


@dataclass(frozen=True)
class BetweenStudies:
    """The churn between the seeds of two studies with the same test examples, and by how much that of one is larger.

    Of several `pairs` that are compared side by side, the intervals of what is larger hold together (Bonferroni).
    Studies of the same seeds are compared seed by seed.
    """

    one: Agreement
    other: Agreement
    churn: Churn
    larger: float
    interval: st.Interval
    pairs: int
    paired: bool  # by their seeds

    @classmethod
    def of(cls, one: Agreement, other: Agreement, pairs: int = 1) -> "BetweenStudies | None":
        """None where they have other test examples."""
        if one.cannot_compare(other):
            return None
        one, other = in_common_terms([one, other])
        classes = max(one.counts.shape[1], other.counts.shape[1])
        widened = [np.pad(a.counts, ((0, 0), (0, classes - a.counts.shape[1]))) for a in (one, other)]
        between = st.churn_between(one.labels, widened[0], other.labels, widened[1])
        level, paired = 1 - LEVEL_OF_DIFFERENCES / pairs, np.array_equal(one.seeds, other.seeds)
        return cls(one, other, between, *st.churn_difference(one.churn, other.churn, level, paired), pairs, paired)
