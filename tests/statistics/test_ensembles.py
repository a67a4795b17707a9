"""Several seeds as one predictor: against all groups of seeds, and against the truth of many seeds and examples."""

import itertools
from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as some
from hypothesis.extra.numpy import arrays
from scipy import special

from seedspread import statistics as st
from seedspread.statistics import ensembles
from tests.statistics.simulation import at_most
from tests.statistics.test_agreement import CLASSES, label_arrays, world


@given(label_arrays(), some.data())
def test_votes_are_counted_with_ties_at_random(labels, data):
    truth = data.draw(arrays(np.uint8, labels.shape[1], elements=some.integers(0, CLASSES - 1)))
    expected = []
    for column, right in zip(labels.T.tolist(), truth.tolist(), strict=True):
        counts = Counter(column)
        winners = [k for k, votes in counts.items() if votes == max(counts.values())]
        expected.append((right in winners) / len(winners))
    assert ensembles.votes_right(labels, truth) == pytest.approx(np.array(expected))


@pytest.mark.parametrize("k", [1, 2, 3, 5])
def test_ensembles_average_all_groups_of_so_many_seeds(k):
    rng = np.random.default_rng(0)
    truth = rng.integers(0, 3, 400)
    labels = np.where(rng.random((8, 400)) < rng.beta(2, 1, 400), truth, rng.integers(0, 3, (8, 400))).astype(np.uint8)
    groups = [ensembles.votes_right(labels[list(g)], truth) for g in itertools.combinations(range(8), k)]
    found = st.ensemble(labels, truth, k)
    assert found.accuracy == pytest.approx(np.mean(groups), abs=0.006)
    assert found.gain == pytest.approx(np.mean(groups) - (labels == truth).mean(), abs=0.006)
    assert found.interval.is_known == (k < 5)  # of eight seeds only one group of five
    if k <= 2:
        assert found.gain == pytest.approx(0, abs=1e-12)  # two votes: a coin where they differ


def test_an_ensemble_of_more_seeds_than_there_are_is_refused():
    with pytest.raises(ValueError, match="5"):
        st.ensemble(np.zeros((4, 3), np.uint8), np.zeros(3, int), 5)


def test_the_interval_of_the_gain_covers_new_seeds_and_examples():
    """On the same difficult examples two of three labels are right: the truth is that of many seeds and examples."""
    large = world(np.random.default_rng(99), 200, 20_000, quality=0.3, taste=0.5, ease=1.0)
    truth = st.ensemble(large, np.zeros(20_000, int), 5).gain
    rng, rounds = np.random.default_rng(3), 60
    found = [
        st.ensemble(world(rng, 20, 500, quality=0.3, taste=0.5, ease=1.0), np.zeros(500, int), 5) for _ in range(rounds)
    ]
    assert truth > 0.01
    assert np.mean([not e.interval.low <= truth <= e.interval.high for e in found]) <= at_most(0.06, rounds)


def softmaxes(rng, seeds, examples, *, sharpness=1.0, taste=1.0):
    """Probabilities (S, N, K) of seeds that see each example with noise of their own; truth (N,) is drawn from theirs
    without it.
    """
    logits = rng.normal(0, 2, (examples, CLASSES))
    truth = (rng.random((examples, 1)) > special.softmax(logits, axis=1).cumsum(axis=1)).sum(axis=1)
    seen = logits + rng.normal(0, taste, (seeds, examples, CLASSES))
    return special.softmax(sharpness * seen, axis=2).astype(np.float16), np.minimum(truth, CLASSES - 1)


def averaged(probabilities, truth, sizes, **more):
    return st.averaged_ensembles(probabilities.__getitem__, probabilities.argmax(axis=2), truth, sizes, **more)


def test_averaged_probabilities_are_those_of_all_groups_of_so_many_seeds():
    probabilities, truth = softmaxes(np.random.default_rng(0), 8, 400)
    alone = (probabilities.argmax(axis=2) == truth).mean()
    for found in averaged(probabilities, truth, (1, 2, 3, 5)):
        groups = [probabilities[list(g)].astype(float).mean(axis=0) for g in itertools.combinations(range(8), found.k)]
        accuracy = np.mean([(group.argmax(axis=1) == truth).mean() for group in groups])
        assert found.accuracy == pytest.approx(accuracy, abs=0.006)
        assert found.gain == pytest.approx(accuracy - alone, abs=0.006)
        assert found.interval.is_known == (found.k < 5)  # of eight seeds only one group of five
        bins = [st.confidence_bins(group.max(axis=1), group.argmax(axis=1) == truth) for group in groups]
        assert found.calibration_error == pytest.approx(np.mean([st.calibration_error(b) for b in bins]), abs=0.004)


def test_probabilities_decide_where_votes_are_tied():
    """One seed is sure and right, the other hesitates and is wrong: together they are right."""
    sure = np.array([[[0.95, 0.05]], [[0.4, 0.6]]])
    (found,) = averaged(sure, np.zeros(1, int), (2,))
    assert found.accuracy == 1 and found.gain == 0.5
    assert st.ensemble(sure.argmax(axis=2), np.zeros(1, int), 2).accuracy == 0.5


def test_too_few_seeds_for_an_average_are_refused():
    with pytest.raises(ValueError, match="of 5 needs as many seeds, not 4"):
        averaged(np.zeros((4, 3, 2)), np.zeros(3, int), (2, 5))


def test_seeds_are_read_one_at_a_time_and_not_more_often_than_needed(monkeypatch):
    probabilities, truth = softmaxes(np.random.default_rng(0), 60, 5)
    labels, reads = probabilities.argmax(axis=2), Counter()

    def read(position):
        reads[position] += 1
        return probabilities[position]

    st.averaged_ensembles(read, labels, truth, (2, 10))
    assert set(reads) == set(range(60)) and reads.total() == 1 + 34 * 60  # 34 partitions give 204 groups of ten
    reads.clear()
    monkeypatch.setattr(ensembles, "MOST_READ", 3 * probabilities.size)
    st.averaged_ensembles(read, labels, truth, (2, 10))
    assert reads.total() == 1 + 3 * 60
    reads.clear()
    monkeypatch.setattr(ensembles, "DRAWS", 4)
    st.averaged_ensembles(read, labels, truth, (2, 10))
    assert reads.total() == 1 + 40  # four groups of ten are enough: not all seeds are read


@pytest.mark.parametrize("k", [2, 5])
def test_the_interval_of_averaging_covers_new_seeds_and_examples(k):
    truth = averaged(*softmaxes(np.random.default_rng(99), 100, 20_000), (k,))[0].gain
    rng, rounds = np.random.default_rng(4), 80
    found = [averaged(*softmaxes(rng, 20, 500), (k,))[0] for _ in range(rounds)]
    assert truth > 0.01
    assert np.mean([not e.interval.low <= truth <= e.interval.high for e in found]) <= at_most(0.06, rounds)
    assert np.mean([e.interval.high - e.interval.low for e in found]) < 2 * truth
