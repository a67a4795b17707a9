"""Plans of searches, nothing trained."""

import random

import numpy as np
import pytest
from hydra import compose, initialize_config_dir

from seedspread.execution import plan as execution_plan
from seedspread.records.requests import asked_seeds
from seedspread.records.study import Study
from seedspread.search.judge import decide_winner
from seedspread.search.plan import Agenda, Search
from seedspread.search.trials import FIRST_FRESH_SEED, Trial, best_trial, read_trials
from seedspread.statistics import Outcome
from tests.conftest import CONF
from tests.search.synthetic import CONFIG, write_search
from tests.synthetic import make_record


@pytest.fixture
def search(tmp_path):
    """A search of digits as composed with these overrides, nothing trained."""
    with initialize_config_dir(CONF, version_base="1.3"):
        yield lambda *overrides: Search(
            compose("tune", every := ["experiment=digits", f"results={tmp_path}/results", *overrides]), every
        )


def test_an_exploiting_search_is_one_of_a_space_and_a_seed(search):
    found = search("search_seed=1")
    space = found.space.describe()
    assert found.exploits(Trial("trial-000", {}, {}, search="exploit", space=space, search_seed=1))
    for other in ({"search_seed": 0}, {"search": "explore"}, {"space": {}}):
        mine = {"search": "exploit", "space": space, "search_seed": 1} | other
        assert not found.exploits(Trial("trial-000", {}, {}, **mine))


def test_the_best_is_of_all_in_the_folder_and_the_first_of_equals(search, tmp_path):
    found = search("study=made", f"results={tmp_path}")
    write_search(tmp_path, [(point, [[90.0], [90.0]]) for point in found.space.sample_points(2, 0)])
    agenda = Agenda(found)
    assert not agenda.started and agenda.best.name == best_trial(read_trials(found.folder)).name == "trial-000"


def test_a_key_that_the_command_line_adds_can_be_searched(search):
    space = "+space.optimizer.dampening={range:[0.0,0.5],scale:linear,role:nuisance}"
    found = search("+optimizer.dampening=0.1", space)
    assert found.compose_config("trial-000", {"optimizer.dampening": 0.25}).optimizer.dampening == 0.25
    assert found.compose_config("baseline", {}).optimizer.dampening == 0.1


def test_a_space_is_no_part_of_what_a_study_is(small):
    from seedspread.config.identity import study_identity
    from seedspread.config.resolve import resolve_config

    assert "space" in small() and "space" not in study_identity(resolve_config(small()))


def test_a_seed_of_a_search_that_another_command_trains_is_asked_for_again(search, monkeypatch):
    monkeypatch.setattr(execution_plan, "SECONDS_TO_ASK", 0.0)
    agenda = Agenda(search("trials=1", "seeds_per_trial=2", "fresh_seeds=0"))
    first, second = agenda.next_task(), agenda.next_task()
    assert agenda.is_done()
    for task in (first, second):
        Study.open(task.payload.folder, CONFIG)
    assert agenda.complete(first, None) is None and not agenda.failures
    assert not agenda.is_done() and agenda.next_task().payload.seeds == first.payload.seeds


GAINS = {"trial-000-fresh": 0.05, "trial-001-fresh": 0.05, "trial-001": 0.01}


def accuracy(name, seed):
    noise = np.random.default_rng([seed, len(name)]).normal(0, 0.01)
    return 0.8 + GAINS.get(name, 0.0) + noise


def train(agenda, workers, most=1000, failing=(), order=0):
    """Train what `agenda` hands out on so many workers, which finish in a random order; return what that was."""
    draw, running, handed = random.Random(order), [], []
    while len(handed) < most:
        while len(running) < workers and (task := agenda.next_task()):
            running.append(task)
            job = task.payload
            handed.append((job.folder.name, *job.seeds))
        if not running:
            assert agenda.is_done()
            break
        task = running.pop(draw.randrange(len(running)))
        (seed,), folder = task.payload.seeds, task.payload.folder
        study = Study.open(folder, {"name": folder.name})
        fails = (folder.name, seed) in failing
        score = accuracy(folder.name, seed)
        study.write(make_record(study, seed, score, test_examples=10_000, status="failed" if fails else "finished"))
        agenda.complete(task, "out of luck" if fails else None)
    return handed


def fresh_seeds(handed, name):
    return [seed for study, seed in handed if study == name]


FEW = ("trials=2", "seeds_per_trial=1", "fresh_seeds=30")


def test_fresh_seeds_end_with_the_verdict_whoever_is_faster(search):
    verdicts = set()
    for i, workers in enumerate((1, 2, 5, 5)):
        found = search(*FEW, f"study=search_{i}")
        handed = train(Agenda(found), workers, order=i)
        winner = best_trial(read_trials(found.folder))
        decision = decide_winner(found.folder, winner)
        verdicts.add((winner.name, decision.outcome, decision.pairs))
        for name in ("baseline", winner.fresh_name):
            seeds = fresh_seeds(handed, name)
            assert seeds == list(range(FIRST_FRESH_SEED, FIRST_FRESH_SEED + len(seeds)))
            assert decision.pairs <= len(seeds) < 30
            assert workers > 1 or len(seeds) == decision.pairs
            assert asked_seeds(found.folder / name) == seeds
        assert not train(Agenda(search(*FEW, f"study=search_{i}")), workers), "nothing is left of a decided search"
    assert len(verdicts) == 1 and verdicts.pop()[1] == Outcome.BETTER


@pytest.mark.parametrize("most", [1, 3, 6, 9, 14])
def test_an_interrupted_search_ends_with_the_same_verdict(search, most):
    whole, found = search(*FEW, "study=whole"), search(*FEW, "study=killed")
    train(Agenda(whole), 1)
    first = train(Agenda(found), 3, most, order=most)
    assert len(first) == pytest.approx(most, abs=2)
    train(Agenda(search(*FEW, "study=killed")), 2)
    winner = best_trial(read_trials(found.folder))
    one, other = (decide_winner(folder, winner) for folder in (whole.folder, found.folder))
    assert one.outcome == other.outcome == Outcome.BETTER and one.labels == other.labels
    assert np.array_equal(one.scores, other.scores)


def test_a_larger_budget_continues_an_undecided_search(search, monkeypatch):
    monkeypatch.setitem(GAINS, "trial-001-fresh", 0.0)
    few = ("trials=2", "seeds_per_trial=1")
    found = search(*few, "fresh_seeds=8")
    train(Agenda(found), 1)
    winner = best_trial(read_trials(found.folder))
    assert winner.name == "trial-001" and decide_winner(found.folder, winner).outcome == Outcome.UNDECIDED
    assert not train(Agenda(search(*few, "fresh_seeds=8")), 1)
    handed = train(Agenda(search(*few, "fresh_seeds=12")), 1)
    assert fresh_seeds(handed, "baseline") == fresh_seeds(handed, "trial-001-fresh") == [10008, 10009, 10010, 10011]
    handed = train(Agenda(search(*few, "fresh_seeds=40", "worth=2")), 1)
    decision = decide_winner(found.folder, winner, 2)
    assert decision.outcome == Outcome.EQUIVALENT and decision.pairs < 40


def test_no_fresh_seed_is_trained_after_one_that_failed(search):
    found = search(*FEW)
    handed = train(Agenda(found), 1, failing=[("trial-001-fresh", 10003)])
    assert max(fresh_seeds(handed, "baseline")) == max(fresh_seeds(handed, "trial-001-fresh")) == 10003
    winner = best_trial(read_trials(found.folder))
    assert decide_winner(found.folder, winner).pairs == 3
    handed = train(Agenda(search(*FEW)), 1)
    assert fresh_seeds(handed, "trial-001-fresh")[0] == 10003
    assert decide_winner(found.folder, winner).outcome == Outcome.BETTER
