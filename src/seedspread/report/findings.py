"""The numbers of a report."""

from dataclasses import dataclass

import numpy as np

from seedspread import statistics as st
from seedspread.records.scores import Scores
from seedspread.report.luck import Luck
from seedspread.statistics import Array, Interval, Shape


@dataclass(frozen=True)
class Findings:
    """Every number in the report of one study; accuracies in percent, their differences in points."""

    scores: Scores
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
    flat_from: int
    late_ratio: float
    late_interval: Interval
    luck: Luck | None

    @classmethod
    def of(cls, scores: Scores) -> "Findings":
        """Compute them from at least one finished seed."""
        accuracy, curves = scores.accuracy, scores.curves["val/acc"]
        flat = st.flat_from(curves)
        p_min, p_max = st.grubbs(accuracy)
        ratio, ratio_interval = st.late_spread_ratio(curves, flat)
        return cls(
            scores=scores,
            n=len(accuracy),
            mean=float(accuracy.mean()),
            std=float(st.sample_std(accuracy)),
            median=float(np.median(accuracy)),
            iqm=float(st.interquartile_mean(accuracy)),
            mean_interval=Interval(*np.clip(st.mean_interval(accuracy), 0.0, 100.0).tolist()),
            std_interval=st.std_interval(accuracy),
            median_interval=st.bootstrap_interval(accuracy, np.median),
            iqm_interval=st.bootstrap_interval(accuracy, st.interquartile_mean),
            shape=st.shape(accuracy),
            p_min=p_min,
            p_max=p_max,
            outliers=st.outliers(accuracy),
            flat_from=flat,
            late_ratio=ratio,
            late_interval=ratio_interval,
            luck=Luck.of(scores),
        )

    @property
    def name(self) -> str:
        return self.scores.name

    @property
    def min(self) -> float:
        return float(self.scores.accuracy.min())

    @property
    def max(self) -> float:
        return float(self.scores.accuracy.max())

    @property
    def pretrained(self) -> bool:
        """Whether the study trains a head on a frozen backbone."""
        return bool(self.scores.study.config.get("backbone"))

    @property
    def step(self) -> float:
        """The smallest difference between two accuracies: one test example, in points."""
        return 100 / self.scores.examples
