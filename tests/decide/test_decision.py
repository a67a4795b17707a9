"""Decisions pair by pair: the first look that decides, several tasks, exit codes, and what remains to train."""

import math

import numpy as np
import pytest

from seedspread import statistics as st
from seedspread.config.errors import InputError
from seedspread.decide.decision import ALPHA, Decision, exit_code, open_contest
from seedspread.records.metric import Metric
from seedspread.statistics import Outcome

ACC, LOSS = Metric.of("val/acc"), Metric.of("val/loss")


def decide(differences, metric=ACC, worth=None, **more) -> Decision:
    decision = Decision("a", "b", metric, worth, **more)
    for seed, apart in enumerate(differences):
        decision.add(seed, 90.0, 90.0 + apart)
    return decision


def test_the_first_look_that_decides_is_the_verdict_whatever_comes_later():
    gains = np.random.default_rng(0).normal(1, 0.5, 30)
    found = decide([*gains, *(-9 * np.ones(30) + np.arange(30) / 10)])
    assert found.outcome == Outcome.BETTER and found.decided_after is not None
    assert found.decided_after == next(
        n for n in range(st.FEWEST, 60) if st.look(np.zeros(n), gains[:n]).outcome != Outcome.UNDECIDED
    )
    assert float(found.look.low) > 0 > float(found.looks[-1].high)


def test_smaller_losses_are_better():
    drops = np.random.default_rng(0).normal(-1, 0.5, 30)
    assert decide(drops, LOSS).outcome == Outcome.BETTER
    assert decide(drops, ACC).outcome == Outcome.WORSE


def test_a_sure_gain_below_what_it_is_worth_is_equivalent():
    gains = np.random.default_rng(0).normal(0.2, 0.1, 40)
    assert decide(gains).outcome == Outcome.BETTER
    found = decide(gains, worth=1.0)
    assert found.outcome == Outcome.EQUIVALENT
    assert float(found.look.low) > -1 and float(found.look.high) < 1


def test_arms_of_one_config_are_equivalent_after_three_seeds():
    assert decide([0.0] * 2, identical=True).outcome == Outcome.UNDECIDED
    assert decide([0.0] * 3, identical=True).outcome == Outcome.EQUIVALENT
    assert decide([0.0] * 50).outcome == Outcome.UNDECIDED, "equal scores alone prove nothing"


def test_the_p_value_only_falls_and_is_the_level_where_it_decides():
    rng = np.random.default_rng(1)
    found = Decision("a", "b", ACC)
    before = 1.0
    for seed in range(60):
        found.add(seed, 0.0, rng.normal(0.4, 1))
        assert found.p <= before
        before = found.p
        if found.decided_after:
            assert found.p <= ALPHA
            break
    assert found.decided_after


def test_pairs_to_come_follow_from_worth_and_the_spread_never_from_the_difference():
    rng = np.random.default_rng(2)
    noise = rng.normal(0, 1, 10)
    assert decide(noise).pairs_to_come is None
    one, other = decide(noise, worth=1.0), decide(noise + 0.3, worth=1.0)
    assert one.pairs_to_come == other.pairs_to_come
    largest = st.std_upper_limit(noise.std(ddof=1), 10)
    assert one.pairs_to_come == st.pairs_needed(largest, 1.0) - 10


def run(contest, rng, gains, pairs=200):
    for seed in range(pairs):
        if contest.overall.decided_after:
            break
        contest.add(seed, [(rng.normal(), rng.normal() + gain) for gain in gains])
    return contest


def test_of_several_tasks_the_mean_decides_and_each_has_a_verdict():
    rng = np.random.default_rng(3)
    contest = run(open_contest(["a1", "a2", "a3"], ["b1", "b2", "b3"], [ACC] * 3), rng, [2.0, 2.0, 0.0])
    assert contest.overall.outcome == Outcome.BETTER
    assert [task.alpha for task in contest.tasks] == [ALPHA / 3] * 3
    seeds = contest.overall.pairs
    apart = np.mean([np.subtract(*task.scores[::-1]) for task in contest.tasks], axis=0)
    assert contest.overall.look.mean == pytest.approx(apart.mean()) and len(apart) == seeds
    verdicts = contest.task_verdicts()
    assert [p for _, p in verdicts] == st.holm(np.array([task.p for task in contest.tasks])).tolist()
    assert verdicts[2][0] == Outcome.UNDECIDED


def test_tasks_of_other_metrics_count_in_units_of_their_worth():
    rng = np.random.default_rng(4)
    with pytest.raises(InputError, match=r"which have no mean; give the worth of each"):
        open_contest(["a1", "a2"], ["b1", "b2"], [ACC, LOSS], 0.5)
    with pytest.raises(InputError, match="3 values for 2 tasks"):
        open_contest(["a1", "a2"], ["b1", "b2"], [ACC, LOSS], [1, 2, 3])
    contest = open_contest(["a1", "a2"], ["b1", "b2"], [ACC, LOSS], [2.0, 0.5])
    for seed in range(60):
        one, other = rng.normal(90, 1), rng.normal(1, 0.1)
        contest.add(seed, [(one, one + 1 + rng.normal() / 10), (other, other - 0.25 + rng.normal() / 10)])
    assert contest.overall.worth == 1.0
    assert float(contest.overall.looks[-1].mean) == pytest.approx((1 / 2.0 + 0.25 / 0.5) / 2, abs=0.05)
    assert contest.overall.outcome == Outcome.EQUIVALENT


def test_exit_codes():
    assert [exit_code([outcome]) for outcome in (Outcome.BETTER, Outcome.WORSE)] == [0, 10]
    assert [exit_code([outcome]) for outcome in (Outcome.EQUIVALENT, Outcome.UNDECIDED)] == [11, 12]
    assert exit_code([Outcome.WORSE, Outcome.BETTER]) == 0
    assert exit_code([Outcome.WORSE, Outcome.UNDECIDED]) == 12
    assert exit_code([Outcome.WORSE, Outcome.EQUIVALENT]) == 11


def test_a_diverged_seed_counts_for_the_rate_of_collapse_alone():
    rng = np.random.default_rng(5)
    found = Decision("a", "b", ACC)
    for seed in range(30):
        found.add(seed, rng.normal(90, 1), math.nan if seed == 4 else rng.normal(93, 1))
    assert found.means_outcome == Outcome.BETTER and found.outcome == Outcome.UNDECIDED
    assert tuple(map(int, found.look.collapsed)) == (0, 1)


def test_tasks_of_one_metric_are_decided_by_the_mean_of_their_scores() -> None:
    loss, rng = Metric.of("loss"), np.random.default_rng(0)
    contest = open_contest(["a", "b"], ["c", "d"], [loss, loss])
    for label, row in enumerate(rng.normal(1, 0.1, (8, 2, 2))):
        contest.add(label, row.tolist())
    found, tasks = contest.overall.scores, [task.scores for task in contest.tasks]
    assert found == pytest.approx(np.mean(tasks, axis=0))


def test_tasks_with_worths_are_decided_by_gains_in_units_of_them() -> None:
    accuracy, loss, rng = Metric.of("acc"), Metric.of("loss"), np.random.default_rng(0)
    contest = open_contest(["a", "b"], ["c", "d"], [accuracy, loss], [0.5, 0.1])
    for label, row in enumerate(rng.normal(1, 0.1, (8, 2, 2))):
        contest.add(label, row.tolist())
    (one, other), (task, second) = contest.overall.scores, contest.tasks
    gain = np.subtract(*task.scores[::-1]) / 0.5 - np.subtract(*second.scores[::-1]) / 0.1
    assert other - one == pytest.approx(gain / 2)
