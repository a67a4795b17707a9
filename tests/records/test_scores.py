"""Records as arrays: what is counted, and what is named and left out."""

import json
import math
from dataclasses import replace

import numpy as np
import pytest

from seedspread import statistics as st
from seedspread.config.errors import InputError
from seedspread.records.metric import Metric
from seedspread.records.scores import Scores
from seedspread.records.tables import curves_table
from seedspread.report.study_page import write_reports
from tests.synthetic import EXAMPLES, add_seed, found_in, make_record


def test_a_study_without_a_finished_seed_is_an_error(make_study):
    study = make_study([])
    add_seed(study, 0, 0.1, status="failed")
    with pytest.raises(InputError, match="no finished seed to report on"):
        write_reports([study])


@pytest.mark.parametrize(
    "damage, why",
    [
        (lambda r: r.pop("final"), "finished, but without its final val/acc"),
        (lambda r: r.pop("environment"), "no environment"),
        (lambda r: r.pop("ended"), "incomplete (TypeError: "),
        (lambda r: r["curves"]["val/loss"].pop(), "its metrics have curves of different lengths"),
        (lambda r: r["final"].update({"val/acc": None}), "finished, but without its final val/acc"),
        (lambda r: r["final"].update({"val/acc": 7.5}), "val/acc is not between 0 and 1"),
        (lambda r: r["curves"]["val/loss"].__setitem__(1, "0.3"), "a metric is no finite number"),
    ],
)
def test_a_record_that_cannot_be_is_named_and_not_counted(study, damage, why):
    record = json.loads(study.record_path(4).read_bytes())
    damage(record)
    study.record_path(4).write_text(json.dumps(record))
    page, (found,) = write_reports([study])
    assert found.n == 23 and f"Not counted: seeds/000004.json: {why}" in page.with_name("report.md").read_text()


def test_a_study_may_be_named_by_its_folder(study):
    assert np.array_equal(Scores.of(str(study.folder)).final, Scores.of(study).final)


def test_damaged_predictions_leave_out_their_seed_only(study):
    whole = found_in(study)
    study.examples_path(3).write_bytes(b"torn")
    found = found_in(study)
    assert found.n == 24 and len(found.luck.seeds) == 23
    assert found.luck.variance.independent == pytest.approx(whole.luck.variance.independent, rel=0.2)
    text = write_reports([study])[0].with_name("report.md").read_text()
    assert "Without seed 3 of " in text
    assert "The predictions of 1 of 24 seeds are missing or damaged: seed 3." in text
    for path in (study.folder / "examples").iterdir():
        path.unlink()
    assert found_in(study).luck is None
    text = write_reports([study])[0].with_name("report.md").read_text()
    assert "the predictions of at least 5 seeds are needed" in text


RMSE = Metric.of("val/rmse")


def write_curves(study, curves):
    """Records of seeds 0, 1, ... from the points that each logged: (epoch, step, metrics) each."""
    for seed, points in enumerate(curves):
        names = dict.fromkeys(name for *_, metrics in points for name in metrics)
        lines = {name: [metrics.get(name) for *_, metrics in points] for name in names}
        final = {name: next(v for v in reversed(line) if v is not None) for name, line in lines.items()}
        epochs, steps = [epoch for epoch, *_ in points], [step for _, step, _ in points]
        places = {"epochs": epochs, "steps": None if None in steps else steps}
        study.write(replace(make_record(study, seed), curves=lines, final=final, test_examples=None, **places))
    return Scores.of(study)


def test_curves_of_different_lengths_are_aligned_on_the_epochs(make_study):
    ends = [3, 5, 4]
    curves = [[(e, None, {"val/rmse": 10.0 * seed + e}) for e in range(end)] for seed, end in enumerate(ends)]
    scores = write_curves(make_study([], metric=RMSE), curves)
    nan = math.nan
    assert scores.axis == "epochs trained" and scores.points.tolist() == [1, 2, 3, 4, 5]
    expected = [[0, 1, 2, nan, nan], [10, 11, 12, 13, 14], [20, 21, 22, 23, nan]]
    np.testing.assert_array_equal(scores.curves["val/rmse"], expected)
    assert scores.lengths.tolist() == ends and scores.final.tolist() == [2, 14, 23]
    assert (scores.best, scores.worst) == (0, 2) and scores.seeds[scores.by_score].tolist() == [2, 1, 0]
    band = st.bands(scores.curves["val/rmse"])
    assert band.mean.tolist() == [10, 11, 12, 18, 14] and band.max.tolist() == [20, 21, 22, 23, 14]
    assert band.std[3] == pytest.approx(np.std([13, 23], ddof=1)) and math.isnan(band.std[4])
    table = curves_table(scores)
    assert len(table) == sum(ends) and list(table.columns) == ["seed", "epochs_trained", "val_rmse"]


def test_several_scorings_an_epoch_are_aligned_on_the_steps(make_study):
    def points(seed):
        yield 0, 49, {"val/rmse": 5.0 + seed}
        yield 0, 99, {"val/rmse": 4.0 + seed, "train/loss": 9.0}
        if seed:
            yield 1, 149, {"val/rmse": 3.0 + seed}

    scores = write_curves(make_study([], metric=RMSE), [list(points(0)), list(points(1))])
    assert scores.axis == "steps trained" and scores.points.tolist() == [50, 100, 150]
    np.testing.assert_array_equal(scores.curves["val/rmse"], [[5, 4, math.nan], [6, 5, 4]])
    where, losses = scores.logged("train/loss")
    assert where.tolist() == [100] and losses.tolist() == [[9], [9]]
    assert "steps_trained" in curves_table(scores) and scores.complete_curves("train/loss").tolist() == [[9], [9]]


def test_another_recorded_metric_is_scored_in_its_own_direction_and_unit(study):
    loss = Scores.of(study, "val/loss")
    accuracy = Scores.of(study)
    assert loss.metric.sign == -1 and loss.digits.unit == "" and loss.examples is None and loss.correct == {}
    assert loss.final.tolist() == [record.final["val/loss"] for record in loss.finished]
    assert loss.best == accuracy.best and loss.worst == accuracy.worst  # the loss is 2 less the accuracy
    assert accuracy.examples == EXAMPLES and len(accuracy.correct) == 24
    assert Scores.of(study, "train/acc").metric.unit == "fraction"
    with pytest.raises(
        InputError, match=r"metric=val/f1: .* has no final val/f1; it has train/acc, train/loss, val/acc"
    ):
        Scores.of(study, "val/f1")


def test_seeds_without_the_other_metric_are_named(study):
    record = study.record(3)
    study.write(replace(record, final={**record.final, "val/f1": 0.5}))
    scores = Scores.of(study, "val/f1")
    assert scores.seeds.tolist() == [3] and scores.curves["val/acc"].shape == (1, 8)
    assert len(scores.problems) == 23 and scores.problems["000000.json"] == "without a final val/f1"


def test_a_score_that_is_no_fraction_of_right_answers_has_no_examples(study):
    assert Scores.of(study).examples == EXAMPLES
    record = study.record(3)  # an F1 is no multiple of an example
    study.write(replace(record, final={**record.final, "val/acc": 0.7777}))
    scores = Scores.of(study)
    assert scores.examples is None and scores.correct == {} and scores.unread == []


def test_validation_scores_are_not_those_of_the_predictions_on_the_test_set(make_study):
    study = make_study([0.8, 0.81, 0.8, 0.79, 0.82])
    for seed in range(5):
        record = study.record(seed)
        study.write(replace(record, final={**record.final, "test/acc": record.final["val/acc"], "val/acc": 0.5}))
    scores = Scores.of(study)
    assert scores.examples is None and scores.test_metric.name == "test/acc" and not scores.is_of_test_set
    assert scores.by("test/acc").examples == EXAMPLES and len(scores.by("test/acc").correct) == 5
