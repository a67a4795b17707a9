"""Reports on metrics of either direction, of any unit, with curves of any lengths, with and without a test set."""

import re
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from seedspread.config.errors import InputError
from seedspread.records.metric import Metric
from seedspread.records.scores import Scores
from seedspread.report import study_words
from seedspread.report.figures import draw_figures
from seedspread.report.findings import Findings
from seedspread.report.labels import label
from seedspread.report.study_page import write_report, write_reports
from tests.synthetic import found_in, make_record, words

THEIRS = {"data": {"_target_": "mine.Data"}, "module": {"_target_": "mine.Module"}}
RMSE = Metric.of("val/rmse")
VALUES = np.random.default_rng(5).normal(54.3, 0.4, 24)


@pytest.fixture
def scored(make_study):
    """Make a study of a metric: the final scores of seeds 0, 1, ..., which end after 5, 6, 7, 5, ... epochs."""

    def make(values, metric=RMSE, name="dots", config=THEIRS, test=None, ragged=True):
        study = make_study([], name, config, metric)
        for seed, value in enumerate(values):
            epochs = 5 + seed % 3 * ragged
            curve = value * (1 + np.exp(-np.arange(epochs, 0, -1)[::-1]))
            curve[-1] = value
            final = {metric.name: float(value)} | ({} if test is None else {metric.test_name: float(test[seed])})
            record = replace(make_record(study, seed), epochs=[*range(epochs)], curves={metric.name: curve.tolist()})
            study.write(replace(record, final=final, test_examples=None, predictions_sha256=None))
        return study

    return make


def test_a_study_whose_scores_are_negated_has_the_same_seeds_in_the_same_places(scored):
    values = [*VALUES, 58.0]  # seed 24 is an outlier
    down = found_in(scored(values, Metric.of("val/x", "minimize"), "down"))
    up = found_in(scored([-value for value in values], Metric.of("val/x", "maximize"), "up"))
    assert (down.scores.best, down.scores.worst) == (up.scores.best, up.scores.worst) == (np.argmin(values), 24)
    assert down.scores.by_score.tolist() == up.scores.by_score.tolist()
    assert (down.mean, down.std, down.min, down.max) == pytest.approx((-up.mean, up.std, -up.max, -up.min))
    below, above = words(study_words.black_swans(up)), words(study_words.black_swans(down))
    assert "worst seed (24) lies" in below and "std below the mean" in below
    assert "worst seed (24) lies" in above and "std above the mean" in above
    assert (
        below.replace("up:", "").replace("below", "above").split("best")[0].split(":", 1)[1].split("std")[0]
        == (above.replace("down:", "").split("best")[0].split(":", 1)[1].split("std")[0])
    )


def test_numbers_of_a_metric_without_a_unit_follow_from_the_records(scored):
    study = scored(VALUES)
    page, (found,) = write_reports([study])
    text = page.with_name("report.md").read_text()
    std, low, high = VALUES.std(ddof=1), VALUES.min(), VALUES.max()
    assert (
        f"dots: val/rmse {VALUES.mean():.2f} ± {std:.2f} over 24 seeds, {high - low:.2f} between the worst (seed "
        f"{VALUES.argmax()}: {high:.2f}) and the best (seed {VALUES.argmin()}: {low:.2f})." in text
    )
    assert "val/rmse mean ± std |" in text and f"{low:.2f} ({VALUES.argmin()})" in text
    assert "seeds were trained for 5 to 7 epochs, 6 in the median" in text and "8 of 24 at the last" in text
    assert not re.search(r"\d points|std, %|luck|test set", text.split("## How to repeat")[0])
    assert "pretraining" not in text and "unknown" not in text.split("## How to repeat")[1]
    row = pd.read_csv(page.with_name("table.csv")).iloc[0]
    assert (row["metric"], row["min_seed"], row["max_seed"]) == ("val/rmse", VALUES.argmin(), VALUES.argmax())
    assert r"val/rmse mean $\pm$ std &" in page.with_name("table.tex").read_text()
    assert pd.read_csv(page.with_name("seeds.csv"))["val_rmse"].to_numpy() == pytest.approx(VALUES)
    assert len(pd.read_parquet(page.with_name("curves.parquet"))) == sum(5 + seed % 3 for seed in range(24))
    assert found.scores.curves["val/rmse"].shape == (24, 7) and np.isnan(found.scores.curves["val/rmse"][0, 5:]).all()


@pytest.mark.parametrize(
    "metric, shown",
    [
        (Metric.of("val/nll", unit="nats"), "val/nll, nats"),
        (Metric.of("fit/time", unit="seconds"), "fit/time, s"),
        (Metric.of("val/f1", unit="percent"), "val/f1, %"),
        (RMSE, "val/rmse"),
    ],
)
@pytest.mark.draws
def test_the_unit_stands_on_axes_and_in_heads(scored, metric, shown, tmp_path):
    found = found_in(scored(VALUES, metric))
    assert label(found.scores) == shown
    drawn = draw_figures([found], tmp_path)
    assert {"learning_curves", "histogram", "sorted_scores", "spread_over_epochs"} <= set(drawn)
    assert not {"luck", "losses", "validation_and_test"} & set(drawn)


def test_a_report_on_another_metric_leaves_that_of_the_study(study):
    page, _ = write_report(study)
    before = {path.name: path.read_bytes() for path in page.parent.iterdir()}
    other, found = write_report(study, "val/loss")
    assert other == study.folder / "report-val_loss" / "index.html" and found.scores.metric.sign == -1
    assert {path.name: path.read_bytes() for path in page.parent.iterdir()} == before
    losses = [record.final["val/loss"] for record in study.scan().records.values()]
    assert found.mean == pytest.approx(np.mean(losses)) and found.scores.best == np.argmin(losses)
    assert f"dots: val/loss {np.mean(losses):.3f} ± {np.std(losses, ddof=1):.3f} over" in other.read_text()
    final, _ = write_report(study, "train/acc")
    assert "train/acc mean ± std, %" in final.read_text()
    with pytest.raises(InputError, match="metric=val/f1"):
        write_report(study, "val/f1")


def test_studies_of_different_metrics_have_no_report_side_by_side(study, scored):
    with pytest.raises(InputError, match=r"study=: scored by different metrics \(dots: val/acc \(%, larger"):
        write_reports([study, scored(VALUES, name="other")])


def test_a_metric_that_is_scored_once_at_the_end_has_no_curve(make_study):
    study = make_study([])
    for seed, value in enumerate((0.8, 0.81, 0.79)):
        record = make_record(study, seed)
        study.write(replace(record, final={**record.final, "test/acc": value}))
    page, found = write_report(study, "test/acc")
    assert found.mean == pytest.approx(80) and len(found.points) == 0
    assert not page.with_name("learning_curves.png").exists() and page.with_name("histogram.png").exists()


def test_validation_stands_beside_a_test_set_that_was_scored_once(scored):
    rng = np.random.default_rng(0)
    test = VALUES + rng.normal(1, 0.2, 24)
    study = scored(VALUES, test=test)
    page, (found,) = write_reports([study])
    text = page.with_name("report.md").read_text()
    r = stats.pearsonr(VALUES, test)
    low, high = r.confidence_interval()
    assert f"correlation over seeds is {r.statistic:+.2f} (95 %: {low:+.2f} to {high:+.2f})" in text
    assert f"On the test set: test/rmse {test.mean():.2f} ± {test.std(ddof=1):.2f} over 24 seeds" in text
    assert "the test set was scored once per seed, at the end; nothing was chosen on it" in text
    assert page.with_name("validation_and_test.png").exists() and found.test.metric.sign == -1


def test_a_test_set_that_was_scored_at_every_epoch_is_owned_up_to(study, make_study):
    assert "every epoch of every seed was scored on the test set, 8 times a seed" in words(
        study_words.test_set_words(found_in(study))
    )
    theirs = make_study([0.8, 0.81, 0.82], "theirs", THEIRS)
    assert study_words.test_set_words(found_in(theirs)) == []
    assert label(Scores.of(study)) == "test accuracy, %" and label(Scores.of(theirs)) == "validation accuracy, %"


def test_luck_is_that_of_the_test_set_where_validation_data_chose(study):
    whole = found_in(study).luck
    for seed, record in study.scan().records.items():
        final = {**record.final, "test/acc": record.final["val/acc"], "val/acc": 0.5 + seed / 100}
        study.write(replace(record, final=final))
    luck = Findings.of(Scores.of(study)).luck
    assert luck.name == "dots (test/acc)" and luck.variance == whole.variance
