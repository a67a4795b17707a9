"""Traces as they are read: which forward passes train, which evaluate."""

import json

import pytest

from seedspread.audit.trace import Process, Trace
from seedspread.config.errors import InputError

STEP = [["l", "l"], ["o", 0, "g", "w"]]
WEIGHTS = [["weights", 0, "Net", {"a": "1"}, []], ["weights", 1, "Other", {"a": "1"}, []]]


def forward(mode=3, root=0):
    return ["f", root, mode, "i", "", [], {}, "o", [], []]


def evaluates(*events):
    return Process([*WEIGHTS, *events]).is_evaluation


def test_passes_besides_the_usual_ones_of_a_step_evaluate():
    train, validate = [forward(), *STEP], [forward(), forward()]  # neither eval() nor no_grad()

    assert evaluates(*train, *train, *train, *validate, *train, *train, *validate) == [
        *[False] * 3, True, True, False, False, True, True,
    ]  # fmt: skip


def test_passes_before_training_evaluate():
    assert evaluates(forward(mode=0), *3 * [forward(), *STEP]) == [True, False, False, False]


def test_accumulated_batches_train():
    step = [*3 * [forward(), ["l", "l"]], STEP[1]]
    last = [forward(), ["l", "l"], STEP[1]]

    assert not any(evaluates(*step, *step, *last, *step))


def test_two_passes_for_one_loss_train():
    assert not any(evaluates(*4 * [forward(), forward(), *STEP]))


def test_a_teacher_without_gradients_trains_with_its_student():
    assert not any(evaluates(*4 * [forward(mode=0, root=1), forward(), *STEP]))


def test_evaluation_after_each_step_is_known_by_its_mode():
    assert evaluates(*3 * [forward(), *STEP, forward(mode=0)]) == 3 * [False, True]


def test_a_torn_last_line_is_left_out(tmp_path):
    (tmp_path / "1.jsonl").write_text(json.dumps(["start", {"pid": 1, "parent": 0}]) + '\n["l","12')

    assert len(Trace.read(tmp_path).main.events) == 1


def test_no_trace_is_an_error_that_says_why(tmp_path):
    with pytest.raises(InputError, match="PYTHONPATH"):
        Trace.read(tmp_path)


def test_the_batches_of_workers_are_those_of_their_own_rank(tmp_path):
    def write(name, pid, parent, rank, *events):
        lines = [["start", {"pid": pid, "parent": parent, "rank": rank}], *events]
        (tmp_path / f"{name}.jsonl").write_text("\n".join(map(json.dumps, lines)))

    write("1", 10, 1, 0, *STEP)
    write("2", 20, 1, 1, *STEP)
    write("3", 11, 10, None, ["s", "0:0", 0, 0, [1], "", {}])
    write("4", 21, 20, None, ["s", "0:0", 0, 0, [2], "", {}])
    trace = Trace.read(tmp_path)

    assert [process.rank for process in trace.ranks] == [0, 1]
    assert [batch.indices for batch in trace.batches] == [(1,)]
    assert [batch.indices for batch in trace.batches_by(trace.ranks[1])] == [(2,)]
