"""Plans of searches, nothing trained."""

import pytest
from hydra import compose, initialize_config_dir

from seedspread.execution import plan as execution_plan
from seedspread.records.study import Study
from seedspread.search.plan import Agenda, Search
from seedspread.search.trials import Trial, best_trial, read_trials
from tests.conftest import CONF
from tests.search.synthetic import CONFIG, write_search


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
