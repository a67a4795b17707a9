"""How much of a study's spread is luck with the test set, in numbers."""

from dataclasses import dataclass

import numpy as np

from seedspread import statistics as st
from seedspread.records.scores import Scores
from seedspread.statistics import Array, Between, Choice, Interval

LEAST_SEEDS = 5


@dataclass(frozen=True)
class Luck:
    """The spread of one study: chance on the test set, and differences between networks; percent and points."""

    name: str
    sign: int  # 1 where larger is better, else -1
    seeds: Array
    accuracy: Array
    examples: int
    variance: Between
    one_half: Array
    other_half: Array
    correlation: float
    correlation_interval: Interval
    quarter_gain: float
    quarter_interval: Interval
    choices: list[Choice]

    @classmethod
    def of(cls, scores: Scores) -> "Luck | None":
        """From the seeds with predictions; None where these are fewer than 5 or all score the same, or
        where scores are no fractions of right answers."""
        known = np.isin(scores.seeds, list(scores.correct))
        if scores.examples is None or known.sum() < LEAST_SEEDS or st.is_constant(scores.final[known]):
            return None
        rows = np.stack([scores.correct[seed] for seed in scores.seeds[known].tolist()])
        one, other = (100 * half for half in st.halves(rows, scores.examples))
        correlation, correlation_interval = st.correlation(one, other)
        sign = scores.metric.sign
        gain, gain_interval = st.best_quarter_gain(sign * other, sign * one)
        return cls(
            name=scores.title,
            sign=sign,
            seeds=scores.seeds[known],
            accuracy=scores.final[known],
            examples=scores.examples,
            variance=st.between_networks(rows, scores.examples),
            one_half=one,
            other_half=other,
            correlation=correlation,
            correlation_interval=correlation_interval,
            quarter_gain=gain,
            quarter_interval=gain_interval,
            choices=st.best_of_choices(sign * one, sign * other),
        )

    @property
    def reliability(self) -> float:
        """The share of the observed variance that lies between networks, from 0 to 1."""
        return min(1.0, max(0.0, self.variance.between / self.variance.seen))
