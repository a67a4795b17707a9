"""The batch size that trains fastest: when the search ends, what it recommends, real steps."""

import os
import signal

import pytest
from torch import nn

from seedspread.config.errors import InputError
from seedspread.training.batch_size import (
    Measurement,
    OutOfMemory,
    double_batch_size,
    free_memory,
    measure_batch_size,
    recommend,
)


class Fits(nn.Linear):
    """A network for batches of up to `most` digits; with larger ones it is killed or raises `beyond`."""

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
    """A measure function with these rates, one for each call; None is out of memory."""
    left = iter(rates)

    def measure(batch):
        if (rate := next(left)) is None:
            raise OutOfMemory
        return Measurement(batch, batch / rate, memory(batch), 10, pictures)

    return measure


@pytest.mark.parametrize(
    "rates, pictures, batches, why",
    [
        ([100, 190, 300, 310, 305, 999], 10**6, [8, 16, 32, 64, 128], "two sizes in a row gained less than 5 %"),
        ([100, 101, 200, 201, 400, 401, 402], 10**6, [8, 16, 32, 64, 128, 256, 512], "two sizes in a row"),
        ([100, 200, None], 10**6, [8, 16], "out of memory at 32 pictures"),
        ([100, 200, 400], 40, [8, 16, 32], "64 is more than the 40 training pictures"),
        ([100], 8, [8], "16 is more than the 8 training pictures"),
    ],
)
def test_the_batch_doubles_until_a_limit(rates, pictures, batches, why):
    found, reason = double_batch_size(sizes(rates, pictures=pictures), 8, gain=5)
    assert [one.batch for one in found] == batches and reason.startswith(why)
    assert [one.rate for one in found] == pytest.approx(rates[: len(batches)])


def test_no_size_is_measured_that_needs_more_memory_than_is_free():
    measure = sizes([100, 200, 400, 800], memory=lambda batch: 2**30 * (1 + batch))
    found, why = double_batch_size(measure, 1, gain=5, free=lambda: 8.5 * 2**30)
    assert [one.batch for one in found] == [1, 2, 4]  # 9 GiB come next
    assert why == "8 pictures would need 9.0 GiB, 8.5 are free"
    assert 0 < free_memory() < 2**50


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


def test_a_linear_probe_is_measured_too(probe, tmp_path):
    assert measure_batch_size(probe(), 16, str(tmp_path / "scratch")).pictures == 36
