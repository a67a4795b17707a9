"""Where programs that know nothing of seedspread leave their metrics."""

import json
import os
import time

import numpy as np
import pytest
from tensorboard.compat.proto.event_pb2 import Event
from tensorboard.compat.proto.summary_pb2 import Summary
from tensorboard.summary.writer.event_file_writer import EventFileWriter
from tensorboard.util.tensor_util import make_tensor_proto
from torch.utils.tensorboard import SummaryWriter

from seedspread.config.errors import InputError
from seedspread.scripts.output import Places, list_files, read_output
from seedspread.scripts.recorder import Recorder
from seedspread.scripts.script import FailedError


@pytest.fixture
def read(tmp_path, monkeypatch):
    """The fields of what a program leaves that prints `out` and calls `writes`; before it, `stands` stood there."""
    monkeypatch.chdir(tmp_path)

    def found(out="", err="", writes=lambda: None, name="value", stands=lambda: None, **places):
        recorder, given = Recorder(), Places(**places)

        def fill(text):
            return text.replace("{seed}", "3")

        stands()
        before = list_files(given, fill)
        writes()
        (tmp_path / "stdout.txt").write_text(out)
        (tmp_path / "stderr.txt").write_text(err)
        read_output(recorder, given, tmp_path, fill, before, name)
        return recorder.fields() | {"examples": recorder.examples}

    return found


def test_the_last_json_line_among_text_counts(read):
    found = read(
        'start\n{"acc": 0.1}\n{no json}\n[1]\n 3\n  {"acc": 0.5, "val": {"loss": 2, "top": {"k": 1}}}\nend {"acc": 9}\n'
    )
    assert found["final"] == {"acc": 0.5, "val/loss": 2, "val/top/k": 1} and found["epochs"] == [0]


def test_what_is_no_number_is_left_out(read):
    line = {"acc": 0.5, "name": "rf", "commit": "1234567", "sha": "12e400", "ok": True, "none": None, "list": [1, 2]}
    assert read(json.dumps(line))["final"] == {"acc": 0.5}


@pytest.mark.parametrize("text", ["NaN", "Infinity", "-Infinity", '"nan"', '"NaN"', '"-inf"'])
def test_what_is_not_finite_is_none(read, text):
    assert read(f'{{"loss": {text}}}')["final"] == {"loss": None}


@pytest.mark.parametrize("unit", ["epoch", "step"])
def test_lines_with_an_epoch_or_a_step_are_points_and_the_last_without_is_final(read, unit):
    lines = [{unit: 1, "loss": 2}, {"seen": 5}, {unit: 0, "loss": 3}, {unit: 1, "acc": 0.5}, {"loss": 1, "test": 0.25}]
    found = read("\n".join(map(json.dumps, lines)))
    assert found["curves"] == {"loss": [3, 2], "acc": [None, 0.5]} and found[f"{unit}s"] == [0, 1]
    assert found["final"] == {"loss": 1, "acc": 0.5, "test": 0.25}


def test_progress_bars_and_foreign_bytes_are_no_obstacle(read, tmp_path):
    assert read('10%\r20%\r{"acc": 0.5}\r\n\udcff'.encode("utf-8", "replace").decode())["final"] == {"acc": 0.5}


def test_what_it_says_of_the_examples(read):
    found = read('{"acc": 0.5, "labels": [0, 1], "predictions": [1, 1], "probabilities": [[0, 1], [0.5, 0.5]]}')
    assert {name: array.tolist() for name, array in found["examples"].items()} == {
        "labels": [0, 1], "predictions": [1, 1], "probabilities": [[0, 1], [0.5, 0.5]],
    }  # fmt: skip
    assert found["final"] == {"acc": 0.5}


@pytest.mark.parametrize("out", ["", "acc 0.5\n", '{"name": "x"}\n', '{"acc": 0.5\n', "[0.5]\n"])
def test_a_program_that_says_nothing_fails_with_what_to_do(read, out):
    with pytest.raises(FailedError, match="no metric was found: it printed no JSON line") as failed:
        read(out)
    assert "file=, regex= or events=, or call ss.record" in failed.value.reason and out.strip() in failed.value.trace


def test_many_lines_are_read_in_a_moment(read):
    began = time.process_time()
    found = read("\n".join(json.dumps({"step": i, "loss": 1 / (1 + i)}) for i in range(20_000)))
    assert len(found["steps"]) == 20_000 and time.process_time() - began < 10


def write(path, text):
    return lambda: path.write_text(text)


CSV = "epoch, loss,val_acc,note\n0,2.5,,a\n1,1.5,0.5,b\n2,,0.75,\n"


@pytest.mark.parametrize(
    "name, text",
    [
        ("m.csv", CSV),
        ("m.csv", "\ufeff" + CSV),
        (
            "m.jsonl",
            '{"epoch": 0, "loss": 2.5}\n\n{"epoch": 1, "loss": 1.5, "val_acc": 0.5}\n{"epoch": 2, "val_acc": 0.75}\n',
        ),
        (
            "m.json",
            '[{"loss": 2.5, "epoch": 0}, {"epoch": 1, "loss": 1.5, "val_acc": 0.5}, {"epoch": 2, "val_acc": 0.75}]',
        ),
        ("m", '[{"loss": 2.5, "epoch": 0}, {"epoch": 1, "loss": 1.5, "val_acc": 0.5}, {"epoch": 2, "val_acc": 0.75}]'),
    ],
)
def test_files_with_a_row_an_epoch(read, tmp_path, name, text):
    found = read(file="{seed}-" + name, writes=write(tmp_path / f"3-{name}", text))
    assert found["epochs"] == [0, 1, 2] and found["curves"] == {"loss": [2.5, 1.5, None], "val_acc": [None, 0.5, 0.75]}
    assert found["final"] == {"loss": 1.5, "val_acc": 0.75}


def test_lightnings_csv_has_epochs_and_steps(read, tmp_path):
    text = "epoch,step,train_loss,val_acc\n0,49,1.0,\n0,99,,0.5\n1,149,0.5,\n"
    found = read(file="metrics.csv", writes=write(tmp_path / "metrics.csv", text))
    assert (found["epochs"], found["steps"]) == ([0, 0, 1], [49, 99, 149])
    assert found["final"] == {"train_loss": 0.5, "val_acc": 0.5}


def test_rows_without_numbers_of_their_own_are_epochs(read, tmp_path):
    found = read(file="m.csv", writes=write(tmp_path / "m.csv", "loss\n3\n2\n"))
    assert found["epochs"] == [0, 1] and found["curves"] == {"loss": [3, 2]}


@pytest.mark.parametrize("text, says", [
    ("{", "neither JSON nor CSV"), ("3", "has no metrics"), ("[]", "has no metrics"), ("[1]", "has no metrics"),
])  # fmt: skip
def test_files_that_cannot_be_read_are_failures(read, tmp_path, text, says):
    with pytest.raises(FailedError, match=says):
        read(file="m.json", writes=write(tmp_path / "m.json", text))


def test_a_file_that_it_did_not_write_is_a_failure(read, tmp_path):
    with pytest.raises(FailedError, match="m.json is not there: the program did not write it"):
        read(file="m.json")


def test_a_file_of_another_seed_is_refused_however_new_it_is(read, tmp_path):
    """Without {seed} in its name, the file of the seed before is there, written a moment ago."""
    stands = write(tmp_path / "m.json", '{"acc": 0.5}')
    with pytest.raises(FailedError, match="m.json is older than this run: the program did not write it"):
        read(file="m.json", stands=stands)

    def writes_the_same():
        time.sleep(0.02)
        stands()

    assert read(file="m.json", stands=stands, writes=writes_the_same)["final"] == {"acc": 0.5}


def test_a_file_whose_clock_is_another_machines_counts(read, tmp_path):
    def writes():
        (tmp_path / "m.json").write_text('{"acc": 0.5}')
        os.utime(tmp_path / "m.json", (1e9, 1e9))

    assert read(file="m.json", writes=writes)["final"] == {"acc": 0.5}


@pytest.mark.parametrize(
    "regex, out, final, curves",
    [
        ("acc: ([0-9.]+)", "acc: 0.5\n", {"value": 0.5}, {"value": [0.5]}),
        ("acc: ([0-9.]+)", "acc: 0.5\nacc: 0.75\n", {"value": 0.75}, {"value": [0.5, 0.75]}),
        ("acc: (?P<acc>[0-9.]+) loss: (?P<loss>\\S+)", "acc: 0.5 loss: nan", {"acc": 0.5, "loss": None}, None),
        ("acc: (\\S+) loss: (\\S+)", "acc: 0.5 loss: 2", {"value": 0.5, "value2": 2}, None),
        ("^at (?P<epoch>\\d+) acc (?P<acc>\\S+)$", "at 1 acc 0.5\nat 0 acc 0.1\n", {"acc": 0.5}, {"acc": [0.1, 0.5]}),
        ("acc: (\\S+)", "acc: words\nacc: 0.5", {"value": 0.5}, None),
    ],
)  # fmt: skip
def test_a_pattern_finds_numbers_in_the_output(read, regex, out, final, curves):
    for place in ({"out": out}, {"err": out}):
        found = read(regex=regex, **place)
        assert found["final"] == final and (curves is None or found["curves"] == curves)


def test_a_pattern_without_names_finds_the_metric_that_is_named(read):
    assert read("acc: 0.5", regex="acc: (.*)", name="val_acc")["final"] == {"val_acc": 0.5}


@pytest.mark.parametrize(
    "out, says", [("", "nothing in its output matches"), ("acc: high", "what it finds is no number")]
)
def test_a_pattern_that_finds_nothing_is_a_failure(read, out, says):
    with pytest.raises(FailedError, match=says):
        read(out, regex="acc: (.*)")


@pytest.mark.parametrize("regex, says", [("acc: (", "regex=acc: \\(: .*"), ("acc: .*", "put the number in brackets")])
def test_patterns_that_cannot_be_are_refused(regex, says):
    with pytest.raises(InputError, match=says):
        Places(regex=regex)


def events(folder, loss=(2.0, 1.0), **more):
    with SummaryWriter(folder) as writer:
        for step, value in enumerate(loss):
            writer.add_scalar("val/loss", value, 10 * step)
        for name, value in more.items():
            writer.add_scalar(name, value, 10)


def test_events_of_tensorboard_and_of_folders_within(read, tmp_path):
    def writes():
        events(tmp_path / "runs" / "3", acc=0.5)
        events(tmp_path / "runs" / "3" / "test", (0.25, 0.125))

    found = read(events="runs/{seed}", writes=writes)
    assert found["steps"] == [0, 10] and found["epochs"] is None
    assert found["curves"] == {"val/loss": [2.0, 1.0], "test/val/loss": [0.25, 0.125]}
    assert found["final"] == {"val/loss": 1.0, "test/val/loss": 0.125, "acc": 0.5}
    assert read(events="runs/4", writes=lambda: events(tmp_path / "runs" / "4"))["final"] == {"val/loss": 1.0}


def test_events_that_are_tensors_as_tensorflow_2_writes_them(read, tmp_path):
    """`tf.summary.scalar` and Keras's callback log tensors, which TensorBoard does not count among its scalars."""

    def writes():
        values = [("epoch_loss", step, np.float64(1 / (3 + step))) for step in range(3)]
        values += [("epoch_acc", step, np.float32(step / 4)) for step in range(3)]
        writer = EventFileWriter(str(tmp_path / "runs" / "validation"))
        for tag, step, value in values:
            summary = Summary(value=[Summary.Value(tag=tag, tensor=make_tensor_proto(value))])
            writer.add_event(Event(step=step, wall_time=step, summary=summary))
        writer.close()

    found = read(events="runs", writes=writes)
    assert found["steps"] == [0, 1, 2]
    assert found["curves"] == {
        "validation/epoch_loss": [1 / 3, 1 / 4, 1 / 5],
        "validation/epoch_acc": [0, 0.25, 0.5],
    }


def test_the_epochs_that_lightning_logs_are_no_metric(read, tmp_path):
    def writes():
        with SummaryWriter(tmp_path / "runs") as writer:
            for epoch, loss in enumerate((2.0, 1.0)):
                writer.add_scalar("val/loss", loss, 10 * epoch + 9)
                writer.add_scalar("epoch", epoch, 10 * epoch + 9)

    found = read(events="runs", writes=writes)
    assert (found["epochs"], found["steps"], found["curves"]) == ([0, 1], [9, 19], {"val/loss": [2, 1]})


def test_torn_and_ambiguous_events_are_failures_of_their_seed(read, tmp_path):
    def tear():
        events(tmp_path / "torn")
        (file,) = (tmp_path / "torn").iterdir()
        file.write_bytes(file.read_bytes()[:-3])

    with pytest.raises(FailedError, match="torn: its last event"):
        read(events="torn", writes=tear)
    with pytest.raises(FailedError, match="val/loss is 2 and 3 at step 0"):
        read(events="twice", writes=lambda: [events(tmp_path / "twice", (loss, 1)) for loss in (2, 3)])


def test_events_of_an_earlier_run_do_not_count(read, tmp_path):
    """A killed run of the seed left more steps than this one has."""
    folder = tmp_path / "runs"
    found = read(events="runs", stands=lambda: events(folder, (9, 8, 7, 6)), writes=lambda: events(folder, (2, 1)))
    assert found["curves"] == {"val/loss": [2, 1]}
    with pytest.raises(FailedError, match="runs is older than this run"):
        read(events="runs")


def test_a_folder_without_events_is_a_failure(read, tmp_path):
    with pytest.raises(FailedError, match="runs is not there"):
        read(events="runs")
    with pytest.raises(FailedError, match="runs has no scalars of TensorBoard"):
        read(events="runs", writes=(tmp_path / "runs").mkdir)


def test_several_places_are_read_together(read, tmp_path):
    found = read("acc: 0.5", regex="acc: (?P<acc>.*)", file="m.json", writes=write(tmp_path / "m.json", '{"loss": 2}'))
    assert found["final"] == {"acc": 0.5, "loss": 2}
