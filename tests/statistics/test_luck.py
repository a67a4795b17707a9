"""Luck with the test set: estimators against simulations with known truth and against brute force."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, strategies

from seedspread import statistics as st
from seedspread.statistics.examples import share_right
from seedspread.statistics.luck import chances_to_be_best, expected_at_best_of

EXAMPLES = 400


def simulated(rng, seeds, between, examples=EXAMPLES):
    """Which examples each seed gets right, (seeds, examples): true accuracies with a std of `between` (fractions)."""
    rate = np.clip(rng.beta(6, 2, examples), 0.2, 0.8)
    own = rng.normal(0, between, seeds) if between else np.zeros(seeds)
    return rng.random((seeds, examples)) < np.clip(rate + own[:, None], 0, 1)


def estimate(correct):
    rows = np.packbits(correct, axis=1)
    return st.between_networks(correct.mean(axis=1), share_right(rows, correct.shape[1]))


@pytest.mark.parametrize("between", [0.0, 0.02])
def test_the_variance_between_networks_is_unbiased(between):
    rng = np.random.default_rng(0)
    found = np.array([estimate(simulated(rng, 30, between)).between for _ in range(200)])
    assert abs(found.mean() - between**2) < 3 * found.std(ddof=1) / math.sqrt(200)
    assert between or (found < 0).any()  # negative estimates are reported as they are


@pytest.mark.parametrize("seeds, between", [(20, 0.0), (20, 0.02), (100, 0.02), (100, 0.005)])
def test_its_interval_covers(seeds, between):
    rng = np.random.default_rng(1)
    intervals = [estimate(simulated(rng, seeds, between)).interval for _ in range(600)]
    assert 0.925 <= np.mean([low <= between**2 <= high for low, high in intervals]) <= 0.98


def test_jordans_figures_are_consistent():
    """Accuracy std 0.149 %, of which 0.145 % is of independent examples and 0.033 % between networks, as rounded."""
    low, high = (math.sqrt((0.149 + sign * 5e-4) ** 2 - (0.145 - sign * 5e-4) ** 2) for sign in (-1, 1))
    assert low <= 0.033 + 5e-4 and high >= 0.033 - 5e-4


@given(strategies.integers(1, 9), strategies.integers(1, 60), strategies.integers(0, 2**32 - 1))
def test_halves_split_every_example_once(seeds, examples, seed):
    correct = np.random.default_rng(seed).random((seeds, examples + 1)) < 0.7
    one, other = st.halves(np.packbits(correct, axis=1), examples + 1)
    first, second = (examples + 1) // 2, examples + 1 - (examples + 1) // 2
    assert one * first + other * second == pytest.approx(correct.sum(axis=1))


def test_halves_do_not_split_by_class_where_classes_take_turns():
    rng = np.random.default_rng(0)
    favour = rng.normal(0, 0.1, (40, 1)) * np.where(np.arange(2000) % 2, 1, -1)  # good on even, bad on odd examples
    one, other = st.halves(np.packbits(rng.random((40, 2000)) < 0.7 + favour, axis=1), 2000)
    assert abs(st.correlation(one, other)[0]) < 0.4


def test_good_seeds_stay_good_only_where_networks_differ():
    rng = np.random.default_rng(0)
    alike, apart = (st.halves(np.packbits(simulated(rng, 200, s), axis=1), EXAMPLES) for s in (0.0, 0.05))
    correlation, (low, high) = st.correlation(*alike)
    assert low < 0 < high and abs(correlation) < 0.2
    assert st.correlation(*apart)[1].low > 0.4
    gain, (gain_low, gain_high) = st.best_quarter_gain(*alike)
    assert gain_low < 0 < gain_high and gain_low < gain < gain_high
    assert st.best_quarter_gain(*apart)[1].low > 0


@pytest.mark.parametrize("k", [1, 2, 3, 6])
def test_the_expected_best_of_k_is_the_mean_over_all_choices(k):
    scores = np.random.default_rng(0).normal(size=6)
    other = np.random.default_rng(1).normal(size=6)
    chosen = list(itertools.combinations(range(6), k))
    assert st.expected_best_of(scores, k) == pytest.approx(np.mean([scores[list(c)].max() for c in chosen]))
    there = np.mean([other[max(c, key=lambda i: scores[i])] for c in chosen])
    chances = chances_to_be_best(6, k)[None]
    assert expected_at_best_of(scores, other, chances)[0] == pytest.approx(there)


def test_equals_are_chosen_among_at_random():
    chosen_by, scored_by = np.array([1.0, 2.0, 2.0]), np.array([0.0, 10.0, 20.0])
    assert expected_at_best_of(chosen_by, scored_by, chances_to_be_best(3, 3)[None])[0] == 15.0


@given(strategies.integers(1, 3000), strategies.data())
def test_chances_add_up_to_one(n, data):
    k = data.draw(strategies.integers(1, n))
    assert chances_to_be_best(n, k).sum() == pytest.approx(1)
