"""Comparisons of two arms: simulations of known truth, independent computations, and the commands as typed."""

import itertools
import json
import math
import subprocess
import sys
import time
import tracemalloc

import numpy as np
import pandas as pd
import pytest
from scipy import integrate, stats

from seedspread import statistics as st
from seedspread.commands.compare import main as compare_main
from seedspread.commands.power import main as power_main
from seedspread.config.errors import InputError
from seedspread.decide.verdict import Arm, compare_arms
from seedspread.records.study import Study
from seedspread.report.comparison_page import comparison_page
from seedspread.report.verdict_words import notes, verdict_sentence
from tests.conftest import ROOT
from tests.report.test_report import add_seed

RNG = np.random.default_rng(3)
A, B = RNG.normal(90, 0.2, 24), RNG.normal(90.1, 0.3, 17)


def share(happened):
    return np.mean(list(happened))


def at_most(nominal, rounds):
    """What a rate that is nominal stays below but for one simulation in a thousand."""
    return nominal + 3.1 * math.sqrt(nominal * (1 - nominal) / rounds)


def drawn(rounds, n, m=None, *, seed=0, std=1.0, difference=0.0, correlation=0.0):
    """Rounds of a baseline (n,) and a candidate (m,), normal; pairs of them where they correlate."""
    rng = np.random.default_rng(seed)
    for _ in range(rounds):
        common = math.sqrt(correlation) * rng.normal(size=n) if correlation else 0.0
        own = math.sqrt(1 - correlation)
        yield common + own * rng.normal(size=n), common + own * std * rng.normal(size=m or n) + difference


# Tests of the difference.


def test_welch_and_paired_are_scipys():
    found, theirs = st.welch_test(A, B), stats.ttest_ind(B, A, equal_var=False)
    assert (found.value, found.p) == pytest.approx((B.mean() - A.mean(), theirs.pvalue))
    assert (found.freedom, found.interval) == (pytest.approx(theirs.df), pytest.approx(theirs.confidence_interval()))
    found, theirs = st.paired_t_test(A[:17], B), stats.ttest_rel(B, A[:17])
    assert (found.p, found.interval) == (pytest.approx(theirs.pvalue), pytest.approx(theirs.confidence_interval()))
    r, (low, high) = st.correlation(A[:17], B)
    assert r == pytest.approx(np.corrcoef(A[:17], B)[0, 1])
    assert (math.atanh(low) + math.atanh(high)) / 2 == pytest.approx(math.atanh(r))  # Fisher's transformation
    assert (math.atanh(high) - math.atanh(low)) / 2 == pytest.approx(stats.norm.ppf(0.975) / math.sqrt(17 - 3))


@pytest.mark.parametrize("n, m, std", [(2, 2, 1), (3, 3, 3), (5, 5, 1), (20, 20, 3), (12, 40, 0.5)])
def test_welch_rejects_equals_at_most_as_often_as_it_says(n, m, std):
    assert share(st.welch_test(a, b).p < 0.05 for a, b in drawn(2000, n, m, std=std)) <= at_most(0.05, 2000)


@pytest.mark.parametrize("n, m, std", [(2, 20, 1), (2, 20, 0.3), (3, 20, 0.5), (5, 40, 0.5)])
def test_very_few_seeds_beside_many_are_tested_with_caution(n, m, std):
    plain, cautious = (
        share(st.welch_test(a, b, cautious=cautious).p < 0.05 for a, b in drawn(2000, n, m, std=std))
        for cautious in (False, True)
    )
    assert cautious <= at_most(0.05, 2000) and (plain > 0.06 or n == 5)


@pytest.mark.parametrize("n, correlation", [(3, 0), (5, 0.5), (20, 0), (20, 0.8)])
def test_the_paired_test_holds_whether_or_not_pairs_correlate(n, correlation):
    rejected = share(st.paired_t_test(a, b).p < 0.05 for a, b in drawn(2000, n, correlation=correlation, seed=1))
    assert 0.05 - 0.016 <= rejected <= at_most(0.05, 2000)


def test_intervals_of_the_difference_cover():
    for n, m, std in ((10, 10, 1), (20, 60, 0.4)):
        low_high = [st.welch_test(a, b).interval for a, b in drawn(2000, n, m, std=std, difference=0.7)]
        assert 0.93 <= share(low <= 0.7 <= high for low, high in low_high) <= 0.97
    pairs = [st.paired_t_test(a, b).interval for a, b in drawn(2000, 10, correlation=0.6, difference=0.7)]
    assert 0.93 <= share(low <= 0.7 <= high for low, high in pairs) <= 0.97


def test_power_is_as_computed():
    for n, difference in ((10, 1.0), (20, 0.9)):
        shown = share(st.welch_test(a, b).p < 0.05 for a, b in drawn(3000, n, difference=difference, seed=2))
        assert shown == pytest.approx(st.achieved_power(n, difference, 1.0), abs=0.028)
    shown = share(st.welch_test(a, b).p < 0.05 for a, b in drawn(3000, 15, std=2.0, difference=1.5, seed=3))
    assert shown == pytest.approx(st.achieved_power(15, 1.5, 1.0, other=2.0), abs=0.028)
    apart = math.sqrt(2 * (1 - 0.6))
    shown = share(st.paired_t_test(a, b).p < 0.05 for a, b in drawn(3000, 12, correlation=0.6, difference=0.8, seed=4))
    assert shown == pytest.approx(st.achieved_power(12, 0.8, apart, pairs=True), abs=0.028)


def test_permutations_are_scipys_where_all_are_gone_through():
    def welchs_t(x, y, axis):
        return np.abs(stats.ttest_ind(x, y, axis=axis, equal_var=False).statistic)

    for n, m in ((4, 5), (6, 6), (3, 7)):
        theirs = stats.permutation_test((A[:n], B[:m]), welchs_t, vectorized=True, alternative="greater").pvalue
        assert st.permutation_test(A[:n], B[:m]) == pytest.approx(theirs)
    for n in (3, 8, 12):
        theirs = stats.permutation_test((B[:n] - A[:n],), np.mean, permutation_type="samples", vectorized=True).pvalue
        assert st.sign_flip_test(A[:n], B[:n]) == pytest.approx(theirs)


def test_drawn_permutations_agree_with_all_and_are_the_same_each_time(monkeypatch):
    exact, flips = st.permutation_test(A[:6], B[:6]), st.sign_flip_test(A[:12], B[:12])
    monkeypatch.setattr("seedspread.statistics.comparison.EXACT", 0)
    assert st.permutation_test(A[:6], B[:6]) == pytest.approx(exact, abs=0.02)
    assert st.sign_flip_test(A[:12], B[:12]) == pytest.approx(flips, abs=0.02)
    assert st.permutation_test(A, B, 999) == st.permutation_test(A, B, 999) != st.permutation_test(A, B, 999, seed=1)


def test_permutations_reject_equals_at_most_as_often_as_they_say():
    assert share(st.permutation_test(a, b) <= 0.05 for a, b in drawn(600, 5)) <= at_most(0.05, 600)
    assert share(st.permutation_test(a, b, 499) <= 0.05 for a, b in drawn(600, 20, 30)) <= at_most(0.05, 600)
    assert share(st.sign_flip_test(a, b) <= 0.05 for a, b in drawn(600, 8)) <= at_most(0.05, 600)
    few = [(np.array([1.0, 1, 2]), np.array([1.0, 2, 2])), (np.array([1.0, 1]), np.array([1.0, 1]))]
    assert all(st.permutation_test(a, b) == 1 for a, b in few)  # ties


def test_effect_sizes_are_unbiased_and_their_intervals_cover():
    found = [st.effect_size(a, b) for a, b in drawn(3000, 12, difference=0.8)]
    assert np.mean([g for g, _ in found]) == pytest.approx(0.8, abs=0.025)  # Cohen's d alone: 0.83
    assert 0.93 <= share(low <= 0.8 <= high for _, (low, high) in found) <= 0.97


# How often the candidate wins.


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
    found = [
        st.probability_of_improvement(a, b, pairs, draws=1000)[1] for a, b in drawn(1500, 60, difference=0.5, seed=5)
    ]
    assert 0.93 <= share(low <= truth <= high for low, high in found) <= 0.97


@pytest.mark.parametrize("n, m", [(10, 10), (10, 40), (30, 30)])
def test_neither_bouthillier_nor_stochastic_order_finds_equals_better(n, m):
    both = list(drawn(800, n, m, seed=6))
    meant = "significant and meaningful", "significant, not meaningful"
    bouthillier = share(
        st.bouthillier_verdict(st.probability_of_improvement(a, b, draws=500)[1]) in meant for a, b in both
    )
    order = share(st.almost_stochastic_dominance(a, b, draws=300) < 0.2 for a, b in both)
    assert max(bouthillier, order) <= at_most(0.05, 800)


def test_bouthilliers_verdicts():
    verdicts = [st.bouthillier_verdict(st.Interval(*i)) for i in ((0.5, 0.9), (0.51, 0.75), (0.51, 0.76), (0.1, 0.4))]
    assert verdicts == [
        "not significant",
        "significant, not meaningful",
        "significant and meaningful",
        "not significant",
    ]


# Stochastic order.


def numerically(a, b):
    """The violation ratio by adding up a million points of the quantile functions."""
    t = (np.arange(1_000_000) + 0.5) / 1_000_000
    apart = np.sort(a)[np.floor(t * len(a)).astype(int)] - np.sort(b)[np.floor(t * len(b)).astype(int)]
    return (np.maximum(apart, 0) ** 2).sum() / (apart**2).sum()


@pytest.mark.parametrize("n, m", [(7, 7), (24, 17), (5, 200), (3, 2)])
def test_the_violation_ratio_is_the_integral(n, m):
    rng = np.random.default_rng(n)
    a, b = rng.normal(0, 1, n), rng.normal(0.3, 2, m)
    assert st.violation_ratio(a, b) == pytest.approx(numerically(a, b), abs=2e-5)
    assert st.violation_ratio(a, b) + st.violation_ratio(b, a) == pytest.approx(1)


def test_the_violation_ratio_of_two_normal_distributions():
    def apart(t):
        return stats.norm.ppf(t) - stats.norm.ppf(t, 0.2, 1.5)

    t = (np.arange(400_000) + 0.5) / 400_000
    violated, _ = integrate.quad(lambda t: max(apart(t), 0) ** 2, 0, 1, limit=200)
    whole, _ = integrate.quad(lambda t: apart(t) ** 2, 0, 1, limit=200)
    found = st.violation_ratio(stats.norm.ppf(t), stats.norm.ppf(t, 0.2, 1.5))
    assert found == pytest.approx(violated / whole, abs=1e-3)


def test_almost_stochastic_dominance_by_a_plain_loop():
    rng = np.random.default_rng(1)
    a, b = rng.normal(0, 1, 40), rng.normal(0.4, 1.3, 30)
    ratios = [st.violation_ratio(rng.choice(a, 40), rng.choice(b, 30)) for _ in range(3000)]
    expected = st.violation_ratio(a, b) + 1.645 * np.std(ratios)
    assert st.almost_stochastic_dominance(a, b) == pytest.approx(expected, abs=0.02)
    assert st.almost_stochastic_dominance(a, a + 5) == 0 and st.almost_stochastic_dominance(a + 5, a) == 1
    assert st.violation_ratio(a, a) == 0.5
    assert st.almost_stochastic_dominance(a, b) == st.almost_stochastic_dominance(a, b)


# Several candidates, and planning.


def test_holm_by_hand():
    assert st.holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert st.holm([0.6, 0.5]) == pytest.approx([1, 1]) and st.holm([0.03]) == pytest.approx([0.03])


def test_seeds_needed_are_what_a_search_through_the_noncentral_t_finds():
    def power(n, d):
        t, away = stats.t.isf(0.025, 2 * n - 2), d * math.sqrt(n / 2)
        return stats.nct.sf(t, 2 * n - 2, away) + np.nan_to_num(stats.nct.cdf(-t, 2 * n - 2, away))

    assert st.seeds_needed(0.23, 0.1) == 84 and st.seeds_needed(0.23, 0.1, power=0.95) == 139
    assert st.achieved_power(84, 0.1, 0.23) == pytest.approx(0.8, abs=1e-4)
    for d, wanted in itertools.product((0.2, 0.5, 1.0, 4.0, 30.0), (0.6, 0.8, 0.95)):
        searched = next(n for n in itertools.count(2) if power(n, d) >= wanted - 0.0005)
        assert st.seeds_needed(1.0, d, wanted) == searched == st.seeds_needed(1e-200, d * 1e-200, wanted)
    assert st.seeds_needed(0.23, 1e-5) == pytest.approx(2 * (1.959964 + 0.841621) ** 2 * 0.23**2 / 1e-10, rel=2e-3)


def test_what_is_detectable_takes_as_many_seeds():
    for n, pairs in itertools.product((2, 3, 20, 500), (False, True)):
        smallest = st.detectable_difference(0.23, n, pairs=pairs)
        assert st.achieved_power(n, smallest, 0.23, pairs=pairs) == pytest.approx(0.8)
        assert st.seeds_needed(0.23, smallest * 1.001, pairs=pairs) <= n
    assert st.detectable_errors(1e6) == pytest.approx(1.959964 + 0.841621, abs=1e-4)


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


# Test examples.


def answers(rng, seeds, right, clash=0.7):
    """Correctness (seeds, N) where each example is right at a rate of its own, and each network has a skill."""
    odds = right + clash * rng.normal(size=(seeds, 1)) * 0.1
    return rng.random((seeds, len(right))) < 1 / (1 + np.exp(-odds))


@pytest.mark.parametrize("same, pairs", [(True, False), (True, True), (False, False)])
def test_the_error_over_seeds_and_examples_covers_the_truth(same, pairs):
    rng, rounds, seeds, n = np.random.default_rng(7), 1000, 12, 150
    gain = 0.3
    hard = rng.normal(1.5, 1.5, 200_000)
    expected = [np.mean(1 / (1 + np.exp(-(hard + shift)))) for shift in (0, gain)]
    truth, hits, alone = expected[1] - expected[0], 0, 0
    for _ in range(rounds):
        first = rng.normal(1.5, 1.5, n)
        second = first if same else rng.normal(1.5, 1.5, n)
        a, b = answers(rng, seeds, first), answers(rng, seeds, second + gain)
        packed = [[np.packbits(row) for row in arm] for arm in (a, b)]
        one, other = (st.share_right(arm, n) for arm in packed)
        both = st.share_right((x & y for x, y in zip(*packed, strict=True)), n) if pairs else None
        over_seeds = (st.paired_t_test if pairs else st.welch_test)(a.mean(axis=1), b.mean(axis=1))
        error = st.example_error(one, other, same)
        shared = st.shared_variance(one, seeds, other, seeds, both)
        low, high = st.over_seeds_and_examples(over_seeds, error, shared, n).interval
        hits += low <= truth <= high
        alone += over_seeds.interval.low <= truth <= over_seeds.interval.high
    assert 0.93 <= hits / rounds <= 0.97 and alone < hits


def test_the_variance_shared_by_seeds_and_examples_is_theirs():
    rng = np.random.default_rng(8)
    a, b = rng.random((9, 40)) < 0.8, rng.random((9, 40)) < 0.7
    b[:, :20] = a[:, :20]
    one, other = a.mean(axis=0), b.mean(axis=0)
    alone = st.shared_variance(one, 9, other, 9)
    assert alone == pytest.approx((a.var(axis=0, ddof=1).sum() + b.var(axis=0, ddof=1).sum()) / 40**2 / 9)
    apart = (b.astype(int) - a).var(axis=0, ddof=1).sum() / 40**2 / 9
    assert st.shared_variance(one, 9, other, 9, (a & b).mean(axis=0)) == pytest.approx(apart)


# Verdicts.


def arms(a, b, seeds=None):
    return Arm("old", a, seeds), Arm("new", b, seeds)


def verdicts(a, *others, seeds=None, **more):
    candidates = [Arm(f"new{i}", b, seeds) for i, b in enumerate(others)]
    return compare_arms(Arm("old", a, seeds), candidates, **more)


@pytest.fixture
def quick(monkeypatch):
    """What does not decide, left out: thousands of verdicts in a second."""
    monkeypatch.setattr(st, "probability_of_improvement", lambda *a, **k: (0.5, st.Interval(0.4, 0.6)))
    monkeypatch.setattr(st, "almost_stochastic_dominance", lambda *a, **k: 0.5)
    monkeypatch.setattr(st, "permutation_test", lambda *a, **k: 0.5)
    monkeypatch.setattr(st, "sign_flip_test", lambda *a, **k: 0.5)
    monkeypatch.setattr(st, "brown_forsythe", lambda *a, **k: 0.5)


@pytest.mark.parametrize(
    "n, m, std, paired", [(2, 20, 1, False), (5, 5, 1, True), (20, 20, 2, False), (3, 9, 1, False)]
)
def test_equals_are_called_better_or_worse_at_most_as_often_as_allowed(quick, n, m, std, paired):
    rounds, said = 600, []
    for a, b in drawn(rounds, n, m, std=std, seed=9):
        said.append(verdicts(a, b, seeds=np.arange(n) if paired else None)[0].verdict)
    assert share(v in ("better", "worse") for v in said) <= at_most(0.05, rounds)


def test_several_equals_give_one_false_alarm_at_most_as_often_as_allowed(quick):
    rng, rounds = np.random.default_rng(10), 250
    alarms = share(
        any(c.verdict in ("better", "worse") for c in verdicts(*rng.normal(size=(6, 15)))) for _ in range(rounds)
    )
    assert alarms <= at_most(0.05, rounds)


def test_a_real_difference_is_found_as_often_as_computed(quick):
    found = share(verdicts(a, b)[0].verdict == "better" for a, b in drawn(800, 20, difference=0.91, seed=11))
    assert found == pytest.approx(st.achieved_power(20, 0.91, 1.0), abs=0.05)


def test_verdicts_in_words():
    rng = np.random.default_rng(12)
    low, high, same = rng.normal(90, 0.2, 40), rng.normal(91, 0.2, 40), rng.normal(90.02, 0.2, 40)
    (c,) = verdicts(low, high)
    assert verdict_sentence(c).startswith(
        "new0 is better than old: +1.0"
    ) and "Welch's t-test, 40 and 40 seeds, p < 0.001" in verdict_sentence(c)
    assert verdicts(high, low)[0].verdict == "worse"
    (c,) = verdicts(low, same)
    assert (
        c.verdict == "not shown"
        and f"about {c.needed:,} seeds an arm would settle it: {c.needed - 40:,} more" in verdict_sentence(c)
    )
    assert c.needed == st.seeds_needed(low.std(ddof=1), c.primary.value, other=same.std(ddof=1))
    few = verdicts(low[:4], same[:4])[0]
    assert few.verdict == "too few seeds" and verdict_sentence(few).startswith("Too few seeds to tell new0 from old")
    assert "With 4 seeds" in " ".join(notes(few)) and "below p = 0.029" in " ".join(notes(few))
    (c,) = verdicts(low, same, worth=0.5)
    assert c.is_small and verdict_sentence(c).startswith("No difference shown: new0 is within 0.5 of old")
    assert verdicts(low, same, worth=0.01)[0].verdict == "too few seeds"


def test_a_difference_lost_among_several_candidates_says_so():
    a, rng = np.random.default_rng(13).normal(size=40), np.random.default_rng(14)
    b = rng.normal(size=40)
    b = b - b.mean() + a.mean() + 2.2 * st.welch_test(a, b).error
    alone, (c, *_) = verdicts(a, b)[0], verdicts(a, b, a[::-1] + 0.01 * b, rng.normal(size=40))
    assert alone.verdict == "better" and c.verdict == "not shown" and "by Holm for 3 candidates" in verdict_sentence(c)
    assert c.needed > 40


def test_pairs_are_made_of_the_same_seeds_alone_and_words_say_so():
    a, b = next(drawn(1, 12, correlation=0.9, difference=0.5))
    seeds = np.arange(12)
    c = compare_arms(Arm("old", a, seeds), [Arm("new", b[::-1], seeds[::-1])])[0]
    assert c.paired.p == pytest.approx(stats.ttest_rel(b, a).pvalue) and c.p == c.paired.p
    assert "paired t-test, 12 pairs of seeds" in verdict_sentence(c) and "takes out what they share" in " ".join(
        notes(c)
    )
    part = compare_arms(Arm("old", a, seeds), [Arm("new", b[2:], seeds[2:])])[0]
    assert part.paired is None and "10 seeds are in both, of 12 and 10; pair=true" in " ".join(notes(part))
    forced = compare_arms(Arm("old", a, seeds), [Arm("new", b[2:], seeds[2:])], pair=True)[0]
    assert forced.paired.p == pytest.approx(stats.ttest_rel(b[2:], a[2:]).pvalue)
    assert compare_arms(Arm("old", a, seeds), [Arm("new", b, seeds)], pair=False)[0].paired is None
    with pytest.raises(InputError, match="0 seeds in common"):
        compare_arms(Arm("old", a, seeds), [Arm("new", b, seeds + 12)], pair=True)
    with pytest.raises(InputError, match="old has no column of seeds"):
        compare_arms(Arm("old", a), [Arm("new", b, seeds)], pair=True)


@pytest.mark.parametrize(
    "a, b, why",
    [
        ([90.0], [90.0, 91], "old has 1 score: one seed has no spread"),
        ([], [90.0, 91], "old has no score"),
        ([90.0, np.nan], [90.0, 91], "old: 1 scores are not finite"),
        ([90.0, 90], [91.0, 91], "all scores are 90 here and 91 there; nothing varies"),
        ([90.0, 91], [90.0, 91], "the same scores on each of 2 seeds: nothing varies"),
        ([90.0, 91], [90.5, 91.5], "differ by 0.5 on each of 2 seeds"),
    ],
)
def test_what_cannot_be_compared_is_told(a, b, why):
    with pytest.raises(InputError, match=why):
        compare_arms(Arm("old", np.array(a), np.arange(len(a))), [Arm("new", np.array(b), np.arange(len(b)))])


def test_one_arm_without_a_spread_is_compared_and_pointed_out():
    c = compare_arms(Arm("old", np.full(10, 90.0)), [Arm("new", A[:10])])[0]
    assert c.welch.p == pytest.approx(stats.ttest_1samp(A[:10], 90).pvalue)
    assert "All 10 scores of old are equal" in " ".join(notes(c)) and c.needed > 2


# The commands.


@pytest.fixture
def compared(invoked, tmp_path):
    return lambda *arguments: invoked(compare_main, f"results={tmp_path}/results", *arguments)


@pytest.fixture
def power(invoked, tmp_path):
    return lambda *arguments: invoked(power_main, f"results={tmp_path}/results", *arguments)


CONFIG = {"data": {"name": "dots"}, "optimizer": {"lr": 0.1}}


@pytest.fixture
def made(tmp_path):
    def make(name, accuracies, *, first=0, data="d1", torch="2.14.1", **config):
        study = Study.open(tmp_path / "results" / name, {**CONFIG, **config})
        for seed, accuracy in enumerate(accuracies, start=first):
            add_seed(study, seed, accuracy, torch=torch, more={"data_sha256": data})
        return study

    return make


@pytest.fixture
def two(made):
    rng = np.random.default_rng(0)
    made("slow", rng.normal(0.8, 0.015, 20))
    return made("fast", rng.normal(0.84, 0.02, 20), optimizer={"lr": 0.2}, torch="2.13.0")


def test_two_studies_are_compared(compared, two, tmp_path):
    code, out, err = compared("baseline=slow", "candidate=fast")
    assert code == 0, err
    assert out.startswith("fast is better than slow: +") and "paired t-test, 20 pairs of seeds, p < 0.001" in out
    for told in (
        "P(fast > slow) over pairs", "ε_min", "Hedges' g", "Brown-Forsythe", "Paired over seeds: both ran the same 20",
        "Paired over test examples: both were scored on the same 203", "Scores of one seed correlate",
        "optimizer.lr 0.1 / 0.2", "environment: packages.torch 2.14.1 / 2.13.0",
    ):  # fmt: skip
        assert told in out
    folder = tmp_path / "results" / "fast-against-slow"
    assert {path.name for path in folder.iterdir()} == {f"compare.{kind}" for kind in ("md", "csv", "png", "svg")}
    row = pd.read_csv(folder / "compare.csv").iloc[0]
    scores = {
        name: np.array([json.loads(p.read_text())["metrics"]["final"]["val/acc"] for p in sorted(seeds.iterdir())])
        for name in ("slow", "fast")
        if (seeds := tmp_path / "results" / name / "seeds")
    }
    assert row["difference"] == pytest.approx(100 * (scores["fast"].mean() - scores["slow"].mean()))
    assert row["p"] == pytest.approx(stats.ttest_rel(scores["fast"], scores["slow"]).pvalue)
    assert row["p_welch"] == pytest.approx(stats.ttest_ind(scores["fast"], scores["slow"], equal_var=False).pvalue)
    page = (folder / "compare.md").read_text()
    assert "**fast is better than slow" in page and "| optimizer.lr | 0.1 | 0.2 |" in page
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    compared("baseline=slow", "candidate=fast")
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before


def test_names_on_the_page_are_text_not_markup():
    text = comparison_page(compare_arms(Arm("a|b", A[:9]), [Arm("<i>_c_", B[:9])]))
    assert text.startswith(r"# &lt;i>\_c\_ against a\|b") and "<i>" not in text and "a|b" not in text


def test_several_candidates_and_other_test_sets(compared, two, made):
    made("other", np.random.default_rng(1).normal(0.8, 0.02, 12), data="d2")
    code, out, err = compared("baseline=slow", "candidate=[fast,other]")
    assert code == 0, err
    assert "by Holm for 2 candidates" in out.splitlines()[0] and "other" in out.splitlines()[1]
    assert "Unpaired over test examples: the records do not say" in out
    assert "Paired over test examples" in compared("baseline=slow", "candidate=other", "same_examples=true")[1]


def test_files_of_scores_are_compared(compared, tmp_path):
    pd.DataFrame({"seed": range(17), "acc": A[:17] / 100}).to_csv(tmp_path / "a.csv", index=False)
    pd.DataFrame({"seed": range(17), "acc": B / 100}).to_csv(tmp_path / "b.csv", index=False)
    files = f"baseline={tmp_path}/a.csv", f"candidate={tmp_path}/b.csv"
    code, out, err = compared(*files, "column=acc")
    assert code == 0, err
    assert "paired t-test, 17 pairs" in out.splitlines()[0] and "files of scores say nothing of single examples" in out
    row = pd.read_csv(tmp_path / "results" / "b-against-a" / "compare.csv").iloc[0]
    assert row["difference"] == pytest.approx((B.mean() - A[:17].mean()) / 100)  # as given, not scaled
    assert "Welch's t-test" in compared(*files, "column=acc", "seed_column=null")[1].splitlines()[0]


def test_seeds_may_be_names_and_of_another_kind_than_the_others(compared, tmp_path, two):
    for name, seeds in (("a", "xyz"), ("b", "zxy"), ("c", "102")):
        rows = [f"{seed}, {91 + i * i / 10 + len(name) * ord(seeds[0]) / 999}" for i, seed in enumerate(seeds)]
        (tmp_path / f"{name}.csv").write_text("\n".join(["seed, acc", *rows]))
    a, b, c = (f"{tmp_path}/{name}.csv" for name in "abc")
    assert "paired t-test, 3 pairs" in compared(f"baseline={a}", f"candidate={b}", "column=acc")[1].splitlines()[0]
    assert "0 seeds are in both, of 3 and 3" in compared(f"baseline={a}", f"candidate={c}", "column=acc")[1]
    assert "3 seeds are in both, of 20 and 3" in compared("baseline=slow", f"candidate={c}", "column=acc")[1]


def test_bad_input_is_one_or_two_lines_with_the_fix(compared, two, made, tmp_path):
    (tmp_path / "a.csv").write_text("seed,acc\n0,0.9\n1,0.91\n2,0.92\n")
    (tmp_path / "hole.csv").write_text("seed,acc\n0,0.9\n1,\n2,0.92\n")
    (tmp_path / "twice.csv").write_text("seed,acc\n0,0.9\n0,0.91\n")
    (tmp_path / "one.csv").write_text("acc\n0.9\n")
    (tmp_path / "head.csv").write_text("acc\n")
    (tmp_path / "empty.csv").write_text("")
    a, made_empty = f"{tmp_path}/a.csv", Study.open(tmp_path / "results" / "empty", CONFIG)
    add_seed(made_empty, 0, 0.1, status="failed")
    made("clash-against-slow", [0.8, 0.9])
    made("clash", [0.8, 0.9])
    made("alone", [0.8])
    for arguments, why in (
        ((), "baseline=?: name a study"),
        (("baseline=slow",), "candidate=?"),
        (("baseline=slow", "candidate=nope"), "candidate=nope: no such study"),
        (("baseline=slow", "candidate=slow"), "candidate=slow: it is named twice"),
        (("baseline=slow", "candidate=empty"), "no finished seed to report on"),
        (("baseline=slow", "candidate=alone"), "alone has 1 score: one seed has no spread"),
        (("baseline=slow", "candidate=clash"), "is a study itself"),
        (("baseline=slow", "candidate=fast", "pair=yes please"), "pair=yes please: true or false"),
        (("baseline=slow", "candidate=fast", "worth=-1"), "worth=-1: the smallest difference that matters"),
        (("baseline=[slow,fast]", "candidate=fast"), "one baseline"),
        ((f"baseline={a}", f"candidate={tmp_path}/b.csv", "column=acc"), "b.csv: no such file"),
        ((f"baseline={a}", f"candidate={a}", "column=acc"), "named twice"),
        ((f"baseline={a}", f"candidate={tmp_path}/hole.csv", "column=acc"), "acc is nan in row 2"),
        ((f"baseline={a}", f"candidate={tmp_path}/twice.csv", "column=acc"), "seed is 0 in two rows"),
        ((f"baseline={a}", f"candidate={tmp_path}/one.csv", "column=acc"), "one has 1 score"),
        ((f"baseline={a}", f"candidate={tmp_path}/head.csv", "column=acc"), "head has no score"),
        ((f"baseline={a}", f"candidate={tmp_path}/empty.csv", "column=acc"), "empty.csv: not a CSV file"),
        ((f"baseline={a}", f"candidate={tmp_path}/one.csv"), "column=?: name the column of scores"),
        ((f"baseline={a}", f"candidate={tmp_path}/one.csv", "column=f1"), "a.csv has no such column; it has seed, acc"),
        ((f"baseline={a}", "candidate=fast", "column=acc"), "a has scores within 0 to 1, fast has percent"),
        ((f"baseline={a}", "candidate=fast", "column=acc", "same_examples=true"), "multiply the former by 100"),
    ):
        code, out, err = compared(*arguments)
        assert code == 1 and out == "" and len(err.strip().splitlines()) <= 2, (arguments, err)
        assert why in err, (arguments, err)


def test_different_numbers_of_test_examples_cannot_be_the_same(compared, two, tmp_path):
    study = Study.open(tmp_path / "results" / "larger", CONFIG)
    for seed in range(5):
        add_seed(study, seed, 0.8 + 0.01 * seed, more={"test_examples": 400})
        np.save(study.correct_path(seed), np.packbits(np.arange(400) < 320 + 4 * seed))
    assert "the test sets differ (203 and 400 examples)" in compared("baseline=slow", "candidate=larger")[1]
    code, _, err = compared("baseline=slow", "candidate=larger", "same_examples=true")
    assert code == 1 and "slow was scored on 203 test examples, larger on 400" in err


def test_diverged_seeds_missing_predictions_and_outliers_are_told(compared, two):
    add_seed(two, 20, 0.1, status="diverged")
    add_seed(two, 21, 0.1)
    for path in (two.folder / "correct").iterdir():
        path.unlink()
    out = compared("baseline=slow", "candidate=fast")[1]
    assert "fast: 1 diverged (their loss was not finite) and not in these numbers: seed 20: out of luck (1)." in out
    assert "fast: The predictions of 21 of 21 seeds are missing" in out and "1 score of fast stands out" in out
    assert "predictions on single examples are missing" in out and "20 seeds are in both, of 20 and 21" in out


def test_neither_torch_nor_lightning_is_imported():
    script = (
        "import sys, seedspread.compare, seedspread.power; print(sorted({'torch', 'lightning'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True).stdout == "[]\n"


def test_power_from_numbers_and_from_a_study(power, two):
    out = power("std=0.23", "difference=0.1")[1]
    assert "84 seeds an arm show a difference of 0.1 with 80 % power." in out and "139 seeds" in out
    assert "20 seeds an arm show a difference of 0.209 with 80 % power." in power("std=0.23", "n=20")[1]
    out = power("study=fast", "difference=1", "n=20")[1]
    std, (low, high) = 0.0, (0.0, 0.0)
    scores = np.array([100 * two.record(s)["metrics"]["final"]["val/acc"] for s in range(20)])
    std, (low, high) = scores.std(ddof=1), st.std_interval(scores)
    needed = [st.seeds_needed(s, 1.0) for s in (std, low, high)]
    assert f"{needed[0]:,} ({needed[1]:,} to {needed[2]:,}) seeds an arm show a difference of 1 with 80 % power" in out
    assert "Bonferroni" in power("std=1", "n=20", "candidates=3")[1]


@pytest.mark.parametrize(
    "arguments, why",
    [
        ((), "give the std between seeds"),
        (("std=1",), "give the difference to show"),
        (("std=0", "n=5"), "std=0: a number above 0"),
        (("std=1", "n=1"), "n=1: a whole number of at least 2"),
        (("std=nan", "n=5"), "std=nan: a number above 0"),
        (("std=1", "difference=1e-9"), "less than a millionth of the std"),
        (("study=nope", "n=5"), "no study in"),
    ],
)
def test_power_refuses_in_one_line(power, arguments, why):
    code, out, err = power(*arguments)
    assert code == 1 and why in err and len(err.strip().splitlines()) == 1 and out == ""


def test_a_thousand_seeds_take_seconds():
    rng = np.random.default_rng(0)
    a, b = rng.normal(0, 1, 1000), rng.normal(0.1, 1, 1000)
    began = time.process_time()
    compare_arms(Arm("old", a), [Arm("new", b)])
    assert time.process_time() - began < 10


def test_ten_thousand_seeds_on_ten_thousand_examples_fit_into_memory():
    rng = np.random.default_rng(0)
    rows = rng.integers(0, 256, (100, 1250), dtype=np.uint8)
    tracemalloc.start()
    share_right = st.share_right((rows[i % 100] for i in range(10_000)), 10_000)
    both = st.share_right((rows[i % 100] & rows[-i % 100] for i in range(10_000)), 10_000)
    assert st.example_error(share_right, share_right[::-1], same=True) > 0
    assert st.shared_variance(share_right, 10_000, share_right, 10_000, both) > 0
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 10e6  # bytes, beside the 12.5 MB of packed rows that a study has
