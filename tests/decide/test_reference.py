"""Candidates against a published result and against a target, checked against SciPy."""

import math

import numpy as np
import pytest
from scipy import stats

from seedspread import statistics as st
from seedspread.config.errors import InputError
from seedspread.decide.arms import Arm
from seedspread.decide.reference import Published, compare_with_published, compare_with_target, reference_row
from seedspread.records.metric import Metric

SCORES = np.random.default_rng(5).normal(90.2, 0.25, 20)
MINE = Arm("mine", SCORES)
PUBLISHED = Published(90.02, 0.23, 10_000)


@pytest.mark.parametrize("published", [PUBLISHED, Published(90.1, 0.4, 12), Published(90.1, 0.4, 20)])
def test_a_published_result_is_compared_by_welchs_test(published):
    (c,) = compare_with_published(published, [MINE])
    known = SCORES.mean(), SCORES.std(ddof=1), 20, published.mean, published.std, published.n
    expected = stats.ttest_ind_from_stats(*known, equal_var=False)
    assert c.difference.p == pytest.approx(expected.pvalue) and c.p == c.difference.p
    errors = SCORES.var(ddof=1) / 20, published.std**2 / published.n
    degrees = sum(errors) ** 2 / (errors[0] ** 2 / 19 + errors[1] ** 2 / (published.n - 1))
    half = stats.t.isf(0.025, degrees) * math.sqrt(sum(errors))
    value = SCORES.mean() - published.mean
    assert (c.difference.value, *c.difference.interval) == pytest.approx((value, value - half, value + half))


def test_few_runs_against_many_have_the_degrees_of_freedom_of_the_smaller_arm():
    (c,) = compare_with_published(Published(90.0, 0.25, 5), [MINE])
    assert c.difference.degrees_of_freedom == 4
    known = SCORES.mean(), SCORES.std(ddof=1), 20, 90.0, 0.25, 5
    assert c.p > stats.ttest_ind_from_stats(*known, equal_var=False).pvalue


def test_a_std_that_divides_by_n_is_converted():
    runs = np.random.default_rng(7).normal(90, 0.3, 7)
    by_n, by_less = (Published(runs.mean(), runs.std(ddof=ddof), 7, ddof) for ddof in (0, 1))
    assert by_n.sample_std == pytest.approx(runs.std(ddof=1))
    p, expected = (compare_with_published(published, [MINE])[0].p for published in (by_n, by_less))
    assert p == pytest.approx(expected)


def test_ddof_is_asked_for_where_it_matters():
    given = {"mean": 90.0, "std": 0.2, "n": 99}
    with pytest.raises(InputError, match=r"std of 99 runs: divided by n \(ddof: 0, NumPy's default\) or n-1"):
        Published.read(given)
    assert Published.read({**given, "ddof": 0}) == Published(90.0, 0.2, 99, 0)
    assert Published.read({**given, "n": 100}) == Published(90.0, 0.2, 100, 1)


def test_verdicts_against_a_published_result():
    def verdict(mean, n=10_000, worth=None, **more):
        return compare_with_published(Published(mean, 0.23, n), [Arm("mine", SCORES, **more)], worth)[0].verdict

    mean = SCORES.mean()
    assert (verdict(mean - 0.3), verdict(mean + 0.3), verdict(mean)) == ("better", "worse", "not shown")
    assert verdict(mean - 0.3, metric=Metric.of("loss")) == "worse"
    assert verdict(mean, worth=0.2) == "equivalent" and verdict(mean - 0.3, worth=1) == "equivalent"
    assert verdict(mean, worth=0.1) == "too few seeds" and verdict(mean - 0.3, n=2) == "too few seeds"
    assert verdict(mean - 0.3, collapsed=1) == "better among seeds that did not collapse"
    assert verdict(mean + 0.3, collapsed=1) == "worse"


def test_the_smallest_difference_that_is_detected_has_80_percent_power():
    (c,) = compare_with_published(PUBLISHED, [MINE])
    alone = st.detectable_difference(SCORES.std(ddof=1), 20, pairs=True)  # the published mean is nearly exact
    assert c.detectable == pytest.approx(alone, rel=0.01)
    (t,) = compare_with_target(90.0, [MINE])
    error = SCORES.std(ddof=1) / math.sqrt(20)
    assert stats.nct.sf(stats.t.isf(0.05, 19), 19, t.detectable / error) == pytest.approx(0.8, abs=1e-4)


@pytest.mark.parametrize("target", [89.9, 90.15, 90.5])
def test_a_target_is_tested_one_sided(target):
    (c,) = compare_with_target(target, [MINE])
    for alternative, p in (("greater", c.p_reaches), ("less", c.p_misses)):
        assert p == pytest.approx(stats.ttest_1samp(SCORES, target, alternative=alternative).pvalue)
    upwards, downwards = (stats.ttest_1samp(SCORES, target, alternative=a) for a in ("greater", "less"))
    bounds = upwards.confidence_interval(0.95).low, downwards.confidence_interval(0.95).high
    assert c.bounds == pytest.approx(bounds)
    assert c.verdict == {89.9: "reaches", 90.15: "not shown", 90.5: "does not reach"}[target]
    (c,) = compare_with_target(target, [Arm("mine", SCORES, metric=Metric.of("loss"))])
    assert c.p_reaches == pytest.approx(downwards.pvalue)
    assert c.verdict == {89.9: "does not reach", 90.15: "not shown", 90.5: "reaches"}[target]


def test_a_target_is_wrongly_reached_or_missed_at_most_5_percent():
    scores = np.random.default_rng(6).normal(0, 1, (2000, 5))
    found = [compare_with_target(0.0, [Arm("mine", row)])[0].verdict for row in scores]
    for verdict in ("reaches", "does not reach"):
        assert 0.035 < found.count(verdict) / 2000 < 0.065


def test_several_candidates_are_adjusted_by_holm():
    arms = [Arm(name, SCORES - shift) for name, shift in (("a", 0.0), ("b", 0.14), ("c", 0.5))]
    target = SCORES.mean() - 0.15
    published, found = compare_with_published(PUBLISHED, arms), compare_with_target(target, arms)
    alone = np.array([[c.difference.p for c in published], [c.difference.p / 2 for c in found]])
    adjusted = np.array([[c.p for c in published], [c.p for c in found]])
    assert adjusted == pytest.approx(np.array([st.holm(row) for row in alone]))
    assert (adjusted > alone).any(axis=1).all()
    assert [c.verdict for c in found] == ["reaches", "not shown", "does not reach"]


def test_collapsed_seeds_of_the_candidate_are_left_out():
    arm = Arm("mine", np.append(SCORES, [10.0, 11.0]))
    for c, alone in (
        (compare_with_published(PUBLISHED, [arm])[0], compare_with_published(PUBLISHED, [MINE])[0]),
        (compare_with_target(89.9, [arm])[0], compare_with_target(89.9, [MINE])[0]),
    ):
        assert c.difference == alone.difference and c.candidate.collapsed == 2
        assert c.verdict == f"{alone.verdict} among seeds that did not collapse"
        row = reference_row(c)
        assert (row["candidate_collapsed"], row["candidate_seeds"]) == (2, 20)
    (c,) = compare_with_target(91.0, [arm])
    assert c.verdict == "does not reach"


def test_what_cannot_be_compared_is_refused():
    fractions, equal = Arm("fractions", SCORES / 100), Arm("equal", np.full(5, 90.0))
    percent = Arm("percent", SCORES, metric=Metric.of("val/acc"))
    for found, why in (
        (lambda: compare_with_published(PUBLISHED, [fractions]), "fractions has scores from 0 to 1, the published"),
        (lambda: compare_with_target(0.9, [MINE]), "target=0.9 has scores from 0 to 1, mine has percent"),
        (lambda: compare_with_target(90, [equal]), "all scores of equal are 90: there is no variance"),
        (lambda: compare_with_target(120, [percent]), "target=120: val/acc is not between 0 and 1; correct 120"),
        (lambda: compare_with_target(90, [Arm("one", SCORES[:1])]), "one has 1 score: a comparison needs at least 2"),
        (lambda: compare_with_published(Published(1e200, 1, 100), [MINE]), "1e[+]200 is too large"),
    ):
        with pytest.raises(InputError, match=why):
            found()
    assert compare_with_published(PUBLISHED, [equal])[0].difference.error == pytest.approx(0.0023)
