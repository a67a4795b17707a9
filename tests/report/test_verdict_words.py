"""Verdicts in words."""

import numpy as np

from seedspread import statistics as st
from seedspread.decide.score_files import Arm
from seedspread.decide.verdict import compare_arms
from seedspread.report.verdict_words import notes, verdict_sentence


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
    assert (
        c.verdict == "not shown"
        and f"about {c.needed:,} seeds per arm detect it: {c.needed - 40:,} more" in verdict_sentence(c)
    )
    assert c.needed == st.seeds_needed(low.std(ddof=1), c.primary.value, other=same.std(ddof=1))
    few = verdicts(low[:4], same[:4])[0]
    assert few.verdict == "too few seeds" and verdict_sentence(few).startswith("Too few seeds to compare new0 with old")
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
