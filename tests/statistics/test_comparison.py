"""Tests of a difference between two arms: against SciPy, simulations and by hand."""

import math
from functools import partial

import numpy as np
import pytest
from scipy import stats

from seedspread import statistics as st
from tests.statistics.simulation import at_most, draw_arms, share

RNG = np.random.default_rng(3)
A, B = RNG.normal(90, 0.2, 24), RNG.normal(90.1, 0.3, 17)


def test_welch_and_paired_are_scipys():
    found, theirs = st.welch_test(A, B), stats.ttest_ind(B, A, equal_var=False)
    assert (found.value, found.p) == pytest.approx((B.mean() - A.mean(), theirs.pvalue))
    assert (found.degrees_of_freedom, found.interval) == (
        pytest.approx(theirs.df),
        pytest.approx(theirs.confidence_interval()),
    )
    found, theirs = st.paired_t_test(A[:17], B), stats.ttest_rel(B, A[:17])
    assert (found.p, found.interval) == (pytest.approx(theirs.pvalue), pytest.approx(theirs.confidence_interval()))
    r, (low, high) = st.correlation(A[:17], B)
    assert r == pytest.approx(np.corrcoef(A[:17], B)[0, 1])
    assert (math.atanh(low) + math.atanh(high)) / 2 == pytest.approx(math.atanh(r))  # Fisher's transformation
    assert (math.atanh(high) - math.atanh(low)) / 2 == pytest.approx(stats.norm.ppf(0.975) / math.sqrt(17 - 3))


@pytest.mark.parametrize("n, m, std", [(2, 2, 1), (3, 3, 3), (5, 5, 1), (20, 20, 3), (12, 40, 0.5)])
def test_welch_rejects_equals_at_most_as_often_as_it_says(n, m, std):
    assert share(st.welch_test(a, b).p < 0.05 for a, b in draw_arms(2000, n, m, std=std)) <= at_most(0.05, 2000)


@pytest.mark.parametrize("n, m, std", [(2, 20, 1), (2, 20, 0.3), (3, 20, 0.5), (5, 40, 0.5)])
def test_very_few_seeds_beside_many_are_tested_with_caution(n, m, std):
    plain, cautious = (
        share(st.welch_test(a, b, cautious=cautious).p < 0.05 for a, b in draw_arms(2000, n, m, std=std))
        for cautious in (False, True)
    )
    assert cautious <= at_most(0.05, 2000) and (plain > 0.06 or n == 5)


@pytest.mark.parametrize("n, correlation", [(3, 0), (5, 0.5), (20, 0), (20, 0.8)])
def test_the_paired_test_holds_whether_or_not_pairs_correlate(n, correlation):
    rejected = share(st.paired_t_test(a, b).p < 0.05 for a, b in draw_arms(2000, n, correlation=correlation, seed=1))
    assert 0.05 - 0.016 <= rejected <= at_most(0.05, 2000)


def test_intervals_of_the_difference_cover():
    for n, m, std in ((10, 10, 1), (20, 60, 0.4)):
        low_high = [st.welch_test(a, b).interval for a, b in draw_arms(2000, n, m, std=std, difference=0.7)]
        assert 0.93 <= share(low <= 0.7 <= high for low, high in low_high) <= 0.97
    pairs = [st.paired_t_test(a, b).interval for a, b in draw_arms(2000, 10, correlation=0.6, difference=0.7)]
    assert 0.93 <= share(low <= 0.7 <= high for low, high in pairs) <= 0.97


def test_permutations_are_scipys_where_all_are_gone_through():
    def welchs_t(x, y, axis):
        return np.abs(stats.ttest_ind(x, y, axis=axis, equal_var=False).statistic)

    for n, m in ((4, 5), (6, 6), (3, 7)):
        theirs = stats.permutation_test((A[:n], B[:m]), welchs_t, vectorized=True, alternative="greater").pvalue
        assert st.permutation_test(A[:n], B[:m]) == pytest.approx(theirs)
    for n in (3, 8, 12):
        theirs = stats.permutation_test((B[:n] - A[:n],), np.mean, permutation_type="samples", vectorized=True).pvalue
        assert st.sign_flip_test(A[:n], B[:n]) == pytest.approx(theirs)


@pytest.mark.parametrize("n, m", [(4, 5), (3, 7), (10, 30)])
def test_the_interval_with_permutations_excludes_what_both_tests_reject(n, m):
    for difference in np.linspace(0, 3, 25):
        a, b = RNG.exponential(size=n), RNG.exponential(size=m) + difference
        permutations, plain = st.permute_arms(a, b), st.welch_test(a, b)
        found = st.welch_test(a, b, permutations=permutations)
        assert found.p == max(plain.p, permutations.p()) and found.value == plain.value
        low, high = found.interval
        assert (low > 0 or high < 0) == (found.p < 0.05)
        assert low <= plain.interval.low and high >= plain.interval.high
        widened = (high - low) / (plain.interval.high - plain.interval.low)
        assert found.widening == pytest.approx(widened)
        for limit in (0.5, 2, 4):
            assert (found.p_beyond(limit) < 0.05) == (max(map(abs, found.interval)) < limit)


@pytest.mark.parametrize("n, m", [(7, 5), (6, 40)])
def test_permutations_of_a_difference_are_those_of_the_arms_without_it(n, m):
    a, b = A[:n], np.resize(B, m) ** 2
    permutations = st.permute_arms(a, b)
    for difference in (0.5, 7900, 8100):
        moved = st.permute_arms(a, b - difference)
        assert permutations.p(difference) == moved.p()
        for one, two in zip(permutations.t(difference), moved.t(), strict=True):
            assert one == pytest.approx(two)
    low, high = permutations.interval()
    for end, width in ((low, low - high), (high, high - low)):
        assert permutations.p(end) >= 0.05 > permutations.p(end + 1e-6 * width)


def test_the_interval_with_permutations_is_as_wide_however_far_the_arms_are_apart():
    a, b = RNG.normal(size=200), RNG.normal(size=20)
    near, far = (
        st.welch_test(a, b + apart, permutations=st.permute_arms(a, b + apart)) for apart in (-b.mean(), 100.0)
    )
    assert np.subtract(*far.interval) == pytest.approx(np.subtract(*near.interval)) and far.widening < 1.1


def test_the_interval_of_so_few_seeds_that_permutations_cannot_reject_has_no_end():
    found = st.welch_test(np.array([1.0, 2, 3]), np.array([7.0, 8]), permutations=st.permute_arms(A[:3], B[:2]))
    assert found.interval == (-math.inf, math.inf) and found.p >= 0.05


@pytest.mark.parametrize("n, m", [(5, 50), (50, 5), (10, 30)])
def test_the_interval_with_permutations_covers_the_difference_of_skewed_arms(n, m):
    rng, rounds, missed, plainly = np.random.default_rng(n), 1000, 0, 0
    for _ in range(rounds):
        a, b = -rng.lognormal(size=n), 4 - rng.lognormal(size=m)
        low, high = (plain := st.welch_test(a, b)).interval
        plainly += not low <= 4 <= high
        # An interval that Welch's own holds covers as well: its permutations can but widen it.
        if not low <= 4 <= high:
            low, high = plain.with_permutations(st.permute_arms(a, b, 2000), 0.95).interval
            missed += not low <= 4 <= high
    assert missed / rounds <= at_most(0.05, rounds) and missed < plainly


def test_drawn_permutations_agree_with_all_and_are_the_same_each_time(monkeypatch):
    exact, flips = st.permutation_test(A[:6], B[:6]), st.sign_flip_test(A[:12], B[:12])
    monkeypatch.setattr("seedspread.statistics.comparison.EXACT", 0)
    assert st.permutation_test(A[:6], B[:6]) == pytest.approx(exact, abs=0.02)
    assert st.sign_flip_test(A[:12], B[:12]) == pytest.approx(flips, abs=0.02)
    assert st.permutation_test(A, B, 999) == st.permutation_test(A, B, 999) != st.permutation_test(A, B, 999, seed=1)


def test_permutations_reject_equals_at_most_as_often_as_they_say():
    assert share(st.permutation_test(a, b) <= 0.05 for a, b in draw_arms(600, 5)) <= at_most(0.05, 600)
    assert share(st.permutation_test(a, b, 499) <= 0.05 for a, b in draw_arms(600, 20, 30)) <= at_most(0.05, 600)
    assert share(st.sign_flip_test(a, b) <= 0.05 for a, b in draw_arms(600, 8)) <= at_most(0.05, 600)
    few = [(np.array([1.0, 1, 2]), np.array([1.0, 2, 2])), (np.array([1.0, 1]), np.array([1.0, 1]))]
    assert all(st.permutation_test(a, b) == 1 for a, b in few)  # ties


def test_effect_sizes_are_unbiased_and_their_intervals_cover():
    found = [st.effect_size(a, b) for a, b in draw_arms(3000, 12, difference=0.8)]
    assert np.mean([g for g, _ in found]) == pytest.approx(0.8, abs=0.025)  # Cohen's d alone: 0.83
    assert 0.93 <= share(low <= 0.8 <= high for _, (low, high) in found) <= 0.97


def test_how_often_the_candidate_wins_is_mann_and_whitneys():
    for b in (B, np.round(B, 1)):
        value, _ = st.probability_of_improvement(np.round(A, 1), b)
        assert value == pytest.approx(stats.mannwhitneyu(b, np.round(A, 1)).statistic / (len(A) * len(B)))
    pairs = st.probability_of_improvement(np.array([1.0, 2, 3, 4]), np.array([2.0, 2, 5, 1]), pairs=True)[0]
    assert pairs == (1 + 0.5 + 1 + 0) / 4


def test_its_bootstrap_is_that_of_plain_resampling():
    a, b = np.round(A, 1), np.round(B, 1)
    rng = np.random.default_rng(0)
    plain = []
    for _ in range(4000):
        x, y = rng.choice(a, len(a)), rng.choice(b, len(b))
        plain.append(((y[:, None] > x).mean() + (y[:, None] >= x).mean()) / 2)
    assert st.probability_of_improvement(a, b)[1] == pytest.approx(np.quantile(plain, [0.025, 0.975]), abs=0.012)


@pytest.mark.parametrize("pairs", [False, True])
def test_its_interval_covers(pairs):
    truth = stats.norm.cdf(0.5 / math.sqrt(2))
    rounds = draw_arms(1500, 60, difference=0.5, seed=5)
    found = [st.probability_of_improvement(a, b, pairs, draws=1000)[1] for a, b in rounds]
    assert 0.93 <= share(low <= truth <= high for low, high in found) <= 0.97


@pytest.mark.parametrize("n, m", [(10, 10), (10, 40), (30, 30)])
def test_neither_bouthillier_nor_stochastic_order_finds_equals_better(n, m):
    both = list(draw_arms(800, n, m, seed=6))
    meant = "significant and meaningful", "significant, not meaningful"
    bouthillier = share(
        st.bouthillier_verdict(st.probability_of_improvement(a, b, draws=500)[1]) in meant for a, b in both
    )
    order = share(st.almost_stochastic_dominance(a, b, draws=300) < 0.2 for a, b in both)
    ways = share(min(st.almost_stochastic_order(a, b, 0.025, draws=300)) < 0.2 for a, b in both)
    assert max(bouthillier, order, ways) <= at_most(0.05, 800)


def test_stochastic_order_the_other_way_round_is_that_of_the_arms_exchanged():
    forward, backward = st.almost_stochastic_order(A, B)
    assert forward == st.almost_stochastic_dominance(A, B)
    assert backward == pytest.approx(st.almost_stochastic_dominance(B, A), abs=0.02)


@pytest.mark.parametrize("pairs", [False, True])
def test_the_p_of_equivalence_is_that_of_two_one_sided_tests(pairs):
    one, other = A[:17], B
    found = st.paired_t_test(one, other) if pairs else st.welch_test(one, other)
    for limit in (0.05, 0.2, 0.4):
        below, above = (
            (stats.ttest_rel if pairs else partial(stats.ttest_ind, equal_var=False))(
                other, one + end, alternative="greater" if end < 0 else "less"
            ).pvalue
            for end in (-limit, limit)
        )
        assert found.p_beyond(limit) == pytest.approx(min(1, 2 * max(below, above)))
        assert (found.p_beyond(limit) < 0.05) == (max(map(abs, found.interval)) < limit)


def test_bouthilliers_verdicts():
    verdicts = [st.bouthillier_verdict(st.Interval(*i)) for i in ((0.5, 0.9), (0.51, 0.75), (0.51, 0.76), (0.1, 0.4))]
    assert verdicts == [
        "not significant",
        "significant, not meaningful",
        "significant and meaningful",
        "not significant",
    ]


def test_holm_by_hand():
    assert st.holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert st.holm([0.6, 0.5]) == pytest.approx([1, 1]) and st.holm([0.03]) == pytest.approx([0.03])


def test_what_cannot_be_computed_is_refused():
    for call in (
        lambda: st.welch_test([1.0], [1.0, 2]), lambda: st.paired_t_test([1.0, 2], [1.0, 2, 3]),
        lambda: st.welch_test([1, np.nan], [1, 2]),
        lambda: st.seeds_needed(0.0, 0.1), lambda: st.seeds_needed(0.2, 0.0),
        lambda: st.seeds_needed(0.2, 0.1, power=1),
        lambda: st.achieved_power(1, 0.1, 0.2), lambda: st.detectable_difference(0.2, 10, power=0.04),
    ):  # fmt: skip
        with pytest.raises(ValueError):
            call()
