"""The same runs in the files of each logger: every value is the one that was logged."""

import numpy as np
import pytest

from seedspread.records.logs.seeds import find_seeds
from tests.records.logs.conftest import HERE

EXACT = {
    "lightning": ["lightning_logs"],
    "wandb_history": ["wandb_history.csv"],
    "wandb_charts": ["wandb_chart_val_loss.csv", "wandb_chart_val_acc.csv", "wandb_runs.csv"],
    "wandb_runs": ["wandb_runs.csv"],
}


def last(curve):
    return curve[-1][1]


def points(run, metric):
    """The curve of a run as pairs of step and value."""
    return [(step, value) for step, value in zip(run.steps, run.curves[metric], strict=True) if value is not None]


def check(runs, truth, stored=float, curves=True):
    """Every curve, final value and seed is as at the source; `stored`: what a format keeps of a number."""
    seeds = find_seeds(runs).values
    assert sorted(seeds) == sorted(truth)
    for run, seed in zip(runs, seeds, strict=True):
        expected = {name: curve for name, curve in truth[seed].items() if name != "epoch"}
        assert run.final.keys() == expected.keys()
        for metric, curve in expected.items():
            assert run.final[metric] == stored(last(curve)), metric
            if curves and len(curve) > 1:
                assert points(run, metric) == [(step, stored(value)) for step, value in curve], metric


@pytest.mark.parametrize("name", ["lightning", "wandb_history"])
def test_double_precision_and_steps_are_kept(read, truth, name):
    check(read(*(HERE / file for file in EXACT[name])), truth)


def test_mlflow_keeps_double_precision_and_steps(read, truth, mlflow_db):
    before = mlflow_db.read_bytes()
    check(read(mlflow_db), truth)
    assert mlflow_db.read_bytes() == before and len(list(mlflow_db.parent.iterdir())) == 1, "read only"


def test_tensorboard_keeps_single_precision(read, truth):
    runs = read(HERE / "tensorboard")
    check(runs, truth, stored=lambda value: float(np.float32(value)))
    assert any(run.final["val_loss"] != last(truth[seed]["val_loss"]) for seed, run in enumerate(runs))


@pytest.mark.parametrize("name", ["wandb_charts", "wandb_runs"])
def test_exports_of_wandb_keep_double_precision_and_its_own_steps(read, truth, name):
    runs = read(*(HERE / file for file in EXACT[name]))
    check(runs, truth, curves=False)
    if name == "wandb_charts":
        for seed, run in enumerate(runs):
            assert [v for _, v in points(run, "val_loss")] == [value for _, value in truth[seed]["val_loss"]]
            assert set(run.curves) == {"val_loss", "val_acc"}, "the table of runs has last values alone"


@pytest.mark.parametrize("paths", [["lightning_logs"], ["tensorboard"], EXACT["wandb_charts"]])
def test_hyperparameters_are_those_of_the_run(read, paths):
    for seed, run in enumerate(read(*(HERE / file for file in paths))):
        assert run.hparams == {"hidden": 16, "lr": 0.1, "seed": seed}


def test_hyperparameters_of_mlflow_are_text(read, mlflow_db):
    assert read(mlflow_db)[3].hparams == {"hidden": "16", "lr": "0.1", "seed": "3"}


def test_epochs_count_from_0_where_a_logger_says_them(read, mlflow_db):
    for paths in ([HERE / "lightning_logs"], [HERE / "tensorboard"], [HERE / "wandb_history.csv"], [mlflow_db]):
        run = read(*paths)[0]
        at = dict(zip(run.steps, run.epochs, strict=True))
        assert [at[step] for step, _ in points(run, "val_loss")] == [0, 1, 2], paths


def test_a_value_that_is_logged_once_has_no_curve(read):
    assert all("test_acc" in run.final and "test_acc" not in run.curves for run in read(HERE / "lightning_logs"))


def test_wall_time_is_that_of_the_log(read):
    for run in read(HERE / "tensorboard"):
        assert run.ended.startswith("2026-") and 0 < run.seconds < 60


def test_folders_patterns_and_single_files_name_the_same_runs(read):
    expected = [run.final for run in read(HERE / "lightning_logs")]
    assert [run.final for run in read(HERE / "lightning_logs" / "version_*")] == expected
    assert [
        run.final for run in read(*(HERE / f"lightning_logs/version_{i}/metrics.csv" for i in range(5)))
    ] == expected
