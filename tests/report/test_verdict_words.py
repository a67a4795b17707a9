"""Verdicts in words."""

import math
from dataclasses import replace

import numpy as np
import pytest

from seedspread import statistics as st
from seedspread.decide.score_files import Arm
from seedspread.decide.verdict import compare_arms
from seedspread.records.metric import Metric
from seedspread.report.verdict_words import comparison_rows, notes, verdict_sentence


def verdicts(a, *others, seeds=None, **more):
    candidates = [Arm(f"new{i}", b, seeds) for i, b in enumerate(others)]
    return compare_arms(Arm("old", a, seeds), candidates, **more)


def test_verdicts_in_words():
    rng = np.random.default_rng(12)
    low, high, same = rng.normal(90, 0.2, 40), rng.normal(91, 0.2, 40), rng.normal(90.02, 0.2, 40)
    (c,) = verdicts(low, high)
    assert verdict_sentence(c).startswith(
        "new0 is better than old: +1.0"
    ) and "Welch's t-test, 40 and 40 seeds, p < 0.001" in verdict_sentence(c)
    assert verdicts(high, low)[0].verdict == "worse"
    (c,) = verdicts(low, same)
    assert c.verdict == "not shown"
    assert verdict_sentence(c).endswith(f"detect differences of at least {c.detectable:.3f} (power 80 %).")
    assert c.detectable == pytest.approx(
        st.detectable_difference(low.std(ddof=1), 40, other=same.std(ddof=1)), rel=1e-3
    )
    few = verdicts(low[:4], same[:4])[0]
    assert few.verdict == "too few seeds" and verdict_sentence(few).startswith("Too few seeds to compare new0 with old")
    assert "With 4 seeds" in " ".join(notes(few)) and "below p = 0.029" in " ".join(notes(few))
    for n, m in ((4, 4), (3, 5), (5, 3), (2, 6)):  # as far apart as can be
        (c,) = verdicts(90 + np.arange(n) / 100, 99 + np.arange(m) / 90)
        assert f"below p = {c.p_permutation:.2g}" in " ".join(notes(c))
    (c,) = verdicts(low, same, worth=0.5)
    assert verdict_sentence(c).startswith("new0 is equivalent to old, within 0.5: +0.0")
    (c,) = verdicts(low, high, worth=2)
    assert verdict_sentence(c).startswith("new0 is equivalent to old, better by less than 2: +1.0")
    (c,) = verdicts(high, low, worth=2)
    assert verdict_sentence(c).startswith("new0 is equivalent to old, worse by less than 2: -1.0")
    text = " ".join(notes(verdicts(low, high, worth=0.5)[0]))
    assert "A difference of at least 0.5, the smallest that matters, is shown." in text
    text = " ".join(notes(verdicts(low, high, worth=1)[0]))
    assert "A difference of at least 1, the smallest that matters, is not shown: it may be 0.9" in text
    assert verdicts(low, same, worth=0.01)[0].verdict == "too few seeds"


def test_a_difference_lost_among_several_candidates_says_so():
    a, rng = np.random.default_rng(13).normal(size=40), np.random.default_rng(14)
    b = rng.normal(size=40)
    b = b - b.mean() + a.mean() + 2.2 * st.welch_test(a, b).error
    alone, (c, *_) = verdicts(a, b)[0], verdicts(a, b, a[::-1] + 0.01 * b, rng.normal(size=40))
    assert alone.verdict == "better" and c.verdict == "not shown" and "by Holm for 3 candidates" in verdict_sentence(c)


def test_rows_say_which_arm_is_better():
    low, high = np.random.default_rng(1).normal([[90], [91]], 0.2, (2, 20))

    def rows(c):
        found = {what.split(",")[0].split("(")[0]: result for what, result in comparison_rows(c)}
        return found["P"], found["almost stochastic order"]

    for sign, metric in ((1, None), (-1, Metric.of("loss"))):
        one, other = (Arm(name, sign * scores, metric=metric) for name, scores in (("low", low), ("high", high)))
        wins, order = rows(compare_arms(one, [other])[0])
        assert wins == "1.000 (95 % 1.000 to 1.000): significant and meaningful: high is better"
        assert order == "0.000: high is better"
        wins, order = rows(compare_arms(other, [one])[0])
        assert wins == "0.000 (95 % 0.000 to 0.000): significant and meaningful: high is better"
        assert order == "0.000: high is better"
    wins, order = rows(verdicts(low, low[::-1] + 0.01)[0])
    assert wins.endswith("not significant") and order.endswith("no order shown")


def test_who_needs_more_seeds_is_sent_to_decide():
    rng = np.random.default_rng(15)
    a, b = rng.normal(90, 0.2, (2, 20))
    (c,) = verdicts(a, b)
    assert "decide" not in verdict_sentence(c) and "more" not in " ".join([verdict_sentence(c), *notes(c)])
    c = replace(c, more="seedspread decide baseline=a candidate=b")
    assert "`seedspread decide baseline=a candidate=b` may be asked again" in verdict_sentence(c)
    assert verdict_sentence(c).endswith("without rejecting too often.")
    (c,) = verdicts(a, b, worth=0.05)
    spread = math.hypot(a.std(ddof=1), b.std(ddof=1))
    assert c.planned_pairs == st.pairs_needed(st.std_upper_limit(spread, 20), 0.05)
    assert f"about {c.planned_pairs:,} seeds of each" in verdict_sentence(replace(c, more="seedspread decide"))
    (moved,) = verdicts(a, b + 0.03, worth=0.05)
    assert moved.planned_pairs == c.planned_pairs  # whatever difference was seen
