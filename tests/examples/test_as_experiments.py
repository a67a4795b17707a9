"""The examples as experiments, by their own files in conf/: scored, reported on and compared by their own metrics."""

import pytest

from seedspread.commands.compare import main as compare
from seedspread.commands.report import main as report
from seedspread.commands.train import train
from seedspread.records.record import Status
from seedspread.records.study import Study

SHORT = {
    "diabetes": ("trainer.max_epochs=3",),
    "docstrings": ("trainer.max_epochs=2", "+data.each=60"),
    "multilabel": ("trainer.max_epochs=2",),
}


@pytest.fixture
def trained(config):
    """Train an experiment, shortened, with overrides."""
    return lambda name, *overrides: train(config(f"experiment={name}", "trainer=cpu", *SHORT[name], *overrides))


@pytest.mark.parametrize(
    "name, metric, direction, unit",
    [
        ("diabetes", "rmse", "minimize", "none"),
        ("docstrings", "acc", "maximize", "fraction"),
        ("multilabel", "f1", "maximize", "fraction"),
    ],
)
def test_each_has_its_metric(trained, tmp_path, name, metric, direction, unit):
    record = trained(name)
    study = Study.load(tmp_path / "results" / name)
    assert (study.metric.name, study.metric.direction, study.metric.unit) == (f"val/{metric}", direction, unit)
    assert record.status == Status.FINISHED
    assert {f"val/{metric}", f"test/{metric}"} <= record.final.keys()
    assert f"test/{metric}" not in record.curves


def test_a_smaller_error_is_better_in_comparisons_and_reports(trained, invoked, tmp_path):
    final = {}
    for study, lr in (("slow", 1e-5), ("usual", 3e-3)):
        records = [trained("diabetes", f"seed={seed}", f"+module.lr={lr}", f"study={study}") for seed in range(5)]
        final[study] = [record.final["val/rmse"] for record in records]
    assert max(final["usual"]) < min(final["slow"])
    code, out, err = invoked(compare, "baseline=slow", "candidate=usual", f"results={tmp_path}/results")
    assert code == 0, err
    assert "usual is better" in out
    code, out, err = invoked(compare, "baseline=usual", "candidate=slow", f"results={tmp_path}/results")
    assert code == 0 and "slow is worse" in out
    code, out, err = invoked(report, "study=usual", f"results={tmp_path}/results")
    assert code == 0, err
    page = (tmp_path / "results" / "usual" / "report" / "index.html").read_text()
    assert "val/rmse" in page and "smaller is better" in page


def test_curves_of_different_lengths_are_reported_on(trained, invoked, tmp_path):
    early = ("+module.patience=1", "+module.lr=0.05", "trainer.max_epochs=12")
    records = [trained("docstrings", f"seed={seed}", *early) for seed in range(4)]
    assert len({max(record.epochs) for record in records}) > 1
    code, _, err = invoked(report, "study=docstrings", f"results={tmp_path}/results")
    assert code == 0, err
