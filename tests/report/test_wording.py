"""What is said of a study follows its numbers."""

import re
from dataclasses import replace

import numpy as np
import pytest

from seedspread.report import wording
from seedspread.report.study_page import write_reports
from tests.synthetic import CONFIG, EXAMPLES, add_seed, found_in, with_norms, words


def test_studies_too_small_to_compare_are_named(make_study):
    rng = np.random.default_rng(3)
    scratch = found_in(make_study(rng.normal(0.8, 0.02, 20), "scratch"))
    probe = found_in(make_study([0.8, 0.81, 0.8, 0.82], "probe", {**CONFIG, "backbone": {"name": "vit"}}))
    for told in (words(wording.pretraining([scratch, probe])), words(wording.spreads([scratch, probe]))):
        assert "probe has 4 finished seeds: at least 5 are needed" in told


@pytest.mark.draws
def test_one_seed_and_few_seeds_say_what_cannot_be_said(make_study):
    one = found_in(make_study([0.8], "one"))
    assert "a spread needs more seeds" in wording.headline(one) and "One seed cannot say" in words(
        wording.distribution(one)
    )
    assert "1 seed is too few" in words(wording.black_swans(one))
    four = found_in(make_study([0.8, 0.81, 0.79, 0.8], "four"))
    assert "4 seeds are too few to bound the std" in words(wording.distribution(four))
    assert "too few to say how they are shaped" in words(wording.distribution(four))
    assert "4 seeds are too few" in words(wording.black_swans(four))
    for study in (one, four):
        assert write_reports([study.scores.study])


@pytest.mark.parametrize("n", [2, 6, 12, pytest.param(20, marks=pytest.mark.draws)])
def test_equal_scores_make_a_report(make_study, n):
    study = make_study([58 / EXAMPLES] * n)
    told = words([*wording.distribution(found_in(study)), *wording.black_swans(found_in(study))])
    assert f"all {n} seeds score 28.57 %" in told and "nan" not in told and write_reports([study])
    assert "are equal to tell" not in told and (f"all {n} scores are equal: no seed is surprising." in told) == (n >= 5)


def test_an_ordinary_sample_has_no_black_swan_and_an_outlier_is_one(make_study):
    scores = np.random.default_rng(0).normal(0.8, 0.015, 40)
    ordinary = words(wording.black_swans(found_in(make_study(scores, "ordinary"))))
    assert "no black swan" in ordinary and "fewer than one seed in 14 " in ordinary
    low = words(wording.black_swans(found_in(make_study([*scores, 0.6], "low"))))
    assert "Seed 40 stands out" in low and "points below the median" in low and "no black swan" not in low
    three = words(wording.black_swans(found_in(make_study([*scores[:17], 0.1, 0.1, 0.1], "three"))))
    assert "Seed 17-19 stand out" in three
    high = words(wording.black_swans(found_in(make_study([*scores, 0.95], "high"))))
    assert "Seed 40 stands out" in high and "points above the median" in high


def test_the_seed_of_the_title_is_ranked(study):
    assert "3407" not in words(wording.black_swans(found_in(study)))
    add_seed(study, 3407, 0.99)
    assert "Seed 3407, of the paper's title" in (told := words(wording.black_swans(found_in(study))))
    assert "0 of 25 seeds are better" in told


def test_a_skewed_sample_is_told_so(make_study):
    scores = 0.9 - np.random.default_rng(0).exponential(0.02, 200)
    told = words(wording.distribution(found_in(make_study(scores))))
    assert "not normally distributed" in told and "the tail of low scores is the longer one" in told


@pytest.mark.parametrize(
    "spread, says",
    [
        (0.004, "pretraining shrinks the spread"),
        (0.08, "with pretraining the spread is larger"),
        (0.02, "these seeds do not show a difference"),
    ],
)
def test_pretraining_is_judged_where_a_probe_and_a_scratch_study_are_given(make_study, spread, says):
    rng = np.random.default_rng(3)
    scratch = found_in(make_study(rng.normal(0.8, 0.02, 40), "scratch"))
    probe = found_in(make_study(rng.normal(0.8, spread, 40), "probe", {**CONFIG, "backbone": {"name": "vit"}}))
    assert says in words(wording.pretraining([scratch, probe]))
    assert "needs a study on a pretrained backbone" in words(wording.pretraining([scratch]))
    assert "needs a study trained from scratch" in words(wording.pretraining([probe]))


CALM = [2.0] * 20


@pytest.mark.parametrize(
    "norms, status, says",
    [
        (CALM, "finished", "These norms call for neither warm-up nor clipping."),
        (
            [9.0, *CALM[1:]],
            "finished",
            "Early norms of 1 over 5 times the typical call for warm-up: `schedule=warmup",
        ),
        ([*CALM[1:], 9.0], "finished", "Later norms of 1 over 5 times .* clipping: `trainer.gradient_clip_val=1`."),
        ([*CALM[:9], None], "diverged", "Of 4 seeds 1 diverged .seed 3.. Later norms of 1 over 5 times"),
        ([None], "diverged", "Of 4 seeds 1 diverged .seed 3.. Early norms of 1 over 5 times"),
    ],
    ids=["calm", "early", "late", "diverged late", "diverged at once"],
)
def test_gradient_norms_say_whether_warm_up_or_clipping_is_due(make_study, norms, status, says):
    study = make_study([])
    for seed in range(4):
        add_seed(study, seed, 0.8 + 0.01 * seed, epochs=len(norms) if seed == 3 else 20)
        with_norms(study, seed, norms if seed == 3 else CALM, status=status if seed == 3 else "finished")
    (told,) = wording.stability(found_in(study))
    assert "gradient norms is 1 (median over epochs and" in told and re.search(says, told)
    if status == "finished":
        assert f"the first 2 epochs is {max(norms[:2]):.1f} times that, of the later ones {max(norms[2:]):.1f}" in told
    page, _ = write_reports([study])
    assert "Is the training stable?" in page.read_text() and page.with_name("gradient_norms.png").exists()


def test_a_study_that_has_warm_up_and_clipping_is_told_to_change_them(make_study):
    config = {**CONFIG, "trainer": {"gradient_clip_val": 4.0}, "schedule": {"warmup": 2}}
    study = make_study([0.8], config=config)
    with_norms(study, 0, [9.0, *[2.0] * 6, 9.0])
    (told,) = wording.stability(found_in(study))
    assert "longer than the 2 epochs it has" in told and "gradient_clip_val=1` in place of 4." in told


def test_without_gradient_norms_unstable_seeds_say_how_to_record_them(make_study, study):
    assert wording.stability(found_in(study)) == []
    assert "Is the training stable?" not in write_reports([study])[0].read_text()
    unstable = make_study([0.8, 0.81, 0.82], name="unstable")
    add_seed(unstable, 3, 0.1, status="diverged")
    record = unstable.record(1)
    restless = {**record.curves, "train/loss": [3.0, 2.0, 1.0, 2.1, 1.0, 0.9, 0.8, 0.7]}
    unstable.write(replace(record, curves=restless))
    (told,) = wording.stability(found_in(unstable))
    assert "of 4 seeds 1 diverged (seed 3) and the training loss of 1 rises again by half of its fall (seed 1)." in told
    assert "`callbacks=gradient_norms overwrite=true` records them" in told
