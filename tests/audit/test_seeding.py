"""What is said of calls that seed."""

import pytest

from seedspread.audit.difference import Difference, Part, find_difference
from seedspread.audit.finding import Verdict
from seedspread.audit.initialisation import judge_initialisation
from seedspread.audit.runs import Runs
from seedspread.audit.seeding import explain_unseeded
from seedspread.audit.trace import Process, Trace


@pytest.mark.parametrize("maker", ["random.Random", "numpy.random.RandomState", "numpy.random.default_rng"])
def test_a_generator_is_made_again_as_it_was_made_with_a_seed(maker):
    process = Process([["seed", maker, None, "train.py:3", "rng of train.py:3", []]])

    assert explain_unseeded(process, "rng of train.py:3")[1] == f"make it with a seed: {maker}(seed)"


def test_the_random_state_of_an_estimator_in_a_pipeline_is_named():
    def fitted(state):
        unset = ["mlpclassifier__random_state"]
        return Trace([Process([["fit", "Pipeline", "x", state, [], {"numpy": state}, ["numpy"], unset]])])

    found = judge_initialisation(Runs(fitted("1"), fitted("2"), fitted("3")))

    assert found.fix == "mlpclassifier__random_state=seed of Pipeline, or numpy.random.seed(seed)"


def test_weights_that_were_learned_before_they_were_seen_are_no_initial_weights():
    def trained(noise):
        forward = ["f", 0, 3, noise, "", ["torch"], {"torch": noise}, "o", [], []]
        average = ["weights", 1, "Average", {"a": noise}, []]
        return Trace([Process([["weights", 0, "Net", {"a": "1"}, []], forward, ["o", 0, "g", "w"], average])])

    runs = Runs(trained("1"), trained("2"), trained("3"))
    found = find_difference(runs.first.main, runs.again.main)

    assert found == Difference(0, Part.BATCH, "Net")
    assert judge_initialisation(runs, found).verdict != Verdict.UNSEEDED
