"""`seedspread audit`, as it is typed."""

import sys

import pytest

from seedspread.commands.audit import split_training
from tests.audit.programs import GALLERY


def test_a_program_that_trains_nothing_is_said_to(start, tmp_path):
    (tmp_path / "program.py").write_text("print('nothing')\n")
    done = start("seedspread", "audit", "--", sys.executable, "program.py", "{seed}", cwd=tmp_path)
    out, err = done.communicate()

    assert not done.returncode, err
    assert "Same seed twice: cannot be said: no training step was seen" in out
    assert (tmp_path / "results/audits/program/index.html").exists()


def test_a_folder_that_cannot_be_written_is_refused_before_a_program_runs(start, tmp_path):
    (tmp_path / "file").touch()
    (tmp_path / "program.py").write_text("open('ran', 'w')\n")
    done = start("seedspread", "audit", "folder=file/here", "--", sys.executable, "program.py", "{seed}", cwd=tmp_path)
    _, err = done.communicate()

    assert done.returncode == 1 and "cannot write to file/here: " in err and "folder=PATH" in err, err
    assert not (tmp_path / "ran").exists()


def test_keys_of_training_are_a_program():
    own, program = split_training(["steps=20", "experiment=digits", "trainer.max_epochs=2"])

    assert own == ["steps=20"]
    assert program[1:] == [
        "-m", "seedspread", "train", "seed={seed}", "results={folder}", "study=audit",
        "experiment=digits", "trainer.max_epochs=2",
    ]  # fmt: skip
    assert split_training(["steps=20"]) == (["steps=20"], [])


@pytest.mark.slow
def test_a_module_of_ones_own_is_audited_as_it_is_trained(start, tmp_path):
    module = "seedspread.examples.diabetes"
    given = [f"module._target_={module}.DiabetesRegressor", f"data._target_={module}.DiabetesData"]
    given += ["metric.name=val/rmse", "trainer.max_epochs=2", "trainer=cpu", "steps=20"]
    done = start("seedspread", "audit", *given, cwd=tmp_path)
    out, err = done.communicate()

    assert not done.returncode, out + err
    assert "Same seed twice: identical for all 18 steps" in out and "initial weights yes" in out and "order yes" in out


@pytest.mark.slow
def test_a_flaw_is_an_exit_code_and_a_page(start, tmp_path):
    program = GALLERY / "flawed/numpy_in_transform.py"
    done = start("seedspread", "audit", "--", sys.executable, str(program), "--seed", "{seed}", cwd=tmp_path)
    out, err = done.communicate()

    assert done.returncode == 1, err
    assert "augmentation UNSEEDED" in out and "; cannot be said: " in out
    assert "! augmentation: unseeded" in out and "numpy.random.seed(seed)" in out
    page = (tmp_path / "results/audits/numpy_in_transform/audit.md").read_text()
    assert "no call seeds the generator numpy" in page and "| evaluation |" in page
