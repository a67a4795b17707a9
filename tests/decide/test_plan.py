"""The plan of a decision: the order of its seeds, how far ahead it trains, and when it ends."""

from dataclasses import dataclass, field

import numpy as np
import pytest

from seedspread.decide.decision import open_contest
from seedspread.decide.plan import FEWEST_AHEAD, DecisionPlan
from seedspread.decide.trained_arms import TrainedArm
from seedspread.records.metric import ACCURACY
from seedspread.records.record import Status
from tests.synthetic import CONFIG, add_seed


@dataclass
class Trained:
    """A plan, and workers that train its tasks in any order."""

    plan: DecisionPlan
    arms: dict
    rng: np.random.Generator
    handed: list = field(default_factory=list)

    def run(self, workers, scores):
        running = []
        while running or not self.plan.is_done():
            while len(running) < workers and (task := self.plan.next_task()):
                running.append(task)
                self.handed.append((task.payload.folder.name, *task.payload.seeds))
            if not running:
                return
            task = running.pop(self.rng.integers(len(running)))
            for seed in task.payload.seeds:
                accuracy = scores(task.payload.folder.name, seed)
                more = {} if accuracy is not None else {"status": Status.DIVERGED}
                add_seed(self.arms[task.payload.folder.name], seed, accuracy or 0.5, **more)
            assert self.plan.complete(task, None) is None


@pytest.fixture
def planned(make_study):
    def plan(names=("a", "b"), budget=40, worth=None, rng=0):
        studies = {name: make_study([], name, {**CONFIG, "optimizer": {"lr": i}}) for i, name in enumerate(names)}
        arms = [TrainedArm(name, None, study.folder) for name, study in studies.items()]
        contests = [open_contest([names[0]], [arm.name], [ACCURACY], worth) for arm in arms[1:]]
        tasks = [[(arms[0], arm)] for arm in arms[1:]]
        plan = DecisionPlan(list(zip(contests, tasks, strict=True)), range(budget), 600, lambda contest: None)
        return Trained(plan, studies, np.random.default_rng(rng)), contests

    return plan


def accuracies(name, seed, gain=0.05):
    return np.random.default_rng([ord(name), seed]).normal(0.8 + gain * (name == "b"), 0.02)


@pytest.mark.parametrize("workers", [1, 2, 7, 100])
def test_the_verdict_depends_on_the_order_of_seeds_alone(planned, tmp_path, workers):
    found = []
    for rng in (workers, workers + 1):
        trained, (contest,) = planned(rng=rng)
        trained.run(workers, accuracies)
        found.append((contest.overall.decided_after, contest.overall.outcome, contest.overall.labels))
        for folder in tmp_path.glob("results/*/seeds"):
            for path in folder.iterdir():
                path.unlink()
    assert found[0] == found[1]
    after = found[0][0]
    assert after and found[0][2] == list(range(after))
    assert len(trained.handed) <= 2 * max(2 * after, after + FEWEST_AHEAD)
    if workers == 1:
        assert len(trained.handed) == 2 * after, "arms take turns"


def test_never_more_pairs_ahead_than_were_looked_at(planned):
    trained, _ = planned(budget=1000)
    first = [trained.plan.next_task() for _ in range(40)]
    assert sum(task is not None for task in first) == 2 * FEWEST_AHEAD


def test_a_candidate_that_lost_trains_no_further(planned):
    trained, contests = planned(("a", "b", "c"), budget=30)

    def scores(name, seed):
        return accuracies(name, seed, 0.0) - 0.3 * (name == "c")

    trained.run(2, scores)
    spent = {name: sum(handed[0] == name for handed in trained.handed) for name in "abc"}
    assert contests[1].overall.decided_after and not contests[0].overall.decided_after
    assert spent["a"] == spent["b"] == 30 and spent["c"] <= contests[1].overall.decided_after + 2


def test_tasks_train_the_same_seeds_until_their_mean_is_decided(make_study):
    studies = {
        name: make_study([], name, {**CONFIG, "optimizer": {"lr": i}}) for i, name in enumerate(("a", "A", "b", "B"))
    }
    arms = {name: TrainedArm(name, None, study.folder) for name, study in studies.items()}
    contest = open_contest(["a", "A"], ["b", "B"], [ACCURACY] * 2)
    plan = DecisionPlan(
        [(contest, [(arms["a"], arms["b"]), (arms["A"], arms["B"])])], range(60), 600, lambda contest: None
    )
    trained = Trained(plan, studies, np.random.default_rng(0))
    trained.run(3, accuracies)
    after = contest.overall.decided_after
    assert after and all(task.pairs == after for task in contest.tasks)
    assert {name: len(arm.scores) for name, arm in arms.items()}.keys() == studies.keys()
    assert max(len(arm.scores) for arm in arms.values()) <= after + 3


def test_a_diverged_seed_is_a_result(planned):
    trained, (contest,) = planned(budget=9)
    trained.run(2, lambda name, seed: None if (name, seed) == ("b", 3) else accuracies(name, seed))
    assert contest.overall.pairs == 9 and int(contest.overall.look.collapsed[1]) == 1


def test_a_failed_seed_ends_the_plan(planned):
    trained, (contest,) = planned()
    task = trained.plan.next_task()
    assert trained.plan.complete(task, "out of luck") == "out of luck"
    assert trained.plan.next_task() is None and trained.plan.is_done()
    assert trained.plan.failure == f"{task.name}: out of luck" and contest.overall.pairs == 0


def test_two_decisions_on_the_same_arms_share_the_seeds_and_both_end(planned, monkeypatch):
    """Each finds seeds that the other holds or has recorded, also behind seeds that are too far ahead to train."""
    monkeypatch.setattr("seedspread.execution.plan.SECONDS_TO_ASK", 0.0)
    (ours, (contest,)), (theirs, (other,)) = planned(budget=14), planned(budget=14)
    held: dict[str, object] = {}
    for trained in (ours, theirs):
        for queue in trained.plan._queues.values():
            name = queue.folder.name
            monkeypatch.setattr(queue._observer, "is_free", lambda seed, name=name: f"{name} {seed}" not in held)
    running: list[tuple] = []
    for step in range(2000):
        trained = (ours, theirs)[step % 2]
        if len(running) < 4 and (task := trained.plan.next_task()):
            held |= dict.fromkeys(f"{task.payload.folder.name} {seed}" for seed in task.payload.seeds)
            running.append((trained, task))
        if running and step % 3 == 0:
            trained, task = running.pop(int(ours.rng.integers(len(running))))
            for seed in task.payload.seeds:
                name = task.payload.folder.name
                if ours.arms[name].record(seed) is None:
                    add_seed(ours.arms[name], seed, accuracies(name, seed, 0.0))
                del held[f"{name} {seed}"]
            assert trained.plan.complete(task, None) is None
        if not running and ours.plan.is_done() and theirs.plan.is_done():
            break
    assert contest.overall.pairs == other.overall.pairs == 14
