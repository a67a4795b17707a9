"""Collapsed seeds: what is found, how rarely by chance, and the interval of their rate in closed form."""

import numpy as np
import pytest
from scipy import stats

from seedspread import statistics as st
from tests.statistics.simulation import at_most, share

RNG = np.random.default_rng(8)
HEALTHY = RNG.normal(94, 0.2, 17)


@pytest.mark.parametrize("sign, collapsed", [(1, [10.0, 85.0]), (-1, [2000.0, 103.0])])
def test_scores_far_on_the_worse_side_collapsed(sign, collapsed):
    scores = np.concatenate([HEALTHY, collapsed])
    assert np.flatnonzero(st.find_collapsed(scores, sign)).tolist() == [17, 18]
    assert not st.find_collapsed(scores, -sign).any()  # far better is not collapsed
    assert np.array_equal(st.find_collapsed(-scores, -sign), st.find_collapsed(scores, sign))
    assert np.array_equal(st.find_collapsed(scores / 100, sign), st.find_collapsed(scores, sign))


def test_collapsed_seeds_do_not_hide_one_another():
    found = st.find_collapsed(np.concatenate([HEALTHY, np.full(8, 10.0)]))  # a third of all: the std is 40 points
    assert found[17:].all() and not found[:17].any()


def test_where_most_scores_are_equal_the_smallest_step_is_the_standard_deviation():
    scores = np.array([90.0, 90, 90, 90, 90, 90.4, 89.0, 83.0, 81.0])
    assert st.find_collapsed(scores).tolist() == [False] * 8 + [True]  # 20 x 0.4 = 8 below


def test_of_fewer_than_5_scores_none_is_called_collapsed():
    assert not st.find_collapsed(np.array([90.0, 90.1, 90.2, 10])).any()
    assert st.find_collapsed(np.array([90.0, 90.1, 90.2, 90.3, 10])).tolist() == [False] * 4 + [True]
    assert st.find_collapsed(np.array([])).shape == (0,)


@pytest.mark.parametrize("n, rate", [(5, 0.006), (10, 0.001), (30, 0.001)])
def test_normal_scores_are_hardly_ever_called_collapsed(n, rate):
    rng, rounds = np.random.default_rng(n), 4000
    assert share(st.find_collapsed(rng.normal(size=n)).any() for _ in range(rounds)) <= at_most(rate, rounds)


def test_the_rate_and_its_interval_in_closed_form():
    rate, (low, high) = st.collapse_rate(3, 40)
    assert rate == 3 / 40
    assert (low, high) == pytest.approx((stats.beta.ppf(0.025, 3, 38), stats.beta.ppf(0.975, 4, 37)))
    rate, (low, high) = st.collapse_rate(0, 20)
    assert (rate, low) == (0, 0) and high == pytest.approx(1 - 0.025 ** (1 / 20))
    assert st.collapse_rate(20, 20)[1] == pytest.approx((0.025 ** (1 / 20), 1))
    narrow, wide = st.collapse_rate(3, 40, level=0.5)[1], st.collapse_rate(3, 40, level=0.99)[1]
    assert wide.low < narrow.low < narrow.high < wide.high


def test_of_two_values_none_collapsed():
    success = np.array([1.0] * 21 + [0.0] * 19)
    assert not st.find_collapsed(success).any() and not st.find_collapsed(success, 1, [np.ones(40)]).any()
    assert st.find_collapsed(np.array([100.0] * 12 + [99.8] * 5 + [10.0] * 3)).sum() == 3
