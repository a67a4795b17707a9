"""Decisions pair by pair: several tasks in one contest."""

import numpy as np
import pytest

from seedspread.decide.decision import open_contest
from seedspread.records.metric import Metric


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
