"""The winner of a search on fresh seeds."""

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as hs
from scipy import stats

from seedspread.decide.arms import Arm
from seedspread.records.metric import Metric
from seedspread.records.study import Study
from seedspread.report.search_words import explain_judgement
from seedspread.search.judge import FEWEST_FRESH, Judgement, decide_pairs, judge_winner
from seedspread.search.trials import FIRST_FRESH_SEED, Trial, best_trial
from seedspread.statistics import Outcome
from tests.search.equal_configs import Made, shares
from tests.search.synthetic import NOISE, SEEDS, SPACE
from tests.statistics.simulation import at_most
from tests.synthetic import make_record

TRIAL = Trial("trial-000", {}, {0: 97.0})


def by_seed(scores):
    return {FIRST_FRESH_SEED + i: float(score) for i, score in enumerate(scores)}


def judge(baseline, candidate, trial=TRIAL, worth=None, diverged=(0, 0)):
    """The judgement by scores of fresh seeds, without a test set."""
    decision = decide_pairs(trial, by_seed(baseline), by_seed(candidate), worth)
    used = np.arange(decision.pairs)
    one, other = (
        Arm(name, np.array(scores[: len(used)]), used, metric=trial.metric)
        for name, scores in (("baseline", baseline), (trial.fresh_name, candidate))
    )
    return Judgement(trial, decision, (one, other), diverged)


def test_the_chosen_score_is_too_high_and_the_honest_one_is_not():
    errors = []
    for seed in range(400):
        rng = np.random.default_rng(seed)
        points = SPACE.sample_points(32, 0)
        trials = [Trial(f"t{i}", p, dict(enumerate(90 + rng.normal(0, NOISE, SEEDS)))) for i, p in enumerate(points)]
        winner = best_trial(trials)
        baseline, candidate = (90 + rng.normal(0, NOISE, 20) for _ in range(2))
        errors.append((winner.score - 90, candidate.mean() - 90))
    chosen, honest = np.mean(errors, axis=0)
    standard_error = NOISE / math.sqrt(20 * 400)
    assert abs(honest) < 3 * standard_error
    assert chosen == pytest.approx(2.07 * NOISE / math.sqrt(SEEDS), rel=0.05), "the expected maximum of 32 normal draws"
    j = judge(baseline, candidate, winner)
    assert j.decision.pairs == 20 and j.advice in ("keep", "more seeds")
    assert j.curse == pytest.approx(winner.score - candidate.mean())


@pytest.mark.parametrize(
    "difference, noise, worth, diverged, advice, most",
    [
        (1.0, 0.3, None, (0, 0), "adopt", 12),
        (-1.0, 0.3, None, (0, 0), "keep", 12),
        (0.01, 0.3, 0.6, (0, 0), "keep", 25),
        (0.01, 0.3, None, (0, 0), "more seeds", 40),
        (1.0, 0.3, None, (0, 2), "keep", 12),
        (0.2, 2.0, None, (0, 0), "more seeds", 40),
    ],
)
def test_a_winner_is_adopted_only_where_fresh_seeds_show_it_better(difference, noise, worth, diverged, advice, most):
    rng = np.random.default_rng(0)
    baseline, candidate = (90 + better + rng.normal(0, noise, 40) for better in (0.0, difference))
    j = judge(baseline, candidate, worth=worth, diverged=diverged)
    assert j.advice == advice and j.decision.pairs <= most
    assert (j.decision.pairs == 40) == (advice == "more seeds")


def test_no_difference_is_decided_on_before_so_many_pairs():
    rng = np.random.default_rng(0)
    far, equal = 90 + rng.normal(0, 1e-6, FEWEST_FRESH), 80 + rng.normal(0, 1e-6, FEWEST_FRESH)
    assert judge(equal, far).decision.decided_after == FEWEST_FRESH == 8
    assert judge(equal[:-1], far[:-1]).advice == "more seeds"


@given(hs.randoms(use_true_random=False), hs.integers(3, 40), hs.floats(-1, 1))
def test_the_verdict_depends_on_neither_the_order_of_completion_nor_on_later_seeds(random, seeds, difference):
    """Whatever is complete when the records are read: verdicts are the one of all pairs, or none yet."""
    rng = np.random.default_rng(random.randrange(2**32))
    one = by_seed(90 + rng.normal(0, 0.5, seeds))
    other = by_seed(90 + difference + rng.normal(0, 0.5, seeds))
    whole = decide_pairs(TRIAL, one, other, 0.8)
    ended = [(arm, seed) for arm in (0, 1) for seed in one]
    random.shuffle(ended)
    recorded = {}, {}
    for arm, seed in ended:
        recorded[arm][seed] = (one, other)[arm][seed]
        seen = decide_pairs(TRIAL, *recorded, 0.8)
        if seen.decided_after:
            assert (seen.outcome, seen.labels) == (whole.outcome, whole.labels)
        else:
            assert seen.pairs < whole.pairs or not whole.decided_after


def test_a_diverged_seed_is_a_pair_without_a_difference_and_no_seed_is_skipped():
    one, other = by_seed([90.0, 91, 92, 93]), by_seed([91.0, math.nan, 93.5, 94])
    decision = decide_pairs(TRIAL, one, other)
    assert decision.pairs == 4 and int(decision.look.healthy) == 3 and int(decision.look.collapsed[1]) == 1
    del other[FIRST_FRESH_SEED + 2]
    assert decide_pairs(TRIAL, one, other).pairs == 2


@pytest.fixture
def write_fresh(tmp_path):
    """Write records of fresh seeds on validation data, with a test set beside it: fractions, nan where one diverged."""

    def write(name, scores, config=None, first=FIRST_FRESH_SEED):
        study = Study.open(tmp_path / name, {"data": {"validation": 0.1}, "of": config or name})
        for seed, score in enumerate(scores, first):
            status = "diverged" if math.isnan(score) else "finished"
            record = make_record(study, seed, 0.5 if status == "diverged" else score, status=status)
            study.write(replace(record, final={**record.final, "test/acc": record.final["val/acc"] - 0.01}))
        return tmp_path

    return write


def test_the_records_decide_up_to_the_pair_that_decided(write_fresh):
    rng = np.random.default_rng(0)
    write_fresh("baseline", 0.8 + rng.normal(0, 0.01, 40))
    folder = write_fresh("trial-000-fresh", 0.86 + rng.normal(0, 0.01, 12))
    j = judge_winner(folder, TRIAL, 5)
    assert j.advice == "adopt" and j.decision.pairs < 12 and len(j.fresh) == len(j.again[1]) == j.decision.pairs
    assert j.has_test_set and j.chosen_on_test_among == 1 and j.fresh == pytest.approx(j.again[1] - 1)
    write_fresh("trial-000-fresh", [0.1] * 20, first=FIRST_FRESH_SEED + 12)  # whatever later seeds say
    later = judge_winner(folder, TRIAL, 5)
    assert (later.advice, later.decision.pairs, later.curse) == (j.advice, j.decision.pairs, j.curse)
    assert later.comparison.primary == j.comparison.primary


def test_seeds_that_diverged_with_the_winner_alone_keep_the_baseline(write_fresh):
    rng = np.random.default_rng(0)
    write_fresh("baseline", 0.8 + rng.normal(0, 0.01, 12))
    better = 0.9 + rng.normal(0, 0.01, 12)
    better[3] = math.nan
    j = judge_winner(write_fresh("trial-000-fresh", better), TRIAL, 5)
    assert j.diverged == (0, 1) and j.advice == "keep" and len(j.fresh) == 11


def test_a_winner_with_the_config_of_the_baseline_ends_after_three_pairs(write_fresh):
    write_fresh("baseline", [0.8, 0.81, 0.82, 0.83], "same")
    j = judge_winner(write_fresh("trial-000-fresh", [0.8, 0.81, 0.82, 0.83], "same"), TRIAL, 5)
    assert (j.decision.pairs, j.decision.outcome, j.advice) == (3, Outcome.EQUIVALENT, "keep")
    assert "trial-000-fresh is equivalent to baseline: both have the same config" in explain_judgement(j)


@pytest.mark.parametrize(
    "difference, advice, says",
    [
        (0.0, "keep", "trial-000-fresh and baseline have the same score on each of 4 seeds"),
        (0.5, "more seeds", "differs from baseline by +0.50 points on each of 4 seeds"),
        (-0.5, "keep", "differs from baseline by -0.50 points on each of 4 seeds"),
    ],
)
def test_a_winner_as_far_from_the_baseline_on_each_seed_is_judged_without_a_test(difference, advice, says):
    scores = np.array([95.25, 96.25, 96.5, 96])
    j = judge(scores, scores + difference)
    assert (j.comparison, j.advice) == (None, advice) and says in explain_judgement(j)
    assert j.curse == pytest.approx(97 - 96 - difference)


@pytest.mark.parametrize("on_test", [False, True], ids=["chosen by validation", "chosen by the test set"])
def test_the_best_of_32_equal_configs_is_rarely_adopted(on_test):
    found = shares(Made(0.9, 400, interaction=0.8, on_test=on_test), 100)
    assert found.adopted <= at_most(0.03, 100)
    assert found.by_seeds_alone >= 0.2, "configs differ on these examples by more than seeds explain"


def test_a_config_that_is_truly_better_is_adopted_and_soon():
    found = shares(Made(0.6, 2000, interaction=0.3, better=0.02), 30)
    assert found.adopted > 0.8 and found.pairs < 15


@pytest.mark.slow
@pytest.mark.parametrize("accuracy, examples, interaction", [(0.97, 360, 0.0), (0.57, 2000, 0.6)])
def test_the_best_of_32_equal_configs_is_adopted_in_at_most_5_percent_of_2000_searches(accuracy, examples, interaction):
    share = shares(Made(accuracy, examples, interaction), 2000).adopted
    assert share <= 0.05
    assert stats.binomtest(round(2000 * share), 2000).proportion_ci().high <= 0.065


@pytest.mark.parametrize("shift, advice", [(1.0, "adopt"), (-1.0, "keep")])
def test_a_winner_of_negated_scores_to_be_minimized_is_judged_alike(shift, advice):
    rng = np.random.default_rng(0)
    baseline, fresh = 90 + rng.normal(0, 0.3, 20), 90 + shift + rng.normal(0, 0.3, 20)
    loss = Trial("trial-000", {}, {0: -97.0}, metric=Metric.of("val/loss"))
    up, down = judge(baseline, fresh), judge(-baseline, -fresh, loss)
    assert up.advice == down.advice == advice and up.decision.pairs == down.decision.pairs
    assert up.curse == pytest.approx(down.curse) and up.curse == pytest.approx(97 - up.fresh.mean())
