"""The winner of a search on fresh seeds."""

import math

import numpy as np
import pytest
from scipy import stats

from seedspread.decide.score_files import Arm
from seedspread.records.metric import Metric
from seedspread.report.search_words import explain_judgement
from seedspread.search.judge import Judgement
from seedspread.search.trials import Trial, best_trial
from tests.search.equal_configs import Made, shares
from tests.search.synthetic import NOISE, SEEDS, SPACE
from tests.statistics.simulation import at_most


def test_the_chosen_score_is_too_high_and_the_honest_one_is_not():
    errors = []
    for seed in range(400):
        rng = np.random.default_rng(seed)
        points = SPACE.sample_points(32, 0)
        trials = [Trial(f"t{i}", p, dict(enumerate(90 + rng.normal(0, NOISE, SEEDS)))) for i, p in enumerate(points)]
        winner = best_trial(trials)
        fresh = np.arange(20)
        baseline, candidate = (Arm(n, 90 + rng.normal(0, NOISE, 20), fresh) for n in ("baseline", "fresh"))
        errors.append((winner.score - 90, candidate.scores.mean() - 90))
    chosen, honest = np.mean(errors, axis=0)
    standard_error = NOISE / math.sqrt(20 * 400)
    assert abs(honest) < 3 * standard_error
    assert chosen == pytest.approx(2.07 * NOISE / math.sqrt(SEEDS), rel=0.05), "the expected maximum of 32 normal draws"
    j = Judgement.of(winner, baseline, candidate)
    assert j.curse == pytest.approx(winner.score - candidate.scores.mean()) and j.decision in ("keep", "more seeds")


@pytest.mark.parametrize(
    "difference, noise, seeds, diverged, decision",
    [
        (1.0, 0.3, 20, (0, 0), "adopt"),
        (-1.0, 0.3, 20, (0, 0), "keep"),
        (0.01, 0.3, 20, (0, 0), "keep"),
        (1.0, 0.3, 20, (0, 2), "keep"),
        (1.0, 2.0, 3, (0, 0), "more seeds"),
    ],
)
def test_a_winner_is_adopted_only_where_fresh_seeds_show_it_better(difference, noise, seeds, diverged, decision):
    rng = np.random.default_rng(0)
    baseline, candidate = (
        Arm(name, 90 + better + rng.normal(0, noise, seeds), np.arange(seeds))
        for name, better in (("baseline", 0.0), ("trial-000-fresh", difference))
    )
    trial = Trial("trial-000", {}, {0: 91.0})
    assert Judgement.of(trial, baseline, candidate, diverged).decision == decision


def test_winner_and_baseline_are_told_on_the_fresh_seeds_that_both_finished():
    baseline = Arm("baseline", np.array([10.0, 90, 91, 93]), np.array([0, 1, 2, 3]))
    candidate = Arm("trial-000-fresh", np.array([92.0, 92, 96, 50]), np.array([1, 2, 3, 4]))
    j = Judgement.of(Trial("trial-000", {}, {0: 97.0}), baseline, candidate)
    assert j.baseline.tolist() == [90, 91, 93] and j.fresh.tolist() == [92, 92, 96]
    assert j.fresh_score - j.baseline.mean() == pytest.approx(j.comparison.primary.value)
    assert j.curse == pytest.approx(97 - 280 / 3)


@pytest.mark.parametrize(
    "difference, decision, says",
    [
        (0.0, "keep", "trial-000-fresh and baseline have the same score on each of 2 seeds"),
        (0.4, "more seeds", "differs from baseline by +0.40 points on each of 2 seeds"),
        (-0.4, "keep", "differs from baseline by -0.40 points on each of 2 seeds"),
    ],
)
def test_a_winner_as_far_from_the_baseline_on_each_seed_is_judged_without_a_test(difference, decision, says):
    scores = np.array([95.2, 96.2])
    arms = (Arm(n, s, np.array([0, 1])) for n, s in (("baseline", scores), ("trial-000-fresh", scores + difference)))
    j = Judgement.of(Trial("trial-000", {}, {0: 97.0}), *arms)
    assert (j.comparison, j.decision) == (None, decision) and says in explain_judgement(j)
    assert j.curse == pytest.approx(97 - 95.7 - difference)


@pytest.mark.parametrize("on_test", [False, True], ids=["chosen by validation", "chosen by the test set"])
def test_the_best_of_32_equal_configs_is_rarely_adopted(on_test):
    made = Made(0.9, 400, interaction=0.8, on_test=on_test)
    adopted, by_seeds_alone = shares(made, 100)
    assert adopted <= at_most(0.03, 100)
    assert by_seeds_alone >= (0.3 if on_test else 0.08), "configs differ on these examples by more than seeds explain"


def test_a_config_that_is_truly_better_is_adopted():
    assert shares(Made(0.6, 2000, interaction=0.3, better=0.02), 30)[0] > 0.8


@pytest.mark.slow
@pytest.mark.parametrize("accuracy, examples, interaction", [(0.97, 360, 0.0), (0.57, 2000, 0.6)])
def test_the_best_of_32_equal_configs_is_adopted_in_at_most_5_percent_of_2000_searches(accuracy, examples, interaction):
    share, _ = shares(Made(accuracy, examples, interaction), 2000)
    assert share <= 0.05
    assert stats.binomtest(round(2000 * share), 2000).proportion_ci().high <= 0.065


@pytest.mark.parametrize("shift, decision", [(1.0, "adopt"), (-1.0, "keep")])
def test_a_winner_of_negated_scores_to_be_minimized_is_judged_alike(shift, decision):
    rng, seeds, loss = np.random.default_rng(0), np.arange(20), Metric.of("val/loss")
    baseline, fresh = 90 + rng.normal(0, 0.3, 20), 90 + shift + rng.normal(0, 0.3, 20)

    def judged(sign, metric):
        arms = (Arm(name, sign * s, seeds, metric=metric) for name, s in (("baseline", baseline), ("fresh", fresh)))
        return Judgement.of(Trial("t", {}, {0: sign * 92.0}, metric=metric), *arms)

    up, down = judged(1, Metric.of("val/x")), judged(-1, loss)
    assert up.decision == down.decision == decision
    assert up.curse == pytest.approx(down.curse) and up.curse == pytest.approx(92 - fresh.mean())
