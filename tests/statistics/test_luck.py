"""Luck with the test set: estimators against simulations with known truth and against brute force."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, strategies

from benchmarks import luck_rates
from seedspread import statistics as st
from seedspread.statistics.luck import _covariances, chances_to_be_best, expected_at_best_of

EXAMPLES = 400


def simulated(rng, seeds, between, examples=EXAMPLES):
    """Which examples each seed gets right, (seeds, examples): true accuracies with a std of `between` (fractions)."""
    rate = np.clip(rng.beta(6, 2, examples), 0.2, 0.8)
    own = rng.normal(0, between, seeds) if between else np.zeros(seeds)
    return rng.random((seeds, examples)) < np.clip(rate + own[:, None], 0, 1)


def estimate(correct):
    return st.between_networks(np.packbits(correct, axis=1), correct.shape[1])


def by_all_pairs(correct):
    """The mean over pairs of different examples of their covariance over seeds, by brute force."""
    covariance = np.cov(correct.T)
    n = len(covariance)
    return (covariance.sum() - np.trace(covariance)) / (n * (n - 1))


@pytest.mark.parametrize("between", [0.0, 0.02])
def test_the_variance_between_networks_is_unbiased(between):
    rng = np.random.default_rng(0)
    found = np.array([estimate(simulated(rng, 30, between)).between for _ in range(200)])
    assert abs(found.mean() - between**2) < 3 * found.std(ddof=1) / math.sqrt(200)
    assert between or (found < 0).any()  # negative estimates are reported as they are


@given(strategies.integers(5, 9), strategies.integers(2, 40), strategies.integers(0, 2**32 - 1))
def test_it_is_the_mean_covariance_of_two_examples(seeds, examples, seed):
    correct = np.random.default_rng(seed).random((seeds, examples)) < 0.7
    found = estimate(correct)
    assert found.between == pytest.approx(by_all_pairs(correct), abs=1e-7)
    assert found.seen == pytest.approx(correct.mean(axis=1).var(ddof=1), abs=1e-12)


@pytest.mark.parametrize("seeds, examples, tau", [(20, 500, 0.0), (20, 500, 0.4), (100, 500, 0.15), (400, 500, 0.4)])
def test_its_interval_covers_other_seeds_and_other_examples(seeds, examples, tau):
    found = luck_rates.measure_coverage(seeds, examples, (4.0, 2.0), tau, 500)
    assert 92 <= found.held <= 98


def test_the_interval_that_takes_examples_as_known_does_not_cover_others():
    found = luck_rates.measure_coverage(1000, 500, (4.0, 2.0), 0.4, 150)
    assert found.held_by_known < 80 and found.held > 90


def test_the_error_by_examples_is_that_of_a_jackknife_that_leaves_each_out():
    """Where seeds are many, what they add to it is small, and all of it is the examples'."""
    correct = simulated(np.random.default_rng(3), 600, 0.1, 150)
    _, _, others, noise = _covariances(np.packbits(correct, axis=1), 150)
    without = [by_all_pairs(np.delete(correct, i, axis=1)) for i in range(150)]
    jackknife = 149 / 150 * ((without - np.mean(without)) ** 2).sum()
    assert 4 * others.var(ddof=1) / 150 == pytest.approx(jackknife, rel=0.02)
    assert 0 < noise < others.var(ddof=1)


def test_the_part_of_the_seeds_in_the_covariances_is_taken_out_without_bias():
    """Without networks that differ, covariances vary by chance alone: `noise` is then their whole variance."""
    rng = np.random.default_rng(4)
    parts = [_covariances(np.packbits(simulated(rng, 20, 0.0), axis=1), EXAMPLES) for _ in range(150)]
    left = np.array([part.others.var(ddof=1) - part.noise for part in parts])
    assert abs(left.mean()) < 3 * left.std(ddof=1) / math.sqrt(150)
    assert left.mean() < 0.05 * np.mean([part.noise for part in parts])


def test_the_interval_has_other_levels():
    correct = simulated(np.random.default_rng(5), 40, 0.02)
    rows = np.packbits(correct, axis=1)
    half, most = (st.between_networks(rows, EXAMPLES, level).interval for level in (0.5, 0.99))
    assert most.low < half.low < half.high < most.high


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
