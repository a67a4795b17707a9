"""Verdicts against a published result and against a target, in words and as a page."""

import numpy as np

from seedspread.decide.arms import Arm
from seedspread.decide.reference import Published, compare_with_published, compare_with_target
from seedspread.records.metric import Metric
from seedspread.report.document import render_markdown
from seedspread.report.reference_page import format_reference, reference_document
from seedspread.report.reference_words import reference_notes, reference_sentence

SPREAD = np.random.default_rng(8).normal(0, 0.2, 20)
SPREAD -= SPREAD.mean()
ACCURACY = Metric.of("val/acc")


def against(mean, scores=SPREAD, n=10_000, ddof=1, worth=None, **more):
    return compare_with_published(Published(90.02, 0.23, n, ddof), [Arm("mine", mean + scores, **more)], worth)[0]


def reaching(target, mean=94.2, scores=SPREAD, **more):
    return compare_with_target(target, [Arm("mine", mean + scores, **more)])[0]


def test_verdicts_against_a_published_result():
    text = reference_sentence(against(90.52, metric=ACCURACY))
    assert text.startswith("mine is better than the published 90.02 ± 0.23 %: +0.500 points (95 % +0.395 to +0.605")
    assert text.endswith("; Welch's t-test, 10,000 published and 20 seeds, p < 0.001).")
    assert reference_sentence(against(89.5)).startswith("mine is worse than the published 90.02 ± 0.23: -0.520 (95 %")
    text = reference_sentence(against(90.03))
    assert text.startswith("No difference shown between mine and the published 90.02 ± 0.23: +0.010")
    assert text.endswith(f"These seeds detect differences of at least {against(90.03).detectable:.3f} (power 80 %).")
    text = reference_sentence(against(90.03, worth=0.3))
    assert text.startswith("mine is equivalent to the published 90.02 ± 0.23, within 0.3: +0.010")
    assert "better by less than 1:" in reference_sentence(against(90.52, worth=1))
    few = reference_sentence(against(90.03, np.array([-0.2, 0.0, 0.2])))
    assert few.startswith("Too few seeds to compare mine with the published") and "df of the smaller arm" in few


def test_verdicts_against_a_target():
    text = reference_sentence(reaching(94.0, metric=ACCURACY))
    assert text.startswith("mine reaches 94 %: mean 94.200 % (95 % bound at least 94.1")
    assert text.endswith("; one-sided t-test, 20 seeds, p < 0.001).")
    text = reference_sentence(reaching(94.4))
    assert text.startswith("mine does not reach 94.4: mean 94.200 (95 % bound at most 94.2") and "p < 0.001" in text
    c = reaching(94.21)
    text = reference_sentence(c)
    assert text.startswith("mine is not shown to reach 94.21: mean 94.200 (95 % bound at least 94.1")
    assert "p = 0.58" in text and f"of a mean that is {c.detectable:.3f} better than the target (power 80 %)" in text
    assert reference_sentence(reaching(94, scores=SPREAD[:2])).startswith(
        "Too few seeds to say whether mine reaches 94"
    )
    text = reference_sentence(reaching(94.4, metric=Metric.of("val/loss")))
    assert text.startswith("mine reaches val/loss 94.4: mean 94.200 (95 % bound at most 94.2")
    assert "; smaller is better;" in text
    text = reference_sentence(reaching(94.0, metric=Metric.of("val/loss")))
    assert text.startswith("mine does not reach val/loss 94: mean 94.200 (95 % bound at least 94.1")


def test_an_open_verdict_advises_no_more_seeds():
    for c in (against(90.03), against(90.03, SPREAD[:3]), reaching(94.21), reaching(94, scores=SPREAD[:2])):
        text = " ".join([reference_sentence(c), *reference_notes(c), format_reference(c)])
        assert "more" not in text.replace("more than 20 robust", "") and "decide" not in text


def test_several_candidates():
    arms = [Arm("one", 94.08 + SPREAD), Arm("other", 93.98 + SPREAD), Arm("third", 93 + SPREAD)]
    one, other, third = map(reference_sentence, compare_with_target(94, arms))
    assert "by Holm for 3 candidates" in one and "by Holm for 3 candidates" in third
    assert "by Holm" not in other and "is not shown to reach" in other  # Holm's p is of the other side
    page = render_markdown(reference_document(compare_with_target(94, arms)))
    assert page.startswith("# one and other and third against 94") and "## third" in page
    assert "the mean is not better than the target" in page


def test_collapsed_seeds_have_a_sentence_and_the_published_ones_are_unknown():
    scores = np.append(SPREAD, [-50.0])
    for c in (against(90.52, scores), reaching(94.0, scores=scores)):
        text = reference_sentence(c)
        assert text.startswith("Among the seeds that did not collapse, mine ")
        assert text.endswith(" 1 of 21 seeds of mine collapsed (4.8 %, 95 % 0.1 to 23.8 %).")
        assert "more than 20 robust standard deviations" in " ".join(reference_notes(c))
    for c in (against(90.52, scores), against(90.52)):
        assert "Whether published runs collapsed is unknown" in " ".join(reference_notes(c))


def test_notes():
    text = " ".join(reference_notes(against(90.52, n=5, ddof=0, worth=0.1)))
    assert "The published std 0.23 divides by n=5; that of a sample, by n-1, is 0.2571." in text
    assert "With 5 published runs the t-test assumes that these are normally distributed." in text
    assert "A difference of at least 0.1, the smallest that matters, is shown." in text
    assert "With 5 seeds the t-test assumes normally" in " ".join(reference_notes(reaching(94, scores=SPREAD[:5])))
    assert "long tail of lower scores" in " ".join(reference_notes(reaching(94)))
    assert "long tail of higher scores" in " ".join(reference_notes(reaching(94, metric=Metric.of("loss"))))
    outlier = reference_notes(reaching(94, scores=np.append(SPREAD, 3.0)))
    assert "1 score of mine is an outlier (Rosner's test): means and t-tests are sensitive to outliers." in outlier


def test_the_page_has_the_published_row():
    page = render_markdown(reference_document([against(90.52, metric=ACCURACY)]))
    assert page.startswith("# mine against the published 90.02 ± 0.23 %")
    assert "| published | 10,000 | 90.02 ± 0.23 | unknown | unknown |" in page and "| mine | 20 | 90.5" in page
