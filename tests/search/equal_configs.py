"""Searches of made-up predictions, where it is known which config is better on new examples.

Example i is right with probability Φ(a + d_i + u_ci + g_cs): its difficulty d, what config c makes of it (u, the
interaction of config and example), and the network of seed s (g). Configs with one `a` are equal in truth: on new
examples all have the same expected accuracy, while on the examples at hand each has a fixed deviation by its u.
"""

import math
from dataclasses import dataclass
from types import SimpleNamespace

import numpy as np
from scipy import special

from seedspread.decide.arms import Arm
from seedspread.search.judge import Judgement, decide_pairs
from seedspread.search.trials import FIRST_FRESH_SEED, Trial, best_trial
from seedspread.statistics import Outcome

DIFFICULTY = 2.0  # std of d: most examples are right with nearly every seed, or with nearly none
CONFIGS, SEEDS, BUDGET = 32, 3, 40


@dataclass(frozen=True)
class Made:
    """A search of made-up predictions; `better` is how much more accurate than the baseline each config truly is."""

    accuracy: float
    examples: int
    interaction: float  # std of u
    networks: float = 0.03  # std of g
    better: float = 0.0
    on_test: bool = False  # chosen by the scores of the test set

    def _level(self, accuracy: float) -> float:
        return float(special.ndtri(accuracy)) * math.sqrt(1 + DIFFICULTY**2 + self.interaction**2 + self.networks**2)

    def _right(self, rng: np.random.Generator, fixed: np.ndarray, accuracy: float, seeds: int) -> np.ndarray:
        """Which examples each seed got right, (seeds, examples), given d + u of each example."""
        networks = self.networks * rng.normal(size=(seeds, 1))
        return rng.random((seeds, len(fixed))) < special.ndtr(self._level(accuracy) + fixed + networks)

    def _fixed(self, rng: np.random.Generator, examples: int, configs: int) -> np.ndarray:
        """d + u of each example, (configs, examples)."""
        return DIFFICULTY * rng.normal(size=examples) + self.interaction * rng.normal(size=(configs, examples))

    def judge(self, rng: np.random.Generator) -> Judgement:
        """The judgement of the best of the configs on fresh seeds; half as many examples validate as test."""
        accuracy = self.accuracy + self.better
        on_test = self._fixed(rng, self.examples, CONFIGS + 1)  # the last is the baseline
        chosen_by = on_test if self.on_test else self._fixed(rng, self.examples // 2, CONFIGS + 1)
        trials = []
        for config in range(CONFIGS):
            scores = 100 * self._right(rng, chosen_by[config], accuracy, SEEDS).mean(axis=1)
            trials.append(Trial(f"trial-{config:03d}", {}, dict(enumerate(scores.tolist()))))
        winner = best_trial(trials)
        both = 0 if self.on_test else self.examples // 2  # each network is scored on both sets
        scores, right = [], []
        for config, level in ((CONFIGS, self.accuracy), (winner.number, accuracy)):
            fixed = np.concatenate([chosen_by[config][:both], on_test[config]])
            found = self._right(rng, fixed, level, BUDGET)
            right.append(found[:, both:])
            chosen = 100 * (found[:, :both] if both else found).mean(axis=1)
            scores.append({FIRST_FRESH_SEED + i: float(score) for i, score in enumerate(chosen)})
        decision = decide_pairs(winner, *scores)
        one, other = (
            make_arm(n, bits[: decision.pairs]) for n, bits in zip(("baseline", "winner"), right, strict=True)
        )
        among = CONFIGS if self.on_test else 1
        return Judgement(winner, decision, (one, other), has_test_set=not self.on_test, chosen_on_test_among=among)


def make_arm(name: str, right: np.ndarray) -> Arm:
    """An arm of seeds that got the examples of one test set `right` (seeds, examples), as if read from a study."""
    seeds, examples = right.shape
    correct = dict(enumerate(np.packbits(right, axis=1)))
    records = [SimpleNamespace(data_sha256="d1", pictures_sha256="d1", seed=seed) for seed in range(seeds)]
    scores = SimpleNamespace(
        name=name,
        examples=examples,
        correct=correct,
        finished=records,
        study=SimpleNamespace(config={}, is_imported=False),
    )
    return Arm(name, 100 * right.mean(axis=1), np.arange(seeds), scores)


@dataclass(frozen=True)
class Shares:
    """What came of many searches."""

    adopted: float
    by_seeds_alone: float  # decided as better by the metric that chose
    pairs: float  # of fresh seeds, in the mean


def shares(made: Made, rounds: int, seed: int = 0) -> Shares:
    """How often the winner is adopted, how often the decision alone says that it is better, and the pairs it takes."""
    rng = np.random.default_rng(seed)
    found = [made.judge(rng) for _ in range(rounds)]
    return Shares(
        float(np.mean([j.advice == "adopt" for j in found])),
        float(np.mean([j.decision.outcome == Outcome.BETTER for j in found])),
        float(np.mean([j.decision.pairs for j in found])),
    )
