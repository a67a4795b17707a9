"""What code of the user's records: final values, points of curves, what is said of test examples."""

import json
import subprocess
import sys

import numpy as np
import pytest
import torch

import seedspread as ss
from seedspread.config.errors import InputError
from seedspread.scripts.recorder import RECORD_VARIABLE, Recorder, set_current


@pytest.fixture
def recorder():
    recorder = Recorder()
    set_current(recorder)
    yield recorder
    set_current(None)


def test_final_values_are_a_curve_of_one_point(recorder):
    ss.record(accuracy=0.5, loss=2)
    ss.record(accuracy=0.9)
    assert recorder.metrics == ["accuracy", "loss"]
    assert recorder.fields() == {
        "curves": {"accuracy": [0.9], "loss": [2.0]}, "final": {"accuracy": 0.9, "loss": 2.0},
        "epochs": [0], "steps": None,
    }  # fmt: skip


@pytest.mark.parametrize("unit, other", [("epoch", "steps"), ("step", "epochs")])
def test_points_are_merged_and_sorted(recorder, unit, other):
    for point, values in ((3, {"loss": 1.0}), (0, {"loss": 4.0, "acc": 0.1}), (3, {"acc": 0.7}), (1, {"loss": 3.0})):
        ss.record(**{unit: point}, **values)
    fields = recorder.fields()
    assert fields["curves"] == {"loss": [4.0, 3.0, 1.0], "acc": [0.1, None, 0.7]}
    assert fields[f"{unit}s"] == [0, 1, 3] and fields[other] is None
    assert fields["final"] == {"loss": 1.0, "acc": 0.7}


def test_points_of_epochs_and_steps_are_in_the_order_of_both(recorder):
    for epoch, step in ((1, 30), (0, 10), (0, 20)):
        ss.record(epoch=epoch, step=step, loss=step)
    fields = recorder.fields()
    assert (fields["epochs"], fields["steps"], fields["curves"]) == ([0, 0, 1], [10, 20, 30], {"loss": [10, 20, 30]})


def test_epochs_in_some_calls_and_steps_in_others_are_refused(recorder):
    ss.record(epoch=0, loss=1)
    ss.record(step=7, acc=1)
    with pytest.raises(InputError, match="some calls name epoch=, others step="):
        recorder.fields()


def test_a_final_value_stands_above_the_last_point(recorder):
    ss.record(epoch=0, loss=1, acc=0.5)
    ss.record(loss=0.25, test_acc=0.75)
    assert recorder.fields()["final"] == {"loss": 0.25, "acc": 0.5, "test_acc": 0.75}
    assert recorder.fields()["curves"] == {"loss": [1.0], "acc": [0.5]}


def test_examples_at_an_epoch_make_no_point(recorder):
    ss.record(accuracy=0.9)
    ss.record(epoch=4, predictions=[1, 0])
    fields = recorder.fields()
    assert fields["curves"] == {"accuracy": [0.9]} and fields["epochs"] == [0]


@pytest.mark.parametrize(
    "value", [float("nan"), float("inf"), -np.inf, np.float32("nan"), torch.tensor(float("inf")), 10**400]
)
def test_what_is_not_finite_is_none(recorder, value):
    ss.record(epoch=0, loss=1.0)
    ss.record(epoch=1, loss=value)
    fields = recorder.fields()
    assert fields["curves"] == {"loss": [1.0, None]} and fields["final"] == {"loss": None}
    json.dumps(fields, allow_nan=False)


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("value", [
    1, True, 1.0, np.float32(1), np.int64(1), np.array(1.0), np.array([1.0]), np.array([[1.0]]),
    torch.tensor(1), torch.tensor([1.0]),
    torch.ones((), requires_grad=True), torch.ones((), dtype=torch.bfloat16), torch.ones(1, 1),
])  # fmt: skip
def test_numbers_of_all_kinds(recorder, value):
    ss.record(loss=value, step=np.int64(3))
    assert recorder.fields()["final"] == {"loss": 1.0} and type(recorder.fields()["final"]["loss"]) is float
    assert recorder.fields()["steps"] == [3] and type(recorder.fields()["steps"][0]) is int


@pytest.mark.parametrize("value", ["0.9", None, b"1", [1.0], {}, np.ones(2), torch.ones(2), 1j, object()])
def test_what_is_no_number_is_refused_by_name(recorder, value):
    with pytest.raises(InputError, match=r"^loss.*a metric is a number"):
        ss.record(loss=value)


@pytest.mark.parametrize("given", [{"step": -1}, {"epoch": 0.5}, {"step": "x"}, {"epoch": [1]}])
def test_points_are_whole_numbers(recorder, given):
    with pytest.raises(InputError, match=f"^{next(iter(given))}=.*: a whole number of at least 0"):
        ss.record(loss=1, **given)


def test_nothing_recorded_is_an_error(recorder):
    ss.record(labels=[0], predictions=[0])
    with pytest.raises(InputError, match="no metric was recorded"):
        recorder.fields()


def test_outside_of_a_sweep_nothing_is_kept(monkeypatch, tmp_path):
    monkeypatch.delenv(RECORD_VARIABLE, raising=False)
    monkeypatch.chdir(tmp_path)
    ss.record(loss=1, labels=[1])
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("make", [list, np.array, torch.tensor, lambda x: torch.tensor(x, dtype=torch.float32), tuple])
def test_arrays_of_all_kinds(recorder, make):
    ss.record(labels=make([0, 2, 1]), predictions=make([0, 1, 1]))
    assert {name: array.tolist() for name, array in recorder.examples.items()} == {
        "labels": [0, 2, 1],
        "predictions": [0, 1, 1],
    }
    assert all(array.dtype == np.int64 for array in recorder.examples.values())


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16, torch.float64])
def test_probabilities_may_have_gradients_and_any_precision(recorder, dtype):
    ss.record(probabilities=torch.full((3, 2), 0.5, dtype=dtype, requires_grad=True), scores=torch.ones(3, dtype=dtype))
    assert recorder.examples["probabilities"].tolist() == [[0.5, 0.5]] * 3 and recorder.examples["scores"].shape == (3,)


@pytest.mark.parametrize(
    "given, says",
    [
        ({"labels": [[0, 1]]}, r"labels: shape \(1, 2\); \(N,\) is needed"),
        ({"labels": []}, "labels: shape"),
        ({"predictions": 3}, "predictions: shape"),
        ({"probabilities": [0.1, 0.9]}, r"probabilities: shape \(2,\); \(N, classes\) is needed"),
        ({"labels": ["cat", "dog"]}, "labels: whole numbers from 0 are needed"),
        ({"labels": [0.5, 1]}, "labels: whole numbers"),
        ({"labels": [-1, 1]}, "labels: whole numbers"),
        ({"labels": [float("nan")]}, "labels: whole numbers"),
        ({"scores": ["a"]}, "scores: numbers are needed"),
    ],
)
def test_arrays_that_cannot_be_are_refused_by_name(recorder, given, says):
    with pytest.raises(InputError, match=says):
        ss.record(**given)


def test_a_mapping_may_hold_all_of_it():
    recorder = Recorder()
    recorder.add_mapping({"acc": 0.5, "labels": [0, 1], "predictions": np.array([0, 0]), "scores": 3.0}, 2)
    assert recorder.fields()["epochs"] == [2] and recorder.metrics == ["acc", "scores"]  # one score is a metric
    assert set(recorder.examples) == {"labels", "predictions"}
    recorder.add_mapping({"acc": 0.7, "epoch": 5})
    assert recorder.fields()["epochs"] == [2, 5]
    with pytest.raises(InputError, match="3 is no name of a metric"):
        recorder.add_mapping({3: 0.5})


PROGRAM = """
import sys
import numpy as np
import seedspread as ss
for step in range(40):
    ss.record(step=step, **{f"metric_{i}_of_{sys.argv[1]}": step / 7 for i in range(100)})
ss.record(**{f"last_{sys.argv[1]}": float("nan")})
if sys.argv[1] == "0":
    ss.record(labels=[0, 1], probabilities=np.array([[0.25, 0.75], [1, 0]]))
"""


def test_processes_of_a_program_append_whole_lines(tmp_path, monkeypatch):
    """Four at once, a call of 3 kB each: no line is torn, and none lost."""
    monkeypatch.setenv(RECORD_VARIABLE, str(tmp_path))
    running = [subprocess.Popen([sys.executable, "-c", PROGRAM, str(i)]) for i in range(4)]
    assert [process.wait() for process in running] == [0] * 4
    assert len((tmp_path / "calls.jsonl").read_text().splitlines()) == 4 * 41 + 1
    recorder = Recorder()
    assert recorder.read_folder(tmp_path)
    fields = recorder.fields()
    assert fields["steps"] == list(range(40)) and len(fields["curves"]) == 400
    assert all(curve == [step / 7 for step in range(40)] for curve in fields["curves"].values())
    assert {fields["final"][f"last_{i}"] for i in range(4)} == {None}
    assert recorder.examples["labels"].tolist() == [0, 1] and recorder.examples["probabilities"].shape == (2, 2)


def test_a_program_that_records_nothing_leaves_nothing(tmp_path):
    assert not Recorder().read_folder(tmp_path)


def test_bad_input_in_a_program_is_raised_where_it_is(tmp_path, monkeypatch):
    monkeypatch.setenv(RECORD_VARIABLE, str(tmp_path))
    with pytest.raises(InputError, match="loss='x'"):
        ss.record(loss="x")
    assert not list(tmp_path.iterdir())
