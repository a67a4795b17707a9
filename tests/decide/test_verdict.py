"""Verdicts: how often they are wrong, which seeds are paired, what cannot be compared."""

import time
from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

from seedspread import statistics as st
from seedspread.config.errors import InputError
from seedspread.decide.score_files import Arm
from seedspread.decide.verdict import compare, compare_arms, comparison_row, needs_caution, unpaired_test
from seedspread.records.metric import Metric
from seedspread.report.verdict_words import comparison_rows, notes, verdict_sentence
from tests.statistics.simulation import at_most, draw_arms, share

RNG = np.random.default_rng(3)
A, B = RNG.normal(90, 0.2, 24), RNG.normal(90.1, 0.3, 17)


def verdicts(a, *others, seeds=None, **more):
    candidates = [Arm(f"new{i}", b, seeds) for i, b in enumerate(others)]
    return compare_arms(Arm("old", a, seeds), candidates, **more)


@pytest.fixture
def quick(monkeypatch):
    """What does not decide, left out: thousands of verdicts in a second."""
    monkeypatch.setattr(st, "probability_of_improvement", lambda *a, **k: (0.5, st.Interval(0.4, 0.6)))
    monkeypatch.setattr(st, "almost_stochastic_order", lambda *a, **k: (0.5, 0.5))
    permute, none = st.permute_arms, st.permute_arms([1, 2], [1, 2])
    monkeypatch.setattr(st, "permute_arms", lambda a, b: none if len(a) == len(b) else permute(a, b))
    monkeypatch.setattr(st, "sign_flip_test", lambda *a, **k: 0.5)
    monkeypatch.setattr(st, "brown_forsythe", lambda *a, **k: 0.5)


@pytest.mark.parametrize(
    "n, m, std, paired", [(2, 20, 1, False), (5, 5, 1, True), (20, 20, 2, False), (3, 9, 1, False)]
)
def test_equals_are_called_better_or_worse_at_most_as_often_as_allowed(quick, n, m, std, paired):
    rounds, said = 600, []
    for a, b in draw_arms(rounds, n, m, std=std, seed=9):
        said.append(verdicts(a, b, seeds=np.arange(n) if paired else None)[0].verdict)
    assert share(v in ("better", "worse") for v in said) <= at_most(0.05, rounds)


def collapsing(rng, n):
    return np.where(rng.random(n) < 0.05, 10.0, rng.normal(90, 0.2, n))


SHAPES = {
    "normal": lambda rng, n: rng.normal(size=n),
    "skewed": lambda rng, n: rng.exponential(size=n),
    "very skewed": lambda rng, n: -rng.lognormal(size=n),
    "of 500 examples": lambda rng, n: rng.binomial(500, 0.94, n) / 5,
    "collapsing": collapsing,
}


def rejected_unpaired(draw, n, m, rounds, stds=(1, 1)):
    """How often two arms of one shape, of means 0 where their stds differ, are told apart."""
    rng = np.random.default_rng(n + m)
    arms = ((stds[0] * draw(rng, n), stds[1] * draw(rng, m)) for _ in range(rounds))
    # The permutations can but take back what Welch's test rejects: of the others they need not be known.
    welchs = ((a, b) for a, b in arms if st.welch_test(a, b, cautious=needs_caution(len(a), len(b))).p < 0.05)
    return sum(unpaired_test(a, b).p < 0.05 for a, b in welchs) / rounds


@pytest.mark.parametrize("shape", ["skewed", "very skewed"])
def test_skewed_arms_of_unequal_size_are_told_apart_at_most_as_often_as_allowed(shape):
    rounds = 1000
    assert rejected_unpaired(SHAPES[shape], 10, 100, rounds) <= at_most(0.05, rounds)


def check_upper_limit(rate, rounds):
    """The upper 95 % limit of a rate of 5 % that 20,000 rounds show is below 5.5 %."""
    found = stats.binomtest(round(rate * rounds), rounds, alternative="less").proportion_ci(0.95)
    assert found.high <= 0.055


@pytest.mark.slow
@pytest.mark.parametrize("n, m", [(5, 50), (10, 100)])
@pytest.mark.parametrize("shape", ["skewed", "very skewed", "of 500 examples", "collapsing"])
def test_the_upper_limit_of_that_rate(shape, n, m):
    check_upper_limit(rejected_unpaired(SHAPES[shape], n, m, 20_000), 20_000)


@pytest.mark.slow
@pytest.mark.parametrize("n, m", [(5, 50), (12, 100)])
@pytest.mark.parametrize("stds", [(3, 1), (1, 3)])
def test_the_upper_limit_of_that_rate_for_normal_scores_of_unequal_spread(stds, n, m):
    check_upper_limit(rejected_unpaired(SHAPES["normal"], n, m, 20_000, stds), 20_000)


@pytest.mark.parametrize("n, paired", [(3, True), (10, True), (20, False)])
def test_arms_that_differ_by_worth_are_called_equivalent_at_most_as_often_as_allowed(quick, n, paired):
    rounds, seeds = 600, np.arange(n) if paired else None
    arms = draw_arms(rounds, n, std=0.5, difference=1.0, seed=12)
    assert share(verdicts(a, b, seeds=seeds, worth=1.0)[0].verdict == "equivalent" for a, b in arms) <= at_most(
        0.025, rounds
    )
    arms = draw_arms(rounds, 40, std=0.5, seed=13)
    assert share(verdicts(a, b, worth=1.0)[0].verdict == "equivalent" for a, b in arms) > 0.9


def test_of_several_candidates_that_differ_by_worth_one_is_called_equivalent_at_most_as_often_as_allowed(quick):
    rng, rounds = np.random.default_rng(14), 250
    arms = ((rng.normal(size=15), rng.normal(1, 1, (5, 15))) for _ in range(rounds))
    alarms = share(any(c.verdict == "equivalent" for c in verdicts(a, *b, worth=1.0)) for a, b in arms)
    assert alarms <= at_most(0.025, rounds)


@pytest.mark.parametrize(
    "gain, worth, verdict, p_is_small",
    [
        (0.06, 0.5, "equivalent", True),  # sure, and smaller than worth
        (-0.06, 0.5, "equivalent", True),
        (0.0, 0.5, "equivalent", False),
        (0.06, None, "better", True),
        (0.06, 0.06, "better", True),  # its interval reaches beyond worth
        (0.06, 0.01, "better", True),
        (0.002, 0.001, "too few seeds", False),
    ],
)
def test_a_sure_gain_below_worth_is_equivalent(gain, worth, verdict, p_is_small):
    a = RNG.normal(90, 0.2, 30)
    b = a + np.tile([0.03, -0.03], 15) + gain
    seeds = np.arange(30)
    (c,) = compare_arms(Arm("old", a, seeds), [Arm("new", b, seeds)], worth=worth)
    assert c.verdict == verdict and (c.p < 0.05) == p_is_small
    if worth:
        assert (c.p_equivalent < 0.05) == (max(map(abs, c.primary.interval)) < worth)


def test_two_seeds_have_no_verdict_and_few_no_effect_size():
    few = np.array([90.0, 90.001])
    (c,) = verdicts(few, few + 5)
    assert c.p < 0.05 and c.verdict == "too few seeds"
    (c,) = verdicts(few, few[::-1] + 5, seeds=np.arange(2))
    assert c.verdict == "too few seeds"
    assert verdicts(np.append(few, 90.002), np.append(few, 90.002) + 5)[0].verdict == "better"
    for n in (2, 4, 5):
        rows = dict(comparison_rows(verdicts(A[:n], B[:n])[0]))
        assert ("effect size, Hedges' g" in rows) == (n == 5)


def collapsing_verdicts(rounds, *, n=20, difference=0.0, paired=True, m=None, seed=16):
    rng = np.random.default_rng(seed)
    for _ in range(rounds):
        a, b = collapsing(rng, n), collapsing(rng, m or n)
        b = np.where(b > 50, b + 0.2 * difference, b)
        yield verdicts(a, b, seeds=np.arange(n) if paired else None)[0]


@pytest.mark.parametrize("n, m, paired", [(20, 20, True), (20, 20, False), (10, 60, False)])
def test_equals_that_collapse_are_told_apart_at_most_as_often_as_allowed(quick, n, m, paired):
    rounds = 300
    found = collapsing_verdicts(rounds, n=n, m=m, paired=paired)
    assert share(c.means_verdict in ("better", "worse") for c in found) <= at_most(0.05, rounds)


def test_collapsed_seeds_do_not_hide_a_difference(quick):
    found = share(c.means_verdict == "better" for c in collapsing_verdicts(300, difference=1.0))
    assert found > 0.65  # 18 pairs: 0.78 on average; with the collapsed seeds in the test it is 0.3


def test_collapsed_seeds_are_counted_apart_and_pairs_are_those_healthy_in_both():
    seeds = np.arange(40)
    a, b = RNG.normal(90, 0.2, (2, 40))
    b += 1
    b[[3, 5, 7]] = 10
    a_healthy, b_healthy = np.delete(a, [3, 5, 7]), np.delete(b, [3, 5, 7])
    (c,) = compare_arms(Arm("A", a, seeds), [Arm("B", b, seeds)])
    assert c.p == pytest.approx(stats.ttest_rel(b_healthy, a_healthy).pvalue) and c.pairs == 37
    assert c.welch.value == pytest.approx(b_healthy.mean() - a.mean())
    assert (c.means_verdict, c.verdict) == ("better", "better among seeds that did not collapse")
    assert verdict_sentence(c).startswith("Among the seeds that did not collapse, B is better than A: +")
    assert "3 of 40 seeds of B collapsed (7.5 %, 95 % 1.6 to 20.4 %), none of A." in verdict_sentence(c)
    assert dict(comparison_rows(c))["collapsed seeds of B"] == "3 of 40 seeds (7.5 %, 95 % 1.6 to 20.4 %)"
    assert "both ran the same 40 seeds; 37 collapsed in neither" in " ".join(notes(c))
    row = comparison_row(c)
    assert (row["candidate_collapsed"], row["baseline_collapsed"]) == (3, 0)
    assert row["candidate_collapse_rate_high"] == pytest.approx(stats.beta.ppf(0.975, 4, 37))
    (c,) = compare_arms(Arm("B", b, seeds), [Arm("A", a, seeds)])
    assert c.verdict == "worse among seeds that did not collapse"
    b[:] -= 1
    for one, other in ((a, b), (b, a)):
        (c,) = compare_arms(Arm("A", one, seeds), [Arm("B", other, seeds)], worth=1)
        assert c.verdict == "equivalent among seeds that did not collapse"
    a[1] = 10
    (c,) = compare_arms(Arm("A", a, seeds), [Arm("B", b, seeds)], worth=1)
    assert c.verdict == "equivalent"
    assert "3 of 40 seeds of B collapsed (7.5 %, 95 % 1.6 to 20.4 %), 1 of 40 seeds (2.5 %" in verdict_sentence(c)


def test_several_equals_give_one_false_alarm_at_most_as_often_as_allowed(quick):
    rng, rounds = np.random.default_rng(10), 250
    alarms = share(
        any(c.verdict in ("better", "worse") for c in verdicts(*rng.normal(size=(6, 15)))) for _ in range(rounds)
    )
    assert alarms <= at_most(0.05, rounds)


def test_a_real_difference_is_found_as_often_as_computed(quick):
    found = share(verdicts(a, b)[0].verdict == "better" for a, b in draw_arms(800, 20, difference=0.91, seed=11))
    assert found == pytest.approx(st.achieved_power(20, 0.91, 1.0), abs=0.05)


def test_pairs_are_made_of_the_same_seeds_alone_and_words_say_so():
    a, b = next(draw_arms(1, 12, correlation=0.9, difference=0.5))
    seeds = np.arange(12)
    c = compare_arms(Arm("old", a, seeds), [Arm("new", b[::-1], seeds[::-1])])[0]
    assert c.paired.p == pytest.approx(stats.ttest_rel(b, a).pvalue) and c.p == c.paired.p
    assert "paired t-test, 12 pairs of seeds" in verdict_sentence(c) and "removes this shared variance" in " ".join(
        notes(c)
    )
    part = compare_arms(Arm("old", a, seeds), [Arm("new", b[2:], seeds[2:])])[0]
    assert part.paired is None and "10 seeds are in both, of 12 and 10; pair=true" in " ".join(notes(part))
    forced = compare_arms(Arm("old", a, seeds), [Arm("new", b[2:], seeds[2:])], pair=True)[0]
    assert forced.paired.p == pytest.approx(stats.ttest_rel(b[2:], a[2:]).pvalue)
    assert compare_arms(Arm("old", a, seeds), [Arm("new", b, seeds)], pair=False)[0].paired is None
    with pytest.raises(InputError, match="0 seeds in common"):
        compare_arms(Arm("old", a, seeds), [Arm("new", b, seeds + 12)], pair=True)
    with pytest.raises(InputError, match="old has no seed column"):
        compare_arms(Arm("old", a), [Arm("new", b, seeds)], pair=True)


@pytest.mark.parametrize(
    "a, b, why",
    [
        ([90.0], [90.0, 91], "old has 1 score: a comparison needs at least 2 seeds"),
        ([], [90.0, 91], "old has no score"),
        ([90.0, np.nan], [90.0, 91], "old: 1 scores are not finite"),
        ([90.0, 90], [91.0, 91], "all scores of old are 90 and all of new are 91: there is no variance"),
        ([90.0, 91], [90.0, 91], "the same scores on each of 2 seeds: there is no variance"),
        ([90.0, 91], [90.5, 91.5], "differ by 0.5 on each of 2 seeds"),
    ],
)
def test_what_cannot_be_compared_is_refused(a, b, why):
    with pytest.raises(InputError, match=why):
        compare_arms(Arm("old", np.array(a), np.arange(len(a))), [Arm("new", np.array(b), np.arange(len(b)))])


def test_one_arm_without_a_spread_is_compared_and_pointed_out():
    c = compare_arms(Arm("old", np.full(10, 90.0)), [Arm("new", A[:10])])[0]
    assert c.welch.p == pytest.approx(stats.ttest_1samp(A[:10], 90).pvalue)
    assert "All 10 scores of old are equal" in " ".join(notes(c))


def test_a_thousand_seeds_take_seconds():
    rng = np.random.default_rng(0)
    a, b = rng.normal(0, 1, 1000), rng.normal(0.1, 1, 1000)
    began = time.process_time()
    compare_arms(Arm("old", a), [Arm("new", b)])
    assert time.process_time() - began < 10


def negated(arm, metric):
    return replace(arm, scores=-arm.scores, metric=metric)


@pytest.mark.parametrize("n, m, paired", [(24, 17, False), (17, 17, True), (4, 4, True)])
def test_negated_scores_to_be_minimized_have_the_same_verdict(n, m, paired):
    seeds = np.arange(n) if paired else None
    old, new = Arm("old", A[:n], seeds), Arm("new", B[:m] + 0.4, seeds)
    loss = Metric.of("loss")
    for one, other in ((old, new), (new, old)):
        (c,) = compare_arms(one, [other])
        (mirrored,) = compare_arms(negated(one, loss), [negated(other, loss)])
        assert c.verdict == mirrored.verdict and c.p == mirrored.p
        assert mirrored.primary.value == -c.primary.value and mirrored.effect == pytest.approx(-c.effect)
        assert mirrored.improvement == c.improvement and mirrored.improvement_interval == c.improvement_interval
        assert (mirrored.dominance, mirrored.dominated) == pytest.approx((c.dominance, c.dominated))
        assert mirrored.detectable == c.detectable
    assert compare_arms(old, [new])[0].verdict == ("better" if n > 4 else "too few seeds")


def test_words_of_a_metric_to_be_minimized_show_differences_as_they_are():
    rmse = Metric.of("val/rmse")
    (c,) = compare_arms(Arm("old", A - 36, metric=rmse), [Arm("new", A - 37, metric=rmse)])
    assert verdict_sentence(c).startswith("new is better than old: val/rmse -1.000 (95 % -1.")
    assert "smaller is better; Welch's t-test" in verdict_sentence(c)
    assert "P(new < old) over seeds, Bouthillier's verdict" in dict(comparison_rows(c))
    assert c.improvement == pytest.approx(np.mean(np.subtract.outer(A - 37, A - 36) < 0))
    assert "points" not in " ".join([verdict_sentence(c), *notes(c), *(result for _, result in comparison_rows(c))])


@pytest.mark.parametrize(
    "other", [Metric.of("val/f1"), Metric.of("val/rmse", direction="maximize"), Metric.of("val/rmse", unit="seconds")]
)
def test_arms_of_different_metrics_are_refused(other):
    with pytest.raises(InputError, match=r"old is scored by val/rmse \(smaller is better\), new by .*metric=val/rmse"):
        compare_arms(Arm("old", A, metric=Metric.of("val/rmse")), [Arm("new", B, metric=other)])


def test_numbers_are_compared_in_the_direction_that_is_given():
    assert compare(A, B - 5).verdict == "worse" and compare(A, B - 5, direction="minimize").verdict == "better"
