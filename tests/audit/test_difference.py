"""Where two traces first differ."""

from seedspread.audit.difference import Difference, Part, find_difference, locate_module
from seedspread.audit.trace import Process

WEIGHTS = ["weights", 0, "Net", {"a": "1", "b": "2"}, []]


def forward(inputs="i", output="o", state="s", drawn=("torch",), mode=3):
    return ["f", 0, mode, inputs, "", [], {"torch": state}, output, list(drawn), []]


def step(inputs="i", output="o", state="s", loss="l", gradients="g", weights="w"):
    return [forward(inputs, output, state), ["l", loss], ["o", 0, gradients, weights]]


def difference(*changes, before=2):
    one = Process([WEIGHTS, *(before + 2) * step()])
    other = Process([WEIGHTS, *before * step(), *changes, *step()])
    return find_difference(one, other)


def test_equal_traces():
    assert difference(*step()) is None


def test_the_first_hash_that_differs_says_what():
    assert difference(*step(inputs="x", output="x")) == Difference(2, Part.BATCH, "Net")
    assert difference(*step(state="x", output="x")) == Difference(2, Part.DRAWS, "Net")
    assert difference(*step(output="x", loss="x")) == Difference(2, Part.OUTPUT, "Net")
    assert difference(*step(loss="x")) == Difference(2, Part.LOSS)
    assert difference(*step(gradients="x", weights="x")) == Difference(2, Part.GRADIENTS)
    assert difference(*step(weights="x")) == Difference(2, Part.UPDATE)
    assert difference(["l", "l"]) == Difference(2, Part.COURSE, "Net")


def test_a_state_that_is_not_drawn_from_makes_no_difference():
    same = [forward(state="x", drawn=()), *step()[1:]]
    one = Process([WEIGHTS, forward(drawn=()), *step()[1:]])

    assert find_difference(one, Process([WEIGHTS, *same])) is None


def test_initial_weights_are_named():
    other = ["weights", 0, "Net", {"a": "1", "b": "x"}, []]

    assert find_difference(Process([WEIGHTS]), Process([other])) == Difference(0, Part.WEIGHTS, "Net.b")


def test_the_module_is_located_behind_equal_inputs():
    def fine(first="1", second="2", received="1"):
        return [["m", "conv1", "0", first], ["m", "conv2", received, second], forward(output=second)]

    def traced(*steps):
        return Process([WEIGHTS, *(event for one in steps for event in one)])

    end = [["l", "l"], ["o", 0, "g", "w"]]
    one = traced(fine() + end, fine() + end)

    assert locate_module(one, traced(fine() + end, fine(second="x") + end)) == Difference(1, Part.OUTPUT, "conv2")
    assert locate_module(one, traced(fine(first="x", second="x", received="x") + end)) == Difference(
        0, Part.OUTPUT, "conv1"
    )
    assert locate_module(one, traced(fine(second="x", received="x") + end)) == Difference(0, Part.RECEIVED, "conv2")


def test_a_gradient_is_located_by_its_name():
    def traced(last):
        return Process([WEIGHTS, forward(), ["l", "l"], ["g", ["1", last]], ["o", 0, last, "w"]])

    assert locate_module(traced("2"), traced("3")) == Difference(0, Part.GRADIENTS, "b")
