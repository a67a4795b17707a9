"""Each statistic against an independent computation; intervals by how often they cover the truth."""

import math

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from seedspread import statistics as st

RNG = np.random.default_rng(7)
SCORES = RNG.normal(90, 0.2, 30)
CURVES = 90 + RNG.normal(0, 0.3, (25, 6)) - 20 * np.exp(-np.arange(6))


def covered(interval_of, draw, truth, n, rounds, seed=0):
    """How often, in percent, the interval of n draws holds the truth."""
    rng = np.random.default_rng(seed)
    hits = 0
    for _ in range(rounds):
        low, high = interval_of(draw(rng, n))
        hits += low <= truth <= high
    return 100 * hits / rounds


def normal(rng, n):
    return rng.normal(90, 0.23, n)


@pytest.mark.parametrize("n", [10, 20, 50, 500])
def test_intervals_of_mean_and_std_cover(n):
    assert 93 <= covered(st.mean_interval, normal, 90, n, 3000) <= 97
    assert 93 <= covered(st.std_interval, normal, 0.23, n, 3000) <= 97


def test_the_interval_of_the_std_allows_for_other_shapes():
    uniform = covered(st.std_interval, lambda rng, n: rng.uniform(0, 1, n), math.sqrt(1 / 12), 100, 3000)
    heavy = covered(st.std_interval, lambda rng, n: rng.standard_t(10, n), math.sqrt(10 / 8), 100, 3000)
    assert 93 <= uniform <= 97 and 92 <= heavy <= 97
    chi2 = covered(_by_chi2, lambda rng, n: rng.uniform(0, 1, n), math.sqrt(1 / 12), 100, 1000)
    assert chi2 > 98  # what the textbook's interval makes of it


def _by_chi2(x):
    n, variance = len(x), x.var(ddof=1)
    return [math.sqrt((n - 1) * variance / stats.chi2.ppf(p, n - 1)) for p in (0.975, 0.025)]


@pytest.mark.parametrize("statistic", [np.median, st.interquartile_mean])
def test_bootstrap_intervals_cover(statistic):
    interval = lambda scores: st.bootstrap_interval(scores, statistic)  # noqa: E731
    assert 93 <= covered(interval, normal, 90, 50, 400, seed=2) <= 97


def test_the_interval_of_a_ratio_of_stds_covers():
    def ratio(scores):
        return st.std_ratio(scores[:30], 2 * scores[30:])[1]

    assert 93 <= covered(ratio, normal, 0.5, 80, 3000) <= 97


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


@pytest.mark.parametrize("right, examples", [(0, 50), (450, 500), (9002, 10_000), (50, 50)])
def test_accuracies_have_wilsons_interval(right, examples):
    low, high = st.accuracy_interval(np.array([right / examples]), examples)
    expected = stats.binomtest(right, examples).proportion_ci(method="wilson")
    assert (low[0], high[0]) == pytest.approx((expected.low, expected.high), abs=1e-12)


def test_too_few_seeds_give_no_number_instead_of_a_wrong_one():
    one, four = np.array([90.0]), SCORES[:4]
    for interval in (st.mean_interval(one), st.std_interval(one), st.std_interval(four)):
        assert all(map(math.isnan, interval))
    assert all(map(math.isnan, st.bootstrap_interval(one, np.median)))
    assert all(map(math.isnan, st.grubbs(four)))
    assert st.shape(SCORES[:7]) is None and st.shape(np.full(20, 90.0)) is None
    assert math.isnan(st.std_ratio(one, SCORES)[0]) and math.isnan(st.brown_forsythe([SCORES, SCORES[:2]]))
    assert math.isnan(st.late_spread_ratio(CURVES, 4)[0]) and math.isnan(st.late_spread_ratio(CURVES[:9], 0)[0])


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
    assert alarms < 0.08


@pytest.mark.parametrize("score", [28.4, 95.4, 90.7, 10.0])
@pytest.mark.parametrize("n", [2, 6, 12, 20])
def test_equal_scores_have_no_spread_whatever_rounding_leaves(score, n):
    scores = np.full(n, score)
    assert st.sample_std(scores) == 0 and st.is_constant(scores) and st.shape(scores) is None
    for nothing in (st.std_interval(scores), st.std_ratio(SCORES, scores)[1], st.grubbs(scores)):
        assert all(map(math.isnan, nothing))
    assert math.isnan(st.brown_forsythe([scores, scores])) and not len(st.outliers(scores))
    assert (st.bands(np.full((n, 3), score)).std == 0).all()


def test_a_rate_that_n_seeds_miss_by_chance():
    rate = st.unseen_rate(20)
    assert (1 - rate) ** 20 == pytest.approx(0.05) and st.unseen_rate(10_000) == pytest.approx(3 / 10_000, rel=0.01)


def test_bands_and_running_bands_are_pandas():
    table, band = pd.DataFrame(CURVES), st.bands(CURVES)
    for name in ("mean", "std", "min", "max"):
        assert getattr(band, name) == pytest.approx(getattr(table, name)().to_numpy())
    series, band = pd.Series(SCORES).expanding(), st.running(SCORES)
    for name in ("mean", "std", "min", "max"):
        assert getattr(band, name) == pytest.approx(getattr(series, name)().to_numpy(), nan_ok=True)
    assert np.isnan(st.bands(CURVES[:1]).std).all()


def test_where_a_curve_is_flat():
    mean = np.array([0, 50, 80, 90.0, 90.05, 89.95, 90])
    curves = mean + np.random.default_rng(0).normal(0, 1, (40, 1)) * np.ones(7)
    assert st.flat_from(curves) == 3
    assert st.flat_from(np.array([[1.0, 2.0, 3.0]])) == 2  # one seed has no std to measure by
    stuck = np.vstack([curves, np.full((5, 7), 10.0)])
    assert st.flat_from(stuck) == 3  # a few seeds far off do not make it flat sooner


def test_whether_the_spread_goes_on_falling():
    rng = np.random.default_rng(0)
    same = rng.normal(90, 0.2, (300, 1)) + rng.normal(0, 0.05, (300, 20))
    ratio, (low, high) = st.late_spread_ratio(same, 0)
    assert low < 1 < high and ratio == pytest.approx(1, abs=0.05)
    falling = 90 + rng.normal(0, 1, (300, 20)) * np.linspace(2, 1, 20)
    stds = falling.std(axis=0, ddof=1)
    ratio, (low, high) = st.late_spread_ratio(falling, 0)
    assert high < 1 and low < ratio < high
    assert math.isnan(st.late_spread_ratio(np.full((20, 8), 90.7), 0)[0])  # though rounding leaves them a std
    assert ratio == pytest.approx(math.sqrt((stds[10:] ** 2).mean() / (stds[:10] ** 2).mean()))


@pytest.mark.parametrize("n", [10, 20, 50])
def test_the_interval_of_the_late_ratio_covers(n):
    def curves(rng, n):
        return rng.normal(90, 0.2, (n, 1)) + rng.normal(0, 0.1, (n, 12))

    def ratio(curves):
        return st.late_spread_ratio(curves, 2)[1]

    assert 93 <= covered(ratio, curves, 1.0, n, 2000) <= 97


def test_brown_forsythe_is_an_analysis_of_variance_of_distances_from_the_median():
    groups = [SCORES[:10], 3 * SCORES[10:22], SCORES[22:]]
    expected = stats.f_oneway(*(np.abs(group - np.median(group)) for group in groups)).pvalue
    assert st.brown_forsythe(groups) == pytest.approx(expected)


def test_the_share_right_and_the_variance_of_independent_examples():
    rng = np.random.default_rng(0)
    rate = rng.beta(4, 0.5, 203)  # no multiple of 8
    correct = rng.random((400, 203)) < rate
    share = st.share_right((np.packbits(row) for row in correct), 203)
    assert share == pytest.approx(correct.mean(axis=0))
    variance = st.independent_example_variance(share, 400)
    by_hand = sum(p * (1 - p) * 400 / 399 for p in share) / 203**2
    assert variance == pytest.approx(by_hand)
    assert variance == pytest.approx(correct.mean(axis=1).var(ddof=1), rel=0.25)  # they are independent here
    assert variance == pytest.approx((rate * (1 - rate)).sum() / 203**2, rel=0.02)  # unbiased, up to chance
