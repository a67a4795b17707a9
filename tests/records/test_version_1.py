"""A study that version 0.1 wrote: three seeds of digits with two epochs, with the hash of their weights then."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from seedspread.config.errors import InputError
from seedspread.records.record import Status
from seedspread.records.scores import Scores
from seedspread.records.study import Study
from seedspread.records.tables import seeds_table
from seedspread.report.status import describe_status
from seedspread.report.study_page import write_reports
from seedspread.training.reproduction import reproduce

WRITTEN = Path(__file__).parent / "version_1" / "digits"


@pytest.fixture
def study(tmp_path):
    return Study.load(shutil.copytree(WRITTEN, tmp_path / "results" / "digits"))


def contents(folder):
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_its_records_are_those_of_the_files(study):
    scan = study.scan()
    assert list(scan.records) == [0, 1, 2] and scan.problems == {}
    for seed, record in scan.records.items():
        stored = json.loads((WRITTEN / "seeds" / f"{seed:06d}.json").read_text())
        assert record.status == Status.FINISHED and record.precision == stored["environment"]["precision"]
        assert {"epoch": record.epochs, **record.curves} == stored["metrics"]["epochs"]
        assert record.final == stored["metrics"]["final"] and record.weights_sha256 == stored["weights_sha256"]


def test_it_is_scored_and_reported(study):
    scores = Scores.of(study)
    assert scores.final.tolist() == [24.2, 26.8, 16.8] and scores.curves["val/acc"].shape == (3, 2)
    for seed, accuracy in zip(range(3), scores.final, strict=True):
        assert np.unpackbits(scores.correct[seed], count=500).sum() == pytest.approx(5 * accuracy)
    assert seeds_table(scores)["val_acc_percent"].tolist() == [24.2, 26.8, 16.8]
    assert "3 done" in describe_status(study)
    assert "22.60 ± 5.19" in write_reports([study])[0].read_text()


def test_it_is_not_trained_into(study, small, command):
    before = contents(study.folder)
    for seed in (0, 3):
        with pytest.raises(InputError, match=r"written by seedspread 0\.1.*\nTrain a new study, .* study=digits_2"):
            Study.open(study.folder, study.config)
        code, _, err = command("-m", f"seed={seed}", "experiment=digits", "trainer.max_epochs=2", "jobs=1")
        assert code == 1 and "written by seedspread 0.1" in err
    with pytest.raises(InputError, match="not trained into"):
        reproduce(study, 0)
    assert contents(study.folder) == before
