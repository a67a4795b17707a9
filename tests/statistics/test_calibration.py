"""Calibration: against torchmetrics and naive loops, and simulations whose calibration is known."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as some
from hypothesis.extra.numpy import arrays
from torchmetrics.functional.classification import multiclass_calibration_error

from seedspread import statistics as st
from tests.statistics.simulation import at_most


def bins_of(confidence, right):
    """Rows of seeds."""
    return st.ConfidenceBins.stack(st.confidence_bins(*row) for row in zip(confidence, right, strict=True))


def calibrated(rng, seeds, examples, off=0.0):
    """Confidences (S, N) of which most are high, and right answers with their probability less `off`."""
    confidence = 0.3 + 0.7 * rng.beta(3, 0.6, (seeds, examples))
    return confidence, rng.random((seeds, examples)) < confidence - off


def test_the_error_is_that_of_torchmetrics():
    rng = np.random.default_rng(0)
    probabilities, truth = rng.dirichlet(np.full(5, 0.4), 700), rng.integers(0, 5, 700)
    bins = st.confidence_bins(probabilities.max(axis=1), probabilities.argmax(axis=1) == truth)
    expected = multiclass_calibration_error(torch.tensor(probabilities), torch.tensor(truth), 5, n_bins=15, norm="l1")
    assert st.calibration_error(bins) == pytest.approx(float(expected), abs=1e-6) and bins.examples.sum() == 700


@given(some.data(), some.integers(1, 12), some.integers(1, 30))
def test_bins_and_error_are_those_of_a_loop(data, many, examples):
    confidence = data.draw(arrays(float, examples, elements=some.floats(0, 1)))
    right = data.draw(arrays(bool, examples))
    found, expected = st.confidence_bins(confidence, right, many), 0.0
    for b in range(many):
        # The first bin holds 0 as well.
        members = [i for i in range(examples) if max(0, math.ceil(confidence[i] * many) - 1) == b]
        assert found.examples[b] == len(members) and found.right[b] == right[members].sum()
        if members:
            expected += len(members) / examples * abs(right[members].mean() - confidence[members].mean())
    assert st.calibration_error(found) == pytest.approx(expected, abs=1e-9)
    assert found.overconfidence == pytest.approx(confidence.mean() - right.mean(), abs=1e-9)


@pytest.mark.parametrize("examples", [60, 500, 10_000])
def test_the_error_of_calibrated_predictions_is_its_expected_bias(examples):
    rng = np.random.default_rng(examples)
    bins = bins_of(*calibrated(rng, 800, examples))
    found, expected = st.calibration_error(bins), st.calibration_error_by_chance(bins).mean()
    assert found.mean() == pytest.approx(expected, abs=3 * found.std() / math.sqrt(800) + 0.02 * expected)
    assert expected > (0.05 if examples == 60 else 0.003)


def test_predictions_of_one_confidence_have_the_bias_that_is_enumerated():
    """Of 8 answers at 0.9 the number right is binomial."""
    chances = [math.comb(8, k) * 0.9**k * 0.1 ** (8 - k) for k in range(9)]
    expected = sum(chance * abs(k / 8 - 0.9) for k, chance in enumerate(chances))
    assert st.calibration_error_by_chance(st.confidence_bins(np.full(8, 0.9), np.ones(8))) == pytest.approx(expected)
    assert st.calibration_error_by_chance(st.confidence_bins(np.ones(8), np.ones(8))) == 0


def test_known_miscalibration_is_recovered():
    """Seeds that are 12 points too sure; the squared error is without bias also where bins are small."""
    rng = np.random.default_rng(0)
    large = bins_of(*calibrated(rng, 5, 100_000, off=0.12))
    assert st.calibration_error(large).mean() == pytest.approx(0.12, abs=0.003)
    assert large.overconfidence.mean() == pytest.approx(0.12, abs=0.003)
    for off in (0.0, 0.12):
        squares = st.squared_calibration_error(bins_of(*calibrated(rng, 2000, 200, off)))
        assert squares.mean() == pytest.approx(off**2, abs=4 * squares.std() / math.sqrt(2000))
        assert squares.std() / math.sqrt(2000) < 0.0004
    small = bins_of(*calibrated(rng, 200, 200))
    assert st.calibration_error(small).mean() > 0.04  # where nothing is off


def test_temperature_is_seen_as_the_gap_that_it_makes():
    """Sharpened probabilities of two classes: the true chance of each confidence is known in closed form."""
    rng = np.random.default_rng(1)
    logit = rng.normal(0, 1.5, 400_000)
    true = 1 / (1 + np.exp(-np.abs(logit)))
    sharp = 1 / (1 + np.exp(-2 * np.abs(logit)))
    bins = st.confidence_bins(sharp, rng.random(len(true)) < true)
    assert st.calibration_error(bins) == pytest.approx((sharp - true).mean(), abs=0.002)
    assert bins.overconfidence == pytest.approx((sharp - true).mean(), abs=0.002)


def test_the_reliability_curve_is_pooled_and_its_std_is_over_seeds_with_examples_enough():
    rng = np.random.default_rng(0)
    confidence, right = calibrated(rng, 6, 300)
    confidence[0, :290] = 0.99  # leaves seed 0 few examples elsewhere, and seeds 1 to 4 none between 0.6 and 0.8
    confidence[1:5] = np.where((confidence[1:5] > 0.6) & (confidence[1:5] < 0.8), 0.85, confidence[1:5])
    found = st.reliability(bins_of(confidence, right))
    place = np.ceil(confidence * 15).astype(int) - 1
    for b in range(15):
        members = place == b
        assert found.share[b] == pytest.approx(members.mean())
        if members.sum() < 6:
            assert np.isnan(found.accuracy[b]) and np.isnan(found.confidence[b])
            continue
        each = [row[own].mean() for row, own in zip(right, members, strict=True) if own.sum() >= 10]
        assert found.accuracy[b] == pytest.approx(right[members].mean()) and found.seeds[b] == len(each)
        assert found.confidence[b] == pytest.approx(confidence[members].mean())
        assert found.std[b] == pytest.approx(np.std(each, ddof=1) if len(each) >= 3 else math.nan, nan_ok=True)
    assert {0, 1, 5, 6} <= set(found.seeds.tolist()) and np.isnan(found.accuracy[0])


@pytest.mark.parametrize("seeds", [3, 20])
@pytest.mark.parametrize("skill, ease", [(0.0, 1.0), (0.05, 1.0), (0.1, 0.2)])
def test_the_interval_of_overconfidence_covers_new_seeds_and_examples(seeds, skill, ease):
    """Seeds differ in skill, examples in how easy they are beside what seeds believe; the mean gap is 0.05."""
    rng, rounds, missed, widths = np.random.default_rng(0), 300, 0, []
    for _ in range(rounds):
        chance = 0.75 + rng.normal(0, skill, (seeds, 1)) + 0.2 * ease * rng.uniform(-1, 1, 200)
        gap = 0.8 - (rng.random((seeds, 200)) < np.clip(chance, 0, 1))
        low, high = st.overconfidence_interval(gap.mean(axis=1), gap.mean(axis=0), float((gap**2).sum()))
        missed += not low <= 0.05 <= high
        widths.append(high - low)
    assert missed / rounds <= at_most(0.06, rounds) and missed / rounds > 0.005 * (seeds > 3)


def test_without_two_seeds_nothing_is_bounded():
    assert not st.overconfidence_interval(np.zeros(1), np.zeros(9), 0.0).is_known
