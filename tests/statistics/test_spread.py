"""Means, standard deviations and their intervals: by how often they cover the truth, and against SciPy."""

import math

import numpy as np
import pytest
from scipy import stats

from seedspread import statistics as st
from tests.statistics.simulation import covered, draw_normal

RNG = np.random.default_rng(7)
SCORES = RNG.normal(90, 0.2, 30)
CURVES = 90 + RNG.normal(0, 0.3, (25, 6)) - 20 * np.exp(-np.arange(6))


def _by_chi2(x):
    n, variance = len(x), x.var(ddof=1)
    return [math.sqrt((n - 1) * variance / stats.chi2.ppf(p, n - 1)) for p in (0.975, 0.025)]


@pytest.mark.parametrize("n", [10, 20, 50, 500])
def test_intervals_of_mean_and_std_cover(n):
    assert 93 <= covered(st.mean_interval, draw_normal, 90, n, 3000) <= 97
    assert 93 <= covered(st.std_interval, draw_normal, 0.23, n, 3000) <= 97


def test_the_interval_of_the_std_allows_for_other_shapes():
    uniform = covered(st.std_interval, lambda rng, n: rng.uniform(0, 1, n), math.sqrt(1 / 12), 100, 3000)
    heavy = covered(st.std_interval, lambda rng, n: rng.standard_t(10, n), math.sqrt(10 / 8), 100, 3000)
    assert 93 <= uniform <= 97 and 92 <= heavy <= 97
    chi2 = covered(_by_chi2, lambda rng, n: rng.uniform(0, 1, n), math.sqrt(1 / 12), 100, 1000)
    assert chi2 > 98  # what the textbook's interval makes of it


@pytest.mark.parametrize("level", [0.5, 0.8, 0.99])
def test_the_interval_of_the_std_is_bonetts_at_every_level(level):
    """Bonett 2006, eq. 3-5, written out: c and with it the standard error belong to the level."""
    n, z = len(SCORES), stats.norm.ppf((1 + level) / 2)
    c = n / (n - z)
    middle = stats.trim_mean(SCORES, 1 / (2 * math.sqrt(n - 4)))
    kurtosis = n * ((SCORES - middle) ** 4).sum() / ((SCORES - SCORES.mean()) ** 2).sum() ** 2
    error = c * math.sqrt((kurtosis - (n - 3) / n) / (n - 1))
    expected = [math.sqrt(math.exp(math.log(c * SCORES.var(ddof=1)) + side * z * error)) for side in (-1, 1)]
    assert st.std_interval(SCORES, level) == pytest.approx(expected)
    interval = lambda scores: st.std_interval(scores, level)  # noqa: E731
    assert covered(interval, draw_normal, 0.23, 30, 2000) == pytest.approx(100 * level, abs=3.5)


@pytest.mark.parametrize("statistic", [np.median, st.interquartile_mean])
def test_bootstrap_intervals_cover(statistic):
    interval = lambda scores: st.bootstrap_interval(scores, statistic)  # noqa: E731
    assert 93 <= covered(interval, draw_normal, 90, 50, 400, seed=2) <= 97


def test_the_interval_of_a_ratio_of_stds_covers():
    def ratio(scores):
        return st.std_ratio(scores[:30], 2 * scores[30:])[1]

    assert 93 <= covered(ratio, draw_normal, 0.5, 80, 3000) <= 97


def test_bootstrap_intervals_are_the_same_each_time_and_percentiles_of_resamples():
    one, two = (st.bootstrap_interval(SCORES, np.median) for _ in range(2))
    assert one == two
    rng = np.random.default_rng(5)
    medians = [np.median(rng.choice(SCORES, len(SCORES))) for _ in range(4000)]
    assert one == pytest.approx(np.quantile(medians, [0.025, 0.975]), abs=0.02)


def test_the_mean_has_students_interval():
    assert st.mean_interval(SCORES) == pytest.approx(stats.ttest_1samp(SCORES, 0).confidence_interval())


def test_the_ratio_of_stds_is_what_it_says():
    one, other = SCORES[:12], SCORES[12:]
    ratio, (low, high) = st.std_ratio(one, other)
    assert ratio == pytest.approx(np.std(one, ddof=1) / np.std(other, ddof=1)) and low < ratio < high
    back, (back_low, back_high) = st.std_ratio(other, one)
    assert (back, back_low, back_high) == pytest.approx((1 / ratio, 1 / high, 1 / low))


def test_the_interquartile_mean_leaves_out_a_quarter_at_each_end():
    assert st.interquartile_mean(np.array([-100, 1, 2, 3, 4, 5, 6, 900])) == pytest.approx((2 + 3 + 4 + 5) / 4)
    assert st.interquartile_mean(np.array([-100, 1, 2, 3, 4, 5, 900])) == pytest.approx(3)  # floor(7/4) from each end


def test_too_few_seeds_give_no_number_instead_of_a_wrong_one():
    one, four = np.array([90.0]), SCORES[:4]
    for interval in (st.mean_interval(one), st.std_interval(one), st.std_interval(four)):
        assert all(map(math.isnan, interval))
    assert all(map(math.isnan, st.bootstrap_interval(one, np.median)))
    assert all(map(math.isnan, st.grubbs(four)))
    assert st.shape(SCORES[:7]) is None and st.shape(np.full(20, 90.0)) is None
    assert math.isnan(st.std_ratio(one, SCORES)[0]) and math.isnan(st.brown_forsythe([SCORES, SCORES[:2]]))
    assert math.isnan(st.late_spread_ratio(CURVES, 4)[0]) and math.isnan(st.late_spread_ratio(CURVES[:9], 0)[0])


@pytest.mark.parametrize("score", [28.4, 95.4, 90.7, 10.0])
@pytest.mark.parametrize("n", [2, 6, 12, 20])
def test_equal_scores_have_no_spread_whatever_rounding_leaves(score, n):
    scores = np.full(n, score)
    assert st.sample_std(scores) == 0 and st.is_constant(scores) and st.shape(scores) is None
    for nothing in (st.std_interval(scores), st.std_ratio(SCORES, scores)[1], st.grubbs(scores)):
        assert all(map(math.isnan, nothing))
    assert math.isnan(st.brown_forsythe([scores, scores])) and not len(st.outliers(scores))
    assert (st.bands(np.full((n, 3), score)).std == 0).all()


def test_brown_forsythe_is_an_analysis_of_variance_of_distances_from_the_median():
    groups = [SCORES[:10], 3 * SCORES[10:22], SCORES[22:]]
    expected = stats.f_oneway(*(np.abs(group - np.median(group)) for group in groups)).pvalue
    assert st.brown_forsythe(groups) == pytest.approx(expected)
