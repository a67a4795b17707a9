"""How much of a study's spread is luck with the test set: its numbers, and the numbers in words."""

import math
from dataclasses import dataclass

import numpy as np

from seedspread import statistics as st
from seedspread.records.scores import Scores
from seedspread.statistics.luck import Between, Choice, best_of_choices, best_quarter_gain, between_networks, halves
from seedspread.statistics.spread import Array, Interval

FAMOUS_SEEDS = (0, 1, 42, 1234, 3407)
FEWEST = 5  # seeds
SHOWN = (2, 5, 10, 100, 1000)  # of them in words


@dataclass(frozen=True)
class Luck:
    """What the test set's chance and the networks' differences are of one study; points and percent."""

    name: str
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
        """From the seeds whose predictions are known; None where they are fewer than 5 or all score the same."""
        known = np.isin(scores.seeds, list(scores.correct))
        if known.sum() < FEWEST or st.is_constant(scores.accuracy[known]):
            return None
        rows = np.stack([scores.correct[seed] for seed in scores.seeds[known].tolist()])
        share = st.share_right(rows, scores.examples)
        one, other = (100 * half for half in halves(rows, scores.examples))
        correlation, correlation_interval = st.correlation(one, other)
        gain, gain_interval = best_quarter_gain(other, one)
        return cls(
            name=scores.name,
            seeds=scores.seeds[known],
            accuracy=scores.accuracy[known],
            examples=scores.examples,
            variance=between_networks(scores.accuracy[known] / 100, share),
            one_half=one,
            other_half=other,
            correlation=correlation,
            correlation_interval=correlation_interval,
            quarter_gain=gain,
            quarter_interval=gain_interval,
            choices=best_of_choices(one, other),
        )

    @property
    def reliability(self) -> float:
        """The share of the variance seen that is between networks, from 0 to 1."""
        return min(1.0, max(0.0, self.variance.between / self.variance.seen))


def points(variance: float) -> str:
    """A variance of fractions as a standard deviation in points; a negative one is told as what it is."""
    if variance < 0:
        return f"none (the estimate of the variance is {1e4 * variance:.3f} points squared)"
    return f"{100 * math.sqrt(variance):.2f} points"


def describe_luck(luck: Luck) -> list[str]:
    """All of it in plain words."""
    return [_spread(luck), _halves(luck), *_choosing(luck), *_famous(luck)]


def _spread(luck: Luck) -> str:
    v = luck.variance
    words = (
        f"{luck.name}: the scores of {len(luck.seeds):,} seeds have a std of {points(v.seen)}. Chance on the "
        f"{luck.examples:,} test examples alone, each network right or wrong on each at the rate of all, would give "
        f"{points(v.independent)}. What is left lies between networks, and would show on new examples as well: "
        f"{points(v.between)}"
    )
    low, high = (f"{100 * math.sqrt(max(0.0, side)):.2f}" for side in v.interval)
    words += f" (95 %: {low} to {high}), {100 * luck.reliability:.0f} % of the variance seen. "
    if v.interval.high <= 0:
        return words + "The scores vary less than chance would let them: these networks share their mistakes."
    if v.interval.low <= 0:
        return words + "Nothing shows that any of these networks is better than another."
    return words + "The networks do differ."


def _halves(luck: Luck) -> str:
    if math.isnan(luck.correlation):
        return "Whether seeds good on one half of the test examples are good on the other cannot be said from so few."
    low, high = luck.correlation_interval
    gain_low, gain_high = luck.quarter_interval
    words = (
        f"Seeds good on one random half of the test examples and on the other: correlation {luck.correlation:+.2f} "
        f"(95 %: {low:+.2f} to {high:+.2f}). The best quarter by one half lies {luck.quarter_gain:+.2f} points from "
        f"the mean on the other ({gain_low:+.2f} to {gain_high:+.2f}): "
    )
    if low > 0:
        return words + "good seeds stay good, as far as that goes."
    return words + ("a good seed is not shown to stay good." if high > 0 else "good seeds turn out bad; is it chance?")


def _choosing(luck: Luck) -> list[str]:
    if not luck.choices:
        return [f"What picking the best of several gains cannot be said from {len(luck.seeds)} seeds."]
    lines = [
        f"best of {c.k:,}: {c.apparent:+.2f} points on the half it was picked on, {c.real:+.2f} on the other "
        f"({c.real_interval.low:+.2f} to {c.real_interval.high:+.2f})"
        for c in luck.choices
        if c.k in SHOWN
    ]
    return [
        f"What picking the best of several seeds gains in appearance, and on new examples: {'; '.join(lines)}. These "
        "are halves of the test set; picking by all of it errs less."
    ]


def _famous(luck: Luck) -> list[str]:
    where = {seed: i for i, seed in enumerate(luck.seeds.tolist()) if seed in FAMOUS_SEEDS}
    if not where:
        return []
    n, mean = len(luck.seeds), luck.accuracy.mean()
    ranks = []
    for seed, i in where.items():
        rank = int((luck.accuracy > luck.accuracy[i]).sum()) + 1
        ranks.append(f"seed {seed} is {luck.accuracy[i] - mean:+.2f} points from the mean, rank {rank:,} of {n:,}")
    words = f"Seeds that people like: {'; '.join(ranks)}. "
    if luck.reliability:
        left = 196 * math.sqrt(luck.variance.between * (1 - luck.reliability))
        words += (
            f"Of such a distance {100 * luck.reliability:.0f} % would show again on new examples, ± {left:.2f} points"
        )
    else:
        words += "None of that would show again on new examples"
    return [f"{words}; with another network, other data or another machine the number of a seed means nothing."]
