"""`seedspread batch_size`."""

import sys

import pandas as pd
import pytest
from PIL import Image

from seedspread.commands.batch_size import main
from seedspread.commands.console import run_command


@pytest.fixture
def batch_size(invoked, tmp_path, cache):
    """Run `seedspread batch_size experiment=digits ARGUMENTS`."""
    fixed = ["experiment=digits", "trainer=cpu", f"results={tmp_path}/results", f"data.cache={cache}"]
    return lambda *arguments: invoked(main, *fixed, *arguments)


@pytest.mark.draws
def test_the_command_writes_table_and_figure_and_records_no_seed(tmp_path, batch_size):
    code, out, err = batch_size("start=512", "gain=0", "model.width=2")
    assert code == 0, err
    assert "ended: 2,048 is more than the 1,297 training pictures" in out
    folder = tmp_path / "results" / "digits"
    table = pd.read_csv(folder / "batch_size" / "batch_size.csv")
    assert table["batch_size"].tolist() == [512, 1024] and (table["peak_mib"] > 100).all()
    assert table["pictures_a_second"].to_numpy() == pytest.approx(1000 * table["batch_size"] / table["ms_a_step"])
    (choice,) = table["batch_size"][table["recommended"]]
    assert f"recommended: data.batch_size={choice}," in out and "tune learning rate, momentum" in out
    with Image.open(folder / "batch_size" / "batch_size.png") as picture:
        assert picture.width > 400
    assert "<svg" in (folder / "batch_size" / "batch_size.svg").read_text()
    assert [path.name for path in folder.iterdir()] == ["batch_size"]


@pytest.mark.parametrize("beyond", ["killed", "not enough memory"])
def test_where_memory_is_exhausted_smaller_sizes_are_shown(batch_size, beyond):
    network = ["model._target_=tests.training.test_batch_size.Fits", "+model.most=1000", f"+model.beyond='{beyond}'"]
    code, out, err = batch_size("start=512", *network, "~model.classes", "~model.channels")
    assert code == 0, err
    assert "ended: out of memory at 1,024 pictures" in out and "data.batch_size=512," in out
    assert (": its process was killed" in out) == (beyond == "killed")


def test_fewer_pictures_than_the_start_are_refused(batch_size, tmp_path):
    code, out, err = batch_size("start=2000")
    assert code == 1 and len(err.strip().splitlines()) <= 2
    assert "start=2000: digits has 1297 pictures to train on; choose 1 to 1297" in err
    assert not (tmp_path / "results" / "digits").exists() and not out


def test_a_folder_that_cannot_be_written_is_refused_before_measuring(batch_size, tmp_path):
    (tmp_path / "results").mkdir()
    (tmp_path / "results" / "digits").touch()
    code, out, err = batch_size("start=512")
    assert code == 1 and not out
    assert err.startswith(f"error: cannot write to {tmp_path}/results/digits/batch_size: "), err


def test_many_runs_at_once_are_refused(batch_size):
    code, _, err = batch_size("-m")
    assert code == 1 and "-m: seedspread batch_size chooses the runs that it starts; leave -m out" in err, err


@pytest.mark.parametrize(
    "argument, says",
    [
        ("start=0", "start=0: a whole number of at least 1"),
        ("start=many", "start=many: a whole number"),
        ("gain=-1", "gain=-1: percent, from 0 to below 100"),
        ("within=100", "within=100: percent"),
        ("experiment=nothing", "experiment=nothing: there is no such choice; choose one of"),
        ("study=../elsewhere", "study=../elsewhere: a study is the name of one folder"),
    ],
)
def test_bad_input_is_told_in_two_lines(tmp_path, monkeypatch, capsys, argument, says):
    arguments = ["src/batch_size.py", "experiment=digits", f"results={tmp_path}/results"]
    monkeypatch.setattr(sys, "argv", [a for a in arguments if a.split("=")[0] != argument.split("=")[0]] + [argument])
    monkeypatch.setenv("HYDRA_FULL_ERROR", "")
    with pytest.raises(SystemExit) as left:
        run_command(main)
    assert says in str(left.value.code) and len(str(left.value.code).splitlines()) <= 2
    assert not (tmp_path / "results").exists()
