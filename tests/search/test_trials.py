"""Trials and the folder of a search."""

from dataclasses import replace

import pytest

from seedspread.config.errors import InputError
from seedspread.records.metric import Metric
from seedspread.records.study import Study
from seedspread.search.trials import Trial, best_trial, check_baseline
from tests.search.synthetic import SPACE, write_search
from tests.synthetic import make_record


def test_a_config_that_trained_nothing_does_not_bar_the_way(tmp_path):
    folder = write_search(tmp_path, [])
    folder.mkdir()
    check_baseline(folder, {"trainer": {"max_epochs": 0}})
    check_baseline(folder, {"trainer": {"max_epochs": 20}})
    write_search(tmp_path, [(SPACE.sample_points(1, 0)[0], [[90.0]])])
    check_baseline(folder, {"trainer": {"max_epochs": 20}})
    with pytest.raises(InputError, match="max_epochs: 20 there, 21 now"):
        check_baseline(folder, {"trainer": {"max_epochs": 21}})
    with pytest.raises(InputError, match=r"6 now; 2 more\)"):
        check_baseline(folder, {f"key{i}": i for i in range(1, 8)})
    place, config = folder / "search.yaml", {"trainer": {"max_epochs": 20}}
    kept = place.read_bytes()
    for damage in (b"", b"x: 1", b"{["):
        place.write_bytes(damage)
        with pytest.raises(InputError, match="search.yaml is damaged"):
            check_baseline(folder, config)
    place.unlink()
    with pytest.raises(InputError, match="holds records but no search.yaml"):
        check_baseline(folder, config)
    place.write_bytes(kept)
    check_baseline(folder, config)
    (tmp_path / "file").write_text("")
    for begin in (lambda f: check_baseline(f, {}), lambda f: Trial("trial-000", {}, {}).write(f)):
        with pytest.raises(InputError, match="cannot write to .*file"):
            begin(tmp_path / "file" / "made-search")


def test_a_trial_counts_as_diverged_only_where_all_its_seeds_did():
    assert Trial("a", {}, {}, diverged=(0, 1)).has_diverged
    partly = Trial("b", {}, {1: 90.0}, diverged=(0,))
    assert not partly.has_diverged and partly.score == 90.0
    assert best_trial([Trial("a", {}, {}, (0,)), partly, Trial("c", {}, {0: 90.0})]) is partly


def test_a_trial_is_read_as_it_was_described(tmp_path):
    trial = Trial("trial-007", {"optimizer.lr": 0.0312}, {}, search="exploit", space={})
    trial.write(tmp_path / trial.name)
    assert Trial.read(tmp_path / trial.name) == trial


RMSE = Metric.of("val/rmse")


def test_the_best_of_trials_to_be_minimized_has_the_smallest_mean():
    trials = [Trial(name, {}, {0: score}, metric=RMSE) for name, score in (("a", 54.3), ("b", 53.9), ("c", 53.9))]
    assert best_trial(trials) is trials[1] and trials[1].line().split() == ["b", "53.90"]


def test_a_trial_is_scored_by_the_metric_of_its_study(tmp_path):
    Trial("trial-000", {"lr": 1.0}, {}).write(tmp_path / "trial-000")
    study = Study.open(tmp_path / "trial-000", {}, metric=RMSE)
    for seed, value in enumerate((54.0, 55.0)):
        study.write(replace(make_record(study, seed), curves={"val/rmse": [value] * 8}, final={"val/rmse": value}))
    trial = Trial.read(study.folder)
    assert trial.scores == {0: 54.0, 1: 55.0} and trial.metric == RMSE and trial.better == -54.5
    assert trial.line().split()[:4] == ["trial-000", "54.50", "±", "0.71"]
