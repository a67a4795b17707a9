"""The batch size that trains fastest: when it ends, what it recommends, and real steps in processes of their own."""

import os
import signal
import subprocess
import sys

import pandas as pd
import pytest
from PIL import Image
from torch import nn

from seedspread.commands.batch_size import main
from seedspread.commands.console import run_command
from seedspread.config.errors import InputError
from seedspread.training.batch_size import (
    Measured,
    OutOfMemory,
    double_batch_size,
    measure_batch_size,
    memory_left,
    recommend,
)
from tests.conftest import ROOT
from tests.data.test_features import checkpoint  # noqa: F401
from tests.training.test_probe import probe, probe_cache  # noqa: F401


class Fits(nn.Linear):
    """A network for batches of up to `most` pictures of digits; what happens beyond says `beyond`."""

    def __init__(self, most: int, beyond: str) -> None:
        super().__init__(64, 10)
        self.most, self.beyond = most, beyond

    def forward(self, images):
        if len(images) > self.most:
            if self.beyond == "killed":
                os.kill(os.getpid(), signal.SIGKILL)
            raise RuntimeError(f"DefaultCPUAllocator: {self.beyond}")
        return super().forward(images.flatten(1))


def sizes(rates, memory=lambda batch: 1000 + batch, pictures=10**6):
    """Measurements of these pictures a second, one batch after the other; a None is out of memory."""
    left = iter(rates)

    def measure(batch):
        if (rate := next(left)) is None:
            raise OutOfMemory
        return Measured(batch, batch / rate, memory(batch), 10, pictures)

    return measure


@pytest.mark.parametrize(
    "rates, pictures, batches, why",
    [
        ([100, 190, 300, 310, 305, 999], 10**6, [8, 16, 32, 64, 128], "two sizes in a row gained less than 5 %"),
        ([100, 101, 200, 201, 400, 401, 402], 10**6, [8, 16, 32, 64, 128, 256, 512], "two sizes in a row"),
        ([100, 200, None], 10**6, [8, 16], "out of memory at 32 pictures"),
        ([100, 200, 400], 40, [8, 16, 32], "64 are more than the 40 pictures there are"),
        ([100], 8, [8], "16 are more than the 8 pictures"),
    ],
)
def test_the_batch_doubles_until_something_ends_it(rates, pictures, batches, why):
    found, told = double_batch_size(sizes(rates, pictures=pictures), 8, gain=5)
    assert [one.batch for one in found] == batches and told.startswith(why)
    assert [one.rate for one in found] == pytest.approx(rates[: len(batches)])


def test_no_size_is_begun_that_needs_more_memory_than_is_left():
    measure = sizes([100, 200, 400, 800], memory=lambda batch: 2**30 * (1 + batch))
    found, why = double_batch_size(measure, 1, gain=5, left=lambda: 8.5 * 2**30)
    assert [one.batch for one in found] == [1, 2, 4]  # 9 GiB come next
    assert why == "8 pictures would need 9.0 GiB, 8.5 are free"
    assert 0 < memory_left() < 2**50


def test_a_first_size_that_does_not_fit_is_an_error():
    with pytest.raises(InputError, match="start=64: out of memory"):
        double_batch_size(sizes([None]), 64, gain=5)


def test_the_smallest_batch_near_the_best_rate_is_recommended():
    found, _ = double_batch_size(sizes([100, 940, 960, 1000, 990]), 8, gain=5)
    assert [recommend(found, within).batch for within in (0, 4, 5, 7)] == [64, 32, 32, 16]


def test_a_step_is_that_of_the_training_with_its_batch_and_leaves_nothing(small, tmp_path):
    settings = (
        "model._target_=tests.training.test_batch_size.Fits",
        "+model.most=100",
        "+model.beyond=too many",
        "study=none",
    )
    cfg = small(*settings, "~model.classes", "~model.channels", "data.batch_size=7", "schedule=warmup_cosine")
    one = measure_batch_size(cfg, 100, str(tmp_path / "scratch"))
    assert (one.batch, one.pictures, one.on_gpu) == (100, 1297, False) and one.steps >= 10
    assert one.seconds > 0 and one.rate == pytest.approx(100 / one.seconds)
    assert 2**27 < one.memory < 2**36  # bytes
    assert cfg.data.batch_size == 7 and not (tmp_path / "results").exists()
    assert not list((tmp_path / "scratch").glob("*/seeds/*"))
    with pytest.raises(InputError, match=r"schedule.warmup=3: longer than the training, trainer.max_epochs=2"):
        measure_batch_size(small("schedule=warmup_cosine", "schedule.warmup=3"), 100, str(tmp_path / "scratch"))
    with pytest.raises(RuntimeError, match="too many"):
        measure_batch_size(cfg, 101, str(tmp_path / "scratch"))


def test_a_linear_probe_is_measured_too(probe, tmp_path):  # noqa: F811
    assert measure_batch_size(probe(), 16, str(tmp_path / "scratch")).pictures == 36


@pytest.fixture
def batch_size(invoked, tmp_path, cache):
    """Run `seedspread batch_size experiment=digits ARGUMENTS`."""
    fixed = ["experiment=digits", "trainer=cpu", f"results={tmp_path}/results", f"data.cache={cache}"]
    return lambda *arguments: invoked(main, *fixed, *arguments)


def test_the_command_writes_table_and_figure_and_records_no_seed(tmp_path, cache):
    arguments = ["experiment=digits", "trainer=cpu", f"results={tmp_path}/results", f"data.cache={cache}"]
    command = [sys.executable, "-m", "seedspread", "batch_size", *arguments, "start=512", "gain=0", "model.width=2"]
    ran = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert ran.returncode == 0, ran.stderr
    assert "ended: 2,048 are more than the 1,297 pictures there are" in ran.stdout
    folder = tmp_path / "results" / "digits"
    table = pd.read_csv(folder / "batch_size" / "batch_size.csv")
    assert table["batch_size"].tolist() == [512, 1024] and (table["peak_mib"] > 100).all()
    assert table["pictures_a_second"].to_numpy() == pytest.approx(1000 * table["batch_size"] / table["ms_a_step"])
    (choice,) = table["batch_size"][table["recommended"]]
    assert f"recommended: data.batch_size={choice}," in ran.stdout and "tune learning rate, momentum" in ran.stdout
    with Image.open(folder / "batch_size" / "batch_size.png") as picture:
        assert picture.width > 400
    assert "<svg" in (folder / "batch_size" / "batch_size.svg").read_text()
    assert [path.name for path in folder.iterdir()] == ["batch_size"]


@pytest.mark.parametrize("beyond", ["killed", "not enough memory"])
def test_where_memory_ends_the_sizes_before_are_told(batch_size, beyond):
    network = ["model._target_=tests.training.test_batch_size.Fits", "+model.most=1000", f"+model.beyond='{beyond}'"]
    code, out, err = batch_size("start=512", *network, "~model.classes", "~model.channels")
    assert code == 0, err
    assert "ended: out of memory at 1,024 pictures" in out and "data.batch_size=512," in out
    assert (", its process was killed" in out) == (beyond == "killed")


def test_fewer_pictures_than_the_start_are_told(batch_size, tmp_path):
    code, out, err = batch_size("start=2000")
    assert code == 1 and len(err.strip().splitlines()) <= 2
    assert "start=2000: digits has 1297 pictures to train on; choose 1 to 1297" in err
    assert not (tmp_path / "results" / "digits").exists() and not out


def test_a_folder_that_cannot_be_written_is_told_before_anything_is_measured(batch_size, tmp_path):
    (tmp_path / "results").touch()
    code, out, err = batch_size("start=512")
    assert code == 1 and not out
    assert err.startswith(f"error: cannot write to {tmp_path}/results/digits/batch_size: "), err


def test_many_runs_at_once_are_refused(batch_size):
    code, _, err = batch_size("-m")
    assert code == 1 and "-m or seeds=: sizes are measured one after the other" in err, err


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
