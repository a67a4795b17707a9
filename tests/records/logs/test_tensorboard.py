"""Event files: what torch and TensorBoard write into them, and what is left of a torn one."""

import struct

import numpy as np
import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from torch.utils.tensorboard import SummaryWriter

from seedspread.config.errors import InputError
from seedspread.records.logs.tensorboard import find_damaged, read_events
from tests.records.logs.conftest import HERE


def event_file(folder):
    (file,) = folder.glob("*tfevents*")
    return file


@pytest.fixture
def run(tmp_path):
    with SummaryWriter(tmp_path / "seed_3") as writer:
        for step in range(4):
            writer.add_scalar("loss", 1 / (step + 1), step, new_style=step % 2 == 1)
            writer.add_scalar("exact", 1 / 3 + step, step, new_style=True, double_precision=True)
            writer.add_histogram("weights", np.arange(9.0), step)
        writer.add_text("note", "not a number")
    return tmp_path / "seed_3"


def test_the_values_are_those_of_tensorboards_own_reader(read):
    (folder, *_) = sorted((HERE / "tensorboard").iterdir())
    accumulator = EventAccumulator(str(folder), size_guidance={"scalars": 0}).Reload()
    run = read(folder)[0]
    for tag in set(accumulator.Tags()["scalars"]) - {"hp_metric", "epoch"}:
        theirs = [event.value for event in accumulator.Scalars(tag)]
        assert theirs == ([v for v in run.curves[tag] if v is not None] if tag in run.curves else [run.final[tag]])


def test_scalars_of_both_styles_and_precisions_and_nothing_else(read, run):
    (found,) = read(run)
    assert found.final.keys() == {"loss", "exact"}
    assert found.curves["loss"] == [float(np.float32(1 / (step + 1))) for step in range(4)]
    assert found.curves["exact"] == [1 / 3 + step for step in range(4)], "float64 tensors keep their digits"


def test_add_hparams_names_the_settings_of_the_run_above(read, run):
    with SummaryWriter(run) as writer:
        writer.add_hparams({"lr": 0.5, "seed": 8, "net": "small"}, {"hparam/score": 0.25}, run_name="session")
    (found,) = read(run.parent)
    assert found.hparams == {"lr": 0.5, "seed": 8, "net": "small"}
    assert found.final["hparam/score"] == 0.25 and "loss" in found.curves


def test_values_without_steps_are_counted(read, tmp_path):
    with SummaryWriter(tmp_path / "run_1") as writer:
        for value in (3.0, 2.0, 1.0):
            writer.add_scalar("loss", value)
    (found,) = read(tmp_path)
    assert found.steps == [0, 1, 2] and found.curves["loss"] == [3.0, 2.0, 1.0]


def test_a_run_that_was_resumed_from_an_earlier_step_is_refused(read, run):
    with SummaryWriter(run, filename_suffix=".resumed") as writer:
        writer.add_scalar("loss", 0.9, 2)
    with pytest.raises(InputError, match=r"seed_3: loss is (0.333333 and 0.9|0.9 and 0.333333) at step 2"):
        read(run)


@pytest.mark.parametrize("keep", [1, 7, 11, 12, 40, -1, -5])
def test_a_torn_file_is_named_and_nothing_of_it_is_read(run, keep):
    file = event_file(run)
    file.write_bytes(file.read_bytes()[:keep])
    with pytest.raises(InputError, match=r"events.out.tfevents.*torn: its last event"):
        list(read_events(file))


def test_a_flipped_bit_within_a_value_is_found(run):
    file = event_file(run)
    data = bytearray(file.read_bytes())
    place = data.index(b"\x07loss") if b"\x07loss" in data else data.index(b"loss") + 6
    data[place] ^= 4
    file.write_bytes(bytes(data))
    with pytest.raises(InputError, match="damaged: the checksum of event"):
        list(read_events(file))


def test_the_checksum_is_castagnolis_masked():
    crc = 0xE3069283  # CRC-32C of "123456789" (RFC 3720, B.4 uses the same polynomial)
    masked = (((crc >> 15) | (crc << 17)) + 0xA282EAD8) & 0xFFFFFFFF
    fits, wrong = struct.pack("<I", masked), struct.pack("<I", masked ^ 1)
    assert find_damaged([b"123456789", b"123456789"], [fits, fits]) is None
    assert find_damaged([b"123456789", b"123456789"], [fits, wrong]) == 1
