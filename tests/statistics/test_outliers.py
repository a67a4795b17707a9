"""Shape, extremes and outliers: closed forms, published tables and simulations."""

import math

import numpy as np
import pytest
from scipy import stats

from benchmarks import luck_rates
from seedspread import statistics as st
from tests.statistics.simulation import at_most

RNG = np.random.default_rng(7)
SCORES = RNG.normal(90, 0.2, 30)


def test_shape_is_scipys():
    found = st.shape(SCORES)
    assert (found.skewness, found.kurtosis) == pytest.approx((stats.skew(SCORES), stats.kurtosis(SCORES)))
    assert found.p == pytest.approx(stats.shapiro(SCORES).pvalue)
    many = np.random.default_rng(0).normal(size=6000)
    assert st.shape(many).p == pytest.approx(stats.normaltest(many).pvalue)
    assert st.shape(np.random.default_rng(0).exponential(size=200)).p < 1e-6


@pytest.mark.parametrize("n, closed", [(1, 0), (2, 1 / math.sqrt(math.pi)), (3, 1.5 / math.sqrt(math.pi))])
def test_the_expected_maximum_in_closed_form(n, closed):
    assert st.expected_maximum(n) == pytest.approx(closed, abs=1e-6)


@pytest.mark.parametrize("n", [5, 20, 500])
def test_extremes_by_simulation(n):
    largest = np.random.default_rng(1).normal(size=(20_000, n)).max(axis=1)
    assert st.expected_maximum(n) == pytest.approx(largest.mean(), abs=0.02)
    low, high = st.maximum_range(n)
    assert (largest < low).mean() == pytest.approx(0.025, abs=0.004)
    assert (largest > high).mean() == pytest.approx(0.025, abs=0.004)


def test_the_extreme_of_ten_thousand_lies_3_85_std_away():
    assert st.expected_maximum(10_000) == pytest.approx(3.85, abs=0.005)


def test_grubbs_against_his_table_and_by_simulation():
    # Grubbs 1969, table 1: for n = 20 the one-sided critical value at 5 % is 2.557.
    scores = np.append(np.linspace(-1, 1, 19), 10.0)
    rest = scores[:-1]

    def standing_out(x):
        away = np.append(rest, x)
        return (x - away.mean()) / away.std(ddof=1)

    at = np.linspace(1, 4, 3001)
    x = at[np.argmin([abs(standing_out(a) - 2.557) for a in at])]
    assert st.grubbs(np.append(rest, x))[1] == pytest.approx(0.05, abs=0.002)
    rng = np.random.default_rng(3)
    false_alarms = np.mean([st.grubbs(rng.normal(size=20))[0] < 0.05 for _ in range(4000)])
    assert false_alarms == pytest.approx(0.05, abs=0.012)
    assert st.grubbs(np.append(SCORES, 95.0))[1] < 1e-6 < st.grubbs(SCORES)[1]


def test_how_far_the_extreme_lies_in_its_own_std():
    rng = np.random.default_rng(9)
    for n in (5, 20):
        away = [(x.max() - x.mean()) / x.std(ddof=1) for x in rng.normal(size=(20_000, n))]
        mean, (low, high) = st.expected_extreme(n)
        assert mean == pytest.approx(np.mean(away), abs=0.01)
        assert (low, high) == pytest.approx(np.quantile(away, [0.025, 0.975]), abs=0.04)
    assert st.expected_extreme(5)[1].high < 4 / math.sqrt(5)  # no score of 5 can lie further away
    assert st.expected_extreme(10_000)[0] == pytest.approx(3.85, abs=0.005)


def test_outliers_do_not_hide_one_another():
    scores = np.random.default_rng(0).normal(95.5, 0.8, 20)
    assert not len(st.outliers(scores))
    stuck = scores.copy()
    stuck[[3, 7, 11]] = 10.0
    assert sorted(st.outliers(stuck)) == [3, 7, 11]
    assert st.grubbs(stuck)[0] > 0.05  # one at a time they do
    assert list(st.outliers(np.append(scores, 120.0))) == [20]


@pytest.mark.parametrize("n", [12, 20, 100])
def test_outliers_are_seldom_found_where_there_are_none(n):
    rng = np.random.default_rng(1)
    alarms = np.mean([len(st.outliers(rng.normal(size=n))) > 0 for _ in range(1500)])
    assert alarms < 0.02


def test_ties_are_no_outliers():
    assert not len(st.outliers([90.0] * 16 + [90.1] * 4))
    assert not len(st.outliers([99.8] * 19 + [99.6], step=0.2))
    assert list(st.outliers([100.0] * 19 + [98.8], step=0.2)) == [19]  # six examples
    assert list(st.outliers([100.0] * 19 + [10.0])) == [19]
    assert not len(st.outliers([0.1 + 0.2] * 19 + [0.3]))  # apart by rounding


def test_a_score_has_to_stand_apart_by_more_than_five_examples():
    scores = 90 + 0.1 * np.random.default_rng(0).integers(-2, 3, 40)
    assert not len(st.outliers(np.append(scores, 90.2 + 0.5), step=0.1))
    assert list(st.outliers(np.append(scores, 90.2 + 0.7), step=0.1)) == [40]
    assert list(st.outliers(np.append(scores, 90.2 + 0.7))) == [40]  # the step is found


def test_all_of_many_outliers_are_found():
    rng = np.random.default_rng(2)
    scores = np.append(rng.normal(90, 0.2, 9850), rng.normal(60, 3, 150))
    assert sorted(st.outliers(scores)) == list(range(9850, 10_000))


@pytest.mark.parametrize("accuracy", [0.9, 0.99, 0.998])
@pytest.mark.parametrize("seeds, rounds", [(20, 600), (1000, 100)])
def test_counts_of_right_answers_raise_no_false_alarms(accuracy, seeds, rounds):
    for step in (None, 0.2):
        assert luck_rates.measure_alarms(seeds, 500, accuracy, rounds, step) <= 100 * at_most(0.06, rounds)


def test_a_rate_that_n_seeds_miss_by_chance():
    rate = st.unseen_rate(20)
    assert (1 - rate) ** 20 == pytest.approx(0.05) and st.unseen_rate(10_000) == pytest.approx(3 / 10_000, rel=0.01)
