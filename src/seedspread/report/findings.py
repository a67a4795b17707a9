"""The numbers of a report."""

import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from seedspread import statistics as st
from seedspread.records.digits import Digits
from seedspread.records.record import Status
from seedspread.records.scores import Scores
from seedspread.report.agreement import Agreement
from seedspread.report.collapse import leave_out_collapsed
from seedspread.report.luck import Luck
from seedspread.statistics import Array, Interval, Shape


@dataclass(frozen=True)
class Findings:
    """Every number in the report of one study, in the units shown: accuracies in percent, differences in points.

    All are of the seeds that did not collapse, which `scores` holds alone; `whole` has all.
    """

    scores: Scores
    whole: Scores
    collapsed: list[int]  # seeds, with those that diverged
    n: int
    mean: float
    std: float
    median: float
    iqm: float
    mean_interval: Interval
    std_interval: Interval
    median_interval: Interval
    iqm_interval: Interval
    shape: Shape | None
    p_min: float
    p_max: float
    outliers: Array
    points: Array  # at which the metric was logged (Q,)
    curves: Array  # of the metric there (S, Q), nan where a seed has none
    flat_from: int
    late_ratio: float
    late_interval: Interval
    luck: Luck | None
    test: Scores | None  # of the same seeds on the test set, scored once at the end
    test_correlation: float
    test_interval: Interval

    @classmethod
    def of(cls, scores: Scores) -> "Findings":
        """Compute them from at least one finished seed."""
        whole, (scores, collapsed) = scores, leave_out_collapsed(scores)
        values, (points, curves) = scores.final, scores.logged(scores.metric.name)
        test = scores.by(scores.test_metric) if scores.test_metric else None
        r, r_interval = math.nan, st.UNKNOWN
        if test:
            r, r_interval = st.correlation(*pair_scores(scores, test))
        flat = st.flat_from(curves)
        p_min, p_max = st.grubbs(values)
        ratio, ratio_interval = st.late_spread_ratio(curves, flat)
        return cls(
            scores=scores,
            whole=whole,
            collapsed=collapsed,
            n=len(values),
            mean=float(values.mean()),
            std=float(st.sample_std(values)),
            median=float(np.median(values)),
            iqm=float(st.interquartile_mean(values)),
            mean_interval=Interval(*np.clip(st.mean_interval(values), *scores.metric.limits).tolist()),
            std_interval=st.std_interval(values),
            median_interval=st.bootstrap_interval(values, np.median),
            iqm_interval=st.bootstrap_interval(values, st.interquartile_mean),
            shape=st.shape(values),
            p_min=p_min,
            p_max=p_max,
            outliers=st.outliers(values, step=100 / scores.examples if scores.examples else None),
            points=points,
            curves=curves,
            flat_from=flat,
            late_ratio=ratio,
            late_interval=ratio_interval,
            luck=Luck.of(test or scores),
            test=test,
            test_correlation=r,
            test_interval=r_interval,
        )

    @cached_property
    def agreement(self) -> Agreement | None:
        """What the seeds predicted, and how far they agree; read where it is asked for."""
        return Agreement.of(self.scores)

    @property
    def runs(self) -> int:
        """The seeds that finished or diverged: what the rate of collapse is of."""
        return len(self.whole.seeds) + len(self.whole.reasons(Status.DIVERGED))

    @property
    def name(self) -> str:
        return self.scores.name

    @property
    def min(self) -> float:
        return float(self.scores.final.min())

    @property
    def max(self) -> float:
        return float(self.scores.final.max())

    @property
    def pretrained(self) -> bool:
        """Whether the study trains a head on a pretrained backbone, or all of it."""
        return bool(self.scores.study.config.get("backbone"))

    @property
    def step(self) -> float:
        """The smallest difference between two scores: one test example, in points; 0 where no such step is known."""
        return 100 / self.scores.examples if self.scores.examples else 0.0

    @property
    def digits(self) -> Digits:
        """How its scores are written."""
        return self.scores.digits


def pair_scores(scores: Scores, test: Scores) -> tuple[Array, Array]:
    """The final scores of the seeds that have both, (S,) each."""
    _, ours, theirs = np.intersect1d(scores.seeds, test.seeds, return_indices=True)
    return scores.final[ours], test.final[theirs]
