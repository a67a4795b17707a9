"""`seedspread import`: logs become a study, all of them or none."""

import shutil

import pytest
import yaml

from seedspread.commands.cli import main
from seedspread.config.overrides import gather_paths
from seedspread.config.schema import Import
from seedspread.records.logs.find import read_runs
from seedspread.records.logs.imported import prepare_import
from seedspread.records.logs.table import Wanted
from seedspread.records.metric import Metric
from seedspread.records.record import Status
from seedspread.records.scores import Scores
from seedspread.records.study import Study
from tests.records.logs.conftest import HERE, read_truth, unpack_store
from tests.synthetic import CONFIG


@pytest.fixture
def logs(tmp_path, monkeypatch):
    """A copy of the folders of Lightning's CSVLogger, in the working directory."""
    shutil.copytree(HERE / "lightning_logs", tmp_path / "lightning_logs")
    monkeypatch.chdir(tmp_path)
    return tmp_path / "lightning_logs"


@pytest.fixture
def bring(invoked):
    """Import into the study old; without a report, which takes seconds."""

    def type_import(*arguments, study="old", metric="val_loss"):
        named = [f"metric.name={metric}"] if metric else []
        return invoked(main, "import", *arguments, f"study={study}", *named, "report=false")

    return type_import


@pytest.fixture
def mlflow_db(tmp_path):
    return unpack_store(tmp_path)


def records(study):
    return {path.name: path.read_bytes() for path in study.folder.glob("seeds/*.json")}


def test_what_a_user_types_and_sees(invoked, logs):
    truth = read_truth()
    folders = [f"lightning_logs/version_{i}" for i in range(5)]
    code, out, err = invoked(main, "import", *folders, "study=old", "metric.name=val_loss", "metric.direction=min")
    assert code == 0, err
    assert "lightning: 5 runs, seed 0-4" in out and "seeds: seed of each run" in out
    assert "settings that all share: hidden=16, lr=0.1" in out
    assert "old: imported from lightning logs, not reproducible from here." in out
    assert "seedspread report study=old" in out and "seedspread compare baseline=old" in out
    study = Study.load("results/old")
    assert study.is_imported and study.config["import"] == {"format": "lightning", "hparams": {"hidden": 16, "lr": 0.1}}
    assert study.metric == Metric.of("val_loss", "minimize")
    scores = Scores.of(study)
    assert scores.final.tolist() == [truth[seed]["val_loss"][-1][1] for seed in range(5)]
    assert scores.by("test_acc").final.tolist() == pytest.approx([100 * truth[s]["test_acc"][-1][1] for s in range(5)])
    page = (study.folder / "report" / "report.md").read_text()
    assert "imported from lightning logs, not reproducible from here" in page and "seedspread reproduce" not in page
    assert "src.train" not in page and "different environments" not in page
    record = study.record(3)
    assert record.command is None and not record.streams and record.seconds == {}
    assert record.environment == {"imported_from": "lightning_logs/version_3", "format": "lightning"}


def test_all_formats_give_the_same_study(bring, logs, mlflow_db):
    sources = [["lightning_logs"], [str(HERE / "wandb_history.csv")], [str(mlflow_db)], [str(HERE / "tensorboard")]]
    found = []
    for i, paths in enumerate(sources):
        assert bring(*paths, study=f"s{i}")[0] == 0
        found.append(Scores.of(Study.load(f"results/s{i}")))
    first = found[0]
    for scores in found[1:]:
        exact = scores.study.config["import"]["format"] != "tensorboard"
        tolerance = 1e-9 if exact else 1e-7
        assert scores.final == pytest.approx(first.final, rel=tolerance, abs=0)
        assert scores.points.tolist() == first.points.tolist() and scores.axis == first.axis
        for metric, curves in first.curves.items():
            assert scores.curves[metric] == pytest.approx(curves, rel=tolerance, abs=0, nan_ok=True)


def test_the_same_logs_again_change_nothing_and_more_add_seeds(bring, logs):
    assert bring("lightning_logs/version_0", "lightning_logs/version_1")[0] == 0
    study = Study.load("results/old")
    before = records(study)
    code, out, _ = bring(str(logs / "version_1"), "lightning_logs/version_0")
    assert code == 0 and "2 of them are in old already, with the same values" in out
    assert records(study) == before
    assert bring("lightning_logs")[0] == 0
    after = records(study)
    assert len(after) == 5 and {name: after[name] for name in before} == before


def test_a_seed_with_other_values_is_refused_and_nothing_is_written(bring, logs):
    assert bring("lightning_logs/version_0")[0] == 0
    before = records(Study.load("results/old"))
    file = logs / "version_0" / "metrics.csv"
    file.write_text(file.read_text().replace("0.71,", "0.72,"))
    code, _, err = bring("lightning_logs")
    assert code == 1 and "lightning_logs/version_0: seed 0 is in results/old with another curves" in err
    assert records(Study.load("results/old")) == before


def edit(logs, number, old, new, file="metrics.csv"):
    path = logs / f"version_{number}" / file
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


def drop_last_epoch(logs):
    path = logs / "version_2" / "metrics.csv"
    path.write_text("".join(line for line in path.read_text().splitlines(True) if not line.startswith("2,")))


def last_value(logs, number):
    row = [line for line in (logs / f"version_{number}" / "metrics.csv").read_text().splitlines() if line[-1] != ","][
        -1
    ]
    return row.rpartition(",")[2]


@pytest.mark.parametrize(
    "damage, arguments, says",
    [
        (
            drop_last_epoch,
            [],
            "unequal steps: val_loss has 3 values up to 62 in 4 of 5 runs; in lightning_logs/version_2 2 values up",
        ),
        (
            lambda logs: edit(logs, 2, "seed: 2", "seed: 1", "hparams.yaml"),
            [],
            "seed 1 is in lightning_logs/version_1, lightning_logs/version_2 (seed of each run)",
        ),
        (
            lambda logs: edit(logs, 2, "lr: 0.1", "lr: 0.2", "hparams.yaml"),
            [],
            "mixed configs: the runs differ in lr (lr=0.1: lightning_logs/version_0, lightning_logs/version_1, "
            "lightning_logs/version_3 and 1 more; lr=0.2: lightning_logs/version_2)",
        ),
        (
            lambda logs: (logs / "version_2" / "hparams.yaml").unlink(),
            [],
            "seed is missing in lightning_logs/version_2, of 5 runs",
        ),
        (
            lambda logs: edit(logs, 2, "val_loss", "loss"),
            [],
            "val_loss is missing in lightning_logs/version_2, of 5 runs",
        ),
        (
            lambda logs: edit(logs, 2, "test_acc", "acc"),
            [],
            "test_acc is missing in lightning_logs/version_2, of 5 runs; leave the metric out with 'ignore=[test_acc]'",
        ),
        (None, ["metric.name=f1"], "metric.name=f1: in none of the 5 runs; they have test_acc, train_loss_epoch"),
        (None, ["lightning_logs/version_9"], "lightning_logs/version_9: no such file or folder"),
        (
            lambda logs: (logs / "empty").mkdir(),
            ["lightning_logs/empty"],
            "lightning_logs/empty: no log in it; read are",
        ),
        (
            lambda logs: (logs / "version_2" / "metrics.csv").unlink(),
            [],
            "no metrics in lightning_logs/version_2: the run ended before it logged any",
        ),
        (
            lambda logs: shutil.copytree(HERE / "tensorboard", logs / "tb"),
            [],
            "logs of 2 formats (tensorboard: lightning_logs/tb/seed_0/events.out.tfevents",
        ),
        (
            lambda logs: edit(logs, 2, "seed: 2", "seed: [2", "hparams.yaml"),
            [],
            "lightning_logs/version_2/hparams.yaml: torn, or not YAML",
        ),
        (
            lambda logs: edit(logs, 2, last_value(logs, 2), "0.4oops"),
            [],
            "lightning_logs/version_2/metrics.csv: val_loss is",
        ),
        (
            None,
            ["seed_from=lr"],
            "lightning_logs/version_0: lr=0.1: a seed is a whole number",
        ),
        (None, ["metric.name=val_acc", "metric.low=0.9"], "say metric.unit=percent, or none"),
        (None, ["format=mlflow"], "lightning_logs: no log of format=mlflow in it"),
    ],
)
def test_what_does_not_fit_is_refused_with_its_files_and_nothing_is_written(bring, logs, damage, arguments, says):
    if damage:
        damage(logs)
    code, _, err = bring(
        "lightning_logs", *arguments, metric=None if arguments[:1] == ["metric.name=f1"] else "val_loss"
    )
    assert code == 1 and says in err, err
    assert err.startswith("error: ") and len(err.strip().splitlines()) <= 2 and "Traceback" not in err
    assert not logs.parent.joinpath("results", "old").exists()


def test_keys_that_differ_in_every_run_can_be_left_out(bring, logs):
    for number in range(5):
        edit(logs, number, "lr: 0.1", f"lr: 0.1\nout: {{dir: runs/{number}}}", "hparams.yaml")
    code, _, err = bring("lightning_logs")
    assert code == 1 and "out.dir differs in every run" in err and "'ignore=[out.dir]'" in err
    assert bring("lightning_logs", "ignore=[out]")[0] == 0
    assert Study.load("results/old").config["import"]["hparams"] == {"hidden": 16, "lr": 0.1}


def test_runs_of_different_lengths_are_taken_where_that_is_said(bring, logs):
    drop_last_epoch(logs)
    assert bring("lightning_logs", "unequal_steps=true")[0] == 0
    scores = Scores.of(Study.load("results/old"))
    assert scores.lengths.tolist() == [63, 63, 42, 63, 63]


@pytest.mark.parametrize("value", ["nan", "inf", "-inf"])
def test_a_run_that_ends_in_nan_is_recorded_as_diverged(bring, logs, value):
    edit(logs, 2, last_value(logs, 2), value)
    code, out, err = bring("lightning_logs")
    assert code == 0 and "diverged: seed 2: val_loss is" in out, err
    study = Study.load("results/old")
    assert study.record(2).status == Status.DIVERGED and study.record(2).final["val_loss"] is None
    assert Scores.of(study).seeds.tolist() == [0, 1, 3, 4]


def test_a_failed_run_is_recorded_with_its_reason(bring, logs, tmp_path):
    rows = (HERE / "wandb_runs.csv").read_text().replace('"run-2","finished"', '"run-2","crashed"')
    (tmp_path / "runs.csv").write_text(rows)
    code, out, _ = bring("runs.csv")
    assert code == 0 and "failed: seed 2: W&B: crashed" in out
    assert Study.load("results/old").record(2).status == Status.FAILED


def test_one_of_several_experiments_has_to_be_named(bring, logs, mlflow_db):
    import sqlite3

    with sqlite3.connect(mlflow_db) as store:
        (other,) = store.execute("SELECT experiment_id FROM experiments WHERE name != 'digits'").fetchone()
        store.execute("UPDATE runs SET experiment_id = ? WHERE name = 'run-4'", (other,))
    code, _, err = bring(str(mlflow_db))
    assert code == 1 and "runs of 2 experiments (Default, digits); name one, mlflow_experiment=NAME" in err
    assert "experiment=x:" in bring(str(mlflow_db), "mlflow_experiment=x")[2]
    assert bring(str(mlflow_db), "mlflow_experiment=digits")[0] == 0
    assert len(Scores.of(Study.load("results/old")).seeds) == 4


def test_a_store_that_is_none_of_mlflow_is_refused(bring, logs):
    (logs.parent / "x.db").write_bytes(b"SQLite format 3\0 torn")
    code, _, err = bring("x.db")
    assert code == 1 and "x.db: no SQLite store of MLflow, or a damaged one" in err


def test_a_file_of_events_without_a_metric_is_named(bring, logs):
    (logs.parent / "events.out.tfevents.1.here").touch()
    code, _, err = bring("events.out.tfevents.1.here")
    assert code == 1 and "no metric in events.out.tfevents.1.here: nothing was logged there" in err


def test_what_is_missing_is_asked_for(invoked, logs):
    assert "name the logs: seedspread import PATH" in invoked(main, "import", "study=a")[2]
    assert "study=?: name the study" in invoked(main, "import", "lightning_logs")[2]
    assert "nowhere: no such file or folder" in invoked(main, "import", "nowhere")[2]
    asked = invoked(main, "import", "lightning_logs", "study=a")[2]
    assert "metric.name=?: name what the runs are scored by; they have test_acc" in asked


def test_trained_and_imported_seeds_stay_apart(bring, invoked, logs, made):
    made("mine", [0.8, 0.81, 0.82, 0.83, 0.84])
    code, _, err = bring("lightning_logs", study="mine")
    assert code == 1 and "results/mine holds seeds trained here: nothing is imported into it" in err
    assert bring("lightning_logs", metric="val_acc")[0] == 0
    with pytest.raises(Exception, match="results/old was imported from logs: nothing is trained into it"):
        Study.open(Study.load("results/old").folder, CONFIG)
    code, _, err = invoked(main, "reproduce", "study=old", "seed=0")
    assert code == 1 and "study=old: it was imported from logs" in err
    assert "imported from lightning logs, not reproducible" in invoked(main, "status", "study=old")[1]


def test_imported_seeds_pair_only_where_that_is_said(bring, invoked, logs):
    for study in ("a", "b"):
        assert bring("lightning_logs", study=study)[0] == 0
    arms = ["baseline=a", "candidate=b", "metric=test_acc"]
    out = invoked(main, "compare", *arms)[1]
    assert "Unpaired over seeds: a and b were imported, and equal seeds need not mean the same there; pair=true" in out
    assert "have the same scores" in invoked(main, "compare", *arms, "pair=true")[2], "paired: the arms are copies"


def test_paths_are_told_from_settings(logs, tmp_path):
    (tmp_path / "lr=0.1").mkdir()
    typed = ["lr=0.1", "a b/c", "study=old", "--cfg", "metric.name=x", "lr=0.2"]
    expected = ["study=old", "--cfg", "metric.name=x", "lr=0.2", "logs=['lr=0.1','a b/c']"]
    assert gather_paths(typed, "logs", Import.keys) == expected


def test_python_objects_in_hparams_are_not_made(bring, logs):
    text = "hidden: 16\nnet: !!python/object/apply:os.system\n- echo\nseed: {}\n"
    for number in range(5):
        (logs / f"version_{number}" / "hparams.yaml").write_text(text.format(number))
    assert bring("lightning_logs")[0] == 0
    stored = yaml.safe_load((logs.parent / "results/old/study.yaml").read_text())
    assert stored["config"]["import"]["hparams"] == {"hidden": 16, "net": ["echo"]}


def test_a_thousand_runs_are_prepared_in_seconds(tmp_path):
    import time

    text = "epoch,step,val_loss\n" + "".join(f"{i},{10 * i},{{{i % 2}}}\n" for i in range(50))
    for seed in range(1000):
        folder = tmp_path / f"version_{seed}"
        folder.mkdir()
        (folder / "metrics.csv").write_text(text.format(seed, 1 / (seed + 1)))
    start = time.process_time()
    _, runs = read_runs([str(tmp_path)], "auto", Wanted("val_loss"))
    found = prepare_import(runs, "lightning", Metric.of("val_loss"))
    assert found.seeds.values == list(range(1000)) and time.process_time() - start < 10
