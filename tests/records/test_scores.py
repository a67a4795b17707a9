"""Records as arrays: what is counted, and what is named and left out."""

import json

import pytest

from seedspread.config.errors import InputError
from seedspread.report.study_page import write_reports
from tests.synthetic import add_seed, found_in


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
