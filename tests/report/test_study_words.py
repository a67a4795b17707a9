"""What is said of a study follows its numbers."""

import re
from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

from seedspread.report import study_words
from seedspread.report.study_page import write_reports
from tests.synthetic import CONFIG, EXAMPLES, add_seed, found_in, with_norms, words


def test_studies_too_small_to_compare_are_named(make_study):
    rng = np.random.default_rng(3)
    scratch = found_in(make_study(rng.normal(0.8, 0.02, 20), "scratch"))
    probe = found_in(make_study([0.8, 0.81, 0.8, 0.82], "probe", {**CONFIG, "backbone": {"name": "vit"}}))
    for text in (words(study_words.pretraining([scratch, probe])), words(study_words.spreads([scratch, probe]))):
        assert "The spread of probe cannot be compared: 4 finished seeds, at least 5 are needed." in text


@pytest.mark.draws
def test_one_seed_and_few_seeds_say_what_cannot_be_said(make_study):
    one = found_in(make_study([0.8], "one"))
    assert "a spread needs at least 2 seeds" in study_words.headline(one) and "One seed has no distribution" in words(
        study_words.distribution(one)
    )
    assert "1 seed is too few" in words(study_words.black_swans(one))
    four = found_in(make_study([0.8, 0.81, 0.79, 0.8], "four"))
    assert "4 seeds are too few to bound the std" in words(study_words.distribution(four))
    assert "too few to test the shape" in words(study_words.distribution(four))
    assert "4 seeds are too few" in words(study_words.black_swans(four))
    for study in (one, four):
        assert write_reports([study.scores.study])


@pytest.mark.parametrize("n", [2, 6, 12, pytest.param(20, marks=pytest.mark.draws)])
def test_equal_scores_make_a_report(make_study, n):
    study = make_study([58 / EXAMPLES] * n)
    text = words([*study_words.distribution(found_in(study)), *study_words.black_swans(found_in(study))])
    assert f"all {n} seeds score 28.57 %" in text and "nan" not in text and write_reports([study])
    assert (f"all {n} scores are equal: no seed is surprising." in text) == (n >= 5)


def test_an_ordinary_sample_has_no_black_swan_and_an_outlier_is_one(make_study):
    scores = np.random.default_rng(0).normal(0.8, 0.015, 40)
    ordinary = words(study_words.black_swans(found_in(make_study(scores, "ordinary"))))
    assert "no black swan" in ordinary and "fewer than one seed in 14 " in ordinary
    low = words(study_words.black_swans(found_in(make_study([*scores, 0.6], "low"))))
    assert "seed 40 stands out" in low and "points below the median" in low and "no black swan" not in low
    three = words(study_words.black_swans(found_in(make_study([*scores[:17], 0.6, 0.6, 0.6], "three"))))
    assert "seed 17-19 stand out" in three
    high = words(study_words.black_swans(found_in(make_study([*scores, 0.95], "high"))))
    assert "seed 40 stands out" in high and "points above the median" in high


def test_collapsed_seeds_are_a_finding_of_their_own(make_study):
    scores = np.random.default_rng(0).normal(0.8, 0.015, 14)
    study = make_study([*scores, *[0.1] * 6])
    add_seed(study, 20, 0.1, status="diverged")
    found = found_in(study)
    assert found.collapsed == [14, 15, 16, 17, 18, 19, 20] and found.n == 14 and found.std < 3
    text = words(study_words.black_swans(found))
    low, high = stats.binomtest(7, 21).proportion_ci(0.95)
    assert f"7 of 21 seeds collapsed, 33.3 % (95 %: {100 * low:.1f} to {100 * high:.1f} %)" in text
    assert "seed 14-20." in text and "of the 14 seeds that did not" in text and "1 of them diverged" in text
    assert "surprising" not in text
    page, _ = write_reports([study])
    assert "7 of 21 seeds collapsed" in page.read_text() and len(page.with_name("seeds.csv").read_text().split()) >= 21
    assert study_words.collapses(found_in(make_study(scores, "healthy"))) == []


def test_the_seed_of_the_title_is_ranked(study):
    assert "3407" not in words(study_words.black_swans(found_in(study)))
    add_seed(study, 3407, 0.99)
    assert "Seed 3407, from the paper's title" in (text := words(study_words.black_swans(found_in(study))))
    assert "0 of 25 seeds are better" in text


def test_a_skewed_sample_is_reported(make_study):
    scores = 0.9 - np.random.default_rng(0).exponential(0.02, 200)
    text = words(study_words.distribution(found_in(make_study(scores))))
    assert "not normally distributed" in text and "the tail of low scores is the longer one" in text


@pytest.mark.parametrize(
    "spread, says",
    [
        (0.004, "Pretraining shrinks the spread: the std of probe"),
        (0.08, "With pretraining the spread is larger"),
        (0.02, "No difference shown"),
    ],
)
def test_pretraining_is_judged_where_a_probe_and_a_scratch_study_are_given(make_study, spread, says):
    rng = np.random.default_rng(3)
    scratch = found_in(make_study(rng.normal(0.8, 0.02, 40), "scratch"))
    probe = found_in(make_study(rng.normal(0.8, spread, 40), "probe", {**CONFIG, "backbone": {"name": "vit"}}))
    assert says in words(study_words.pretraining([scratch, probe]))
    assert "needs a study on a pretrained backbone" in words(study_words.pretraining([scratch]))
    assert "needs a study trained from scratch" in words(study_words.pretraining([probe]))


CALM = [2.0] * 20


@pytest.mark.parametrize(
    "norms, status, says",
    [
        (CALM, "finished", "Neither warm-up nor clipping is needed."),
        (
            [9.0, *CALM[1:]],
            "finished",
            "Use warm-up .`schedule=warmup_cosine`.: early norms of 1 seed exceed 5",
        ),
        (
            [*CALM[1:], 9.0],
            "finished",
            "Use clipping .`trainer.gradient_clip_val=1`.: later norms of 1 seed exceed 5 times",
        ),
        (
            [*CALM[:9], None],
            "diverged",
            "Of 4 seeds 1 diverged .seed 3.. Use clipping .*later norms of 1 seed exceed 5 times",
        ),
        ([None], "diverged", "Of 4 seeds 1 diverged .seed 3.. Use warm-up .*early norms of 1 seed exceed 5 times"),
    ],
    ids=["calm", "early", "late", "diverged late", "diverged at once"],
)
def test_gradient_norms_say_whether_warm_up_or_clipping_is_due(make_study, norms, status, says):
    study = make_study([])
    for seed in range(4):
        add_seed(study, seed, 0.8 + 0.01 * seed, epochs=len(norms) if seed == 3 else 20)
        with_norms(study, seed, norms if seed == 3 else CALM, status=status if seed == 3 else "finished")
    (text,) = study_words.stability(found_in(study))
    assert "of an epoch, is 1 (median over epochs and" in text and re.search(says, text)
    if status == "finished":
        assert f"the first 2 epochs is {max(norms[:2]):.1f} times that, of the later ones {max(norms[2:]):.1f}" in text
    page, _ = write_reports([study])
    assert "Is the training stable?" in page.read_text() and page.with_name("gradient_norms.png").exists()


def test_a_study_with_warm_up_and_clipping_is_advised_to_change_them(make_study):
    config = {**CONFIG, "trainer": {"gradient_clip_val": 4.0}, "schedule": {"warmup": 2}}
    study = make_study([0.8], config=config)
    with_norms(study, 0, [9.0, *[2.0] * 6, 9.0])
    (text,) = study_words.stability(found_in(study))
    assert "a warm-up longer than 2 epochs" in text and "gradient_clip_val=1` instead of 4)" in text


def test_without_gradient_norms_unstable_seeds_say_how_to_record_them(make_study, study):
    assert study_words.stability(found_in(study)) == []
    assert "Is the training stable?" not in write_reports([study])[0].read_text()
    unstable = make_study([0.8, 0.81, 0.82], name="unstable")
    add_seed(unstable, 3, 0.1, status="diverged")
    record = unstable.record(1)
    rising = {**record.curves, "train/loss": [3.0, 2.0, 1.0, 2.1, 1.0, 0.9, 0.8, 0.7]}
    unstable.write(replace(record, curves=rising))
    (text,) = study_words.stability(found_in(unstable))
    assert "Of 4 seeds 1 diverged (seed 3) and the training loss of 1 rises again by half of its fall (seed 1)." in text
    assert "`callbacks=gradient_norms overwrite=true` records them" in text
