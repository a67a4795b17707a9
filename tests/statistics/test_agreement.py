"""Agreement of seeds: every measure against a naive oracle over all pairs or groups, intervals against known truth."""

import itertools
import math
from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as some
from hypothesis.extra.numpy import arrays
from scipy import stats

from seedspread import statistics as st
from seedspread.statistics import agreement
from tests.statistics.simulation import at_most

CLASSES = 4


def label_arrays(fewest_seeds=2):
    shapes = some.tuples(some.integers(fewest_seeds, 7), some.integers(1, 9))
    return shapes.flatmap(lambda shape: arrays(np.uint8, shape, elements=some.integers(0, CLASSES - 1)))


def pairs(labels):
    return itertools.combinations(labels, 2)


def world(rng, seeds, examples, *, quality=0.0, taste=0.0, ease=3.0):
    """Labels of seeds that differ in quality and in taste for examples, which differ in difficulty: truth is 0."""
    likes, wrong = rng.normal(size=examples), rng.integers(1, CLASSES, (2, examples))
    scores = (
        rng.normal(ease, 2, examples) + rng.normal(0, quality, (seeds, 1)) + rng.normal(0, taste, (seeds, 1)) * likes
    )
    right = rng.random((seeds, examples)) < 1 / (1 + np.exp(-scores))
    return np.where(right, 0, wrong[rng.integers(2, size=(seeds, examples)), np.arange(examples)]).astype(np.uint8)


@given(label_arrays(), some.integers(1, 30))
def test_counts_are_those_of_each_column(labels, block):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(agreement, "BLOCK", block)
        counts = st.label_counts(labels, CLASSES)
    for example, column in zip(counts, labels.T, strict=True):
        assert dict(enumerate(example.tolist())) == {k: Counter(column.tolist())[k] for k in range(CLASSES)}


@given(label_arrays(), some.integers(1, 30))
def test_churn_is_the_mean_over_all_pairs(labels, block):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(agreement, "BLOCK", block)
        found = st.churn(labels, st.label_counts(labels, CLASSES))
    differ = np.array([a != b for a, b in pairs(labels)])
    assert found.value == pytest.approx(differ.mean())
    assert found.by_example == pytest.approx(differ.mean(axis=0))
    others = [[(a != b).mean() for j, b in enumerate(labels) if j != i] for i, a in enumerate(labels)]
    assert found.by_seed[0] == pytest.approx(np.mean(others, axis=1))


@given(label_arrays(fewest_seeds=4))
def test_its_variance_over_seeds_is_that_of_the_jackknife(labels):
    n = len(labels)
    without = [np.mean([a != b for a, b in pairs(np.delete(labels, i, axis=0))]) for i in range(n)]
    found = st.churn(labels, st.label_counts(labels, CLASSES))
    assert found.seeds_variance == pytest.approx((n - 1) * np.var(without), abs=1e-12)


@given(label_arrays(fewest_seeds=3))
def test_the_interaction_is_what_rows_and_columns_leave(labels):
    n, examples = labels.shape
    counts = st.label_counts(labels, CLASSES)
    h = np.array([[1 - (counts[e, k] - 1) / (n - 1) for e, k in enumerate(row)] for row in labels])
    rest = h - h.mean(axis=0) - h.mean(axis=1, keepdims=True) + h.mean()
    expected = 4 * (n - 1) / (n * (n - 2) ** 2) * (rest**2).sum() / max(1, examples - 1) / examples
    assert st.churn(labels, counts).shared == pytest.approx(expected, abs=1e-12)


def test_the_churn_of_one_seed_is_unknown_and_of_two_has_no_interval():
    labels = np.array([[0, 1, 2], [0, 1, 1]], np.uint8)
    assert math.isnan(st.churn(labels[:1], st.label_counts(labels[:1], 3)).value)
    two = st.churn(labels, st.label_counts(labels, 3))
    assert two.value == pytest.approx(1 / 3) and not two.interval.is_known
    alike = np.zeros((5, 3), np.uint8)
    assert st.churn(alike, st.label_counts(alike, 3)).interval == (0, 0)


@given(label_arrays(), some.data())
def test_churn_between_two_studies_is_the_mean_over_pairs_of_both(labels, data):
    shape = data.draw(some.integers(2, 6)), labels.shape[1]
    others = data.draw(arrays(np.uint8, shape, elements=some.integers(0, CLASSES - 1)))
    found = st.churn_between(labels, st.label_counts(labels, CLASSES), others, st.label_counts(others, CLASSES))
    differ = np.array([[a != b for b in others] for a in labels])
    assert found.value == pytest.approx(differ.mean())
    assert found.by_example == pytest.approx(differ.mean(axis=(0, 1)))
    assert found.by_seed[0] == pytest.approx(differ.mean(axis=(1, 2)))
    assert found.by_seed[1] == pytest.approx(differ.mean(axis=(0, 2)))


WORLDS = [{}, {"quality": 0.3, "taste": 0.5}, {"ease": 7.0, "quality": 0.3}]


@pytest.mark.parametrize("seeds, examples", [(5, 300), (20, 300), (60, 600)])
@pytest.mark.parametrize("kind", WORLDS, ids=str)
def test_the_interval_of_churn_covers_new_seeds_and_new_examples(kind, seeds, examples):
    """One large study tells the truth: 200 seeds on 20,000 other examples."""
    large = world(np.random.default_rng(99), 200, 20_000, **kind)
    truth = st.churn(large, st.label_counts(large, CLASSES)).value
    rng, rounds = np.random.default_rng(1), 150
    found = [world(rng, seeds, examples, **kind) for _ in range(rounds)]
    intervals = [st.churn(labels, st.label_counts(labels, CLASSES)).interval for labels in found]
    assert np.mean([not low <= truth <= high for low, high in intervals]) <= at_most(0.06, rounds)
    assert np.mean([high - low for low, high in intervals]) < 3 * truth  # no interval that says nothing


def test_the_interval_of_the_difference_of_two_churns_covers():
    """On the same examples the seeds of one study differ in taste; many seeds and examples tell the truth."""
    kinds = ({}, {"taste": 0.5})

    def draw(rng, seeds, examples):
        likes, base, wrong = rng.normal(size=examples), rng.normal(3, 2, examples), rng.integers(1, CLASSES, examples)
        for kind in kinds:
            scores = base + rng.normal(0, kind.get("taste", 0), (seeds, 1)) * likes
            labels = np.where(rng.random((seeds, examples)) < 1 / (1 + np.exp(-scores)), 0, wrong).astype(np.uint8)
            yield st.churn(labels, st.label_counts(labels, CLASSES))

    plain, apart = draw(np.random.default_rng(99), 200, 20_000)
    truth = apart.value - plain.value
    rng, rounds, missed = np.random.default_rng(2), 150, 0
    for _ in range(rounds):
        one, other = draw(rng, 20, 500)
        value, (low, high) = st.churn_difference(other, one)
        assert low < value < high
        missed += not low <= truth <= high
    assert truth > 0.005 and missed / rounds <= at_most(0.06, rounds)


def paired_studies(rng, seeds, examples, eases=(3.0, 2.6)):
    """Two studies whose i-th seeds share their quality; the second study finds all examples harder."""
    difficulty, wrong = rng.normal(0, 2, examples), rng.integers(1, CLASSES, examples)
    quality = rng.normal(0, 0.5, (seeds, 1))
    for ease in eases:
        right = rng.random((seeds, examples)) < 1 / (1 + np.exp(-(ease - difficulty + quality)))
        labels = np.where(right, 0, wrong).astype(np.uint8)
        yield st.churn(labels, st.label_counts(labels, CLASSES))


def test_paired_seeds_narrow_the_interval_of_the_difference_which_covers():
    plain, apart = paired_studies(np.random.default_rng(99), 400, 20_000)
    truth, rng, rounds = apart.value - plain.value, np.random.default_rng(3), 150
    missed, widths = 0, []
    for _ in range(rounds):
        one, other = paired_studies(rng, 20, 1_000)
        value, (low, high) = st.churn_difference(other, one, paired=True)
        assert low < value < high
        missed += not low <= truth <= high
        apart_low, apart_high = st.churn_difference(other, one)[1]
        widths.append((high - low) / (apart_high - apart_low))
    assert truth > 0.005 and missed / rounds <= at_most(0.06, rounds) and np.mean(widths) < 0.8


@given(label_arrays(fewest_seeds=3), some.data())
def test_the_variance_of_paired_seeds_is_that_of_the_jackknife(labels, data):
    others = data.draw(arrays(np.uint8, labels.shape, elements=some.integers(0, CLASSES - 1)))
    n, examples = labels.shape
    without = [
        np.mean([(a != b).mean() for a, b in pairs(np.delete(labels, i, axis=0))])
        - np.mean([(a != b).mean() for a, b in pairs(np.delete(others, i, axis=0))])
        for i in range(n)
    ]
    seeds = (n - 1) * np.var(without)
    one, other = (st.churn(each, st.label_counts(each, CLASSES)) for each in (labels, others))
    rest = np.var(one.by_example - other.by_example, ddof=1) / examples if examples > 1 else math.nan
    low, high = st.churn_difference(one, other, paired=True)[1]
    if examples < 2:
        assert math.isnan(low)
    elif seeds + rest:
        degrees = (seeds + rest) ** 2 / (seeds**2 / (n - 1) + rest**2 / (examples - 1))
        assert (high - low) / 2 == pytest.approx(stats.t.ppf(0.975, degrees) * math.sqrt(seeds + rest), rel=1e-6)


def test_churn_at_random_places_is_that_of_simulated_seeds():
    """Seeds that draw each label from the shares within its class churn as the closed form says."""
    rng = np.random.default_rng(0)
    truth = np.repeat([0, 1, 2], [1000, 2000, 3000])
    shares = np.array([[0.9, 0.1, 0, 0], [0.1, 0.6, 0.2, 0.1], [0, 0, 0.99, 0.01]])
    labels = (rng.random((60, 6000, 1)) > shares.cumsum(axis=1)[truth]).sum(axis=2).astype(np.uint8)
    counts = st.label_counts(labels, CLASSES)
    found = st.churn(labels, counts)
    assert st.independent_churn(counts, truth) == pytest.approx(found.value, abs=0.002)
    binary = np.array([[0] * 8 + [1] * 2, [1, 1] + [0] * 8], np.uint8)  # an error of 0.2 in the only class
    assert st.independent_churn(st.label_counts(binary, 2), np.zeros(10, int)) == pytest.approx(2 * 0.2 * 0.8)
    shared = np.tile(labels[:1], (60, 1))
    assert st.independent_churn(st.label_counts(shared, CLASSES), truth) > 0.2  # and their churn is 0


@given(label_arrays(), some.data())
def test_confusions_and_class_accuracies_are_counted_one_by_one(labels, data):
    truth = data.draw(arrays(np.int64, labels.shape[1], elements=some.integers(0, CLASSES - 1)))
    counts = st.label_counts(labels, CLASSES)
    found = st.confusion(counts, truth)
    for c, k in itertools.product(range(truth.max() + 1), range(CLASSES)):
        assert found[c, k] == sum(row[e] == k for row in labels for e in range(len(truth)) if truth[e] == c)
    spread = st.class_spread(labels, counts, truth)
    for c in range(truth.max() + 1):
        assert spread.examples[c] == (truth == c).sum()
        if not spread.examples[c]:
            assert math.isnan(spread.mean[c]) and math.isnan(spread.std[c]) and math.isnan(spread.by_chance[c])
            continue
        accuracy = (labels[:, truth == c] == c).mean(axis=1)
        assert spread.mean[c] == pytest.approx(accuracy.mean())
        assert spread.std[c] == pytest.approx(accuracy.std(ddof=1), abs=1e-9)


def test_the_spread_of_a_class_by_chance_is_that_of_independent_seeds():
    rng = np.random.default_rng(0)
    truth, rate = np.repeat([0, 1], [100, 400]), rng.random(500)
    labels = np.where(rng.random((2000, 500)) < rate, truth, 1 - truth).astype(np.uint8)
    spread = st.class_spread(labels, st.label_counts(labels, 2), truth)
    assert spread.by_chance == pytest.approx(spread.std, rel=0.08)
    labels[:, :100] = rng.integers(2, size=(2000, 1))  # all of the class or none
    moved = st.class_spread(labels, st.label_counts(labels, 2), truth)
    assert moved.std[0] > 0.45 and moved.std[0] > 5 * moved.by_chance[0]


@given(label_arrays(), some.integers(1, 40))
def test_the_churn_of_each_pair_is_exact(labels, block):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(agreement, "BLOCK", block)
        found = st.pairwise_churn(labels, st.label_counts(labels, CLASSES))
    assert found == pytest.approx(np.array([[(a != b).mean() for b in labels] for a in labels]), abs=1e-6)


def test_the_map_is_that_of_principal_components_and_keeps_distances():
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 3, (12, 40)).astype(np.uint8)
    apart = st.pairwise_churn(labels, st.label_counts(labels, 3))
    places, shares = st.embed(apart)
    one_hot = (labels[:, :, None] == np.arange(3)).reshape(12, -1) / math.sqrt(2 * 40)
    _, values, axes = np.linalg.svd(one_hot - one_hot.mean(axis=0))
    expected = (one_hot - one_hot.mean(axis=0)) @ axes[:2].T
    assert np.abs(places) == pytest.approx(np.abs(expected), abs=1e-6)
    assert shares == pytest.approx(values[:2] ** 2 / (values**2).sum(), abs=1e-6)
    square = np.array([[0, 0], [0, 1], [1, 0], [2, 2.0]])  # in a plane, nothing is lost
    squared = ((square[:, None] - square) ** 2).sum(axis=2)
    places, shares = st.embed(squared)
    assert ((places[:, None] - places) ** 2).sum(axis=2) == pytest.approx(squared)
    assert shares.sum() == pytest.approx(1)
    assert st.embed(np.zeros((3, 3)))[0] == pytest.approx(np.zeros((3, 2)))


def test_the_best_split_is_found_by_trying_all():
    places = np.random.default_rng(0).normal(size=11)
    found = st.families(places, draws=9)
    ordered = np.sort(places)
    between = [
        (i * (ordered[:i].mean() - ordered.mean()) ** 2 + (11 - i) * (ordered[i:].mean() - ordered.mean()) ** 2)
        / ((ordered - ordered.mean()) ** 2).sum()
        for i in range(1, 11)
    ]
    assert found.share == pytest.approx(max(between))
    assert sorted(places[found.second]) == ordered[1 + int(np.argmax(between)) :].tolist()


@pytest.mark.parametrize("seeds", [8, 40])
@pytest.mark.parametrize("kind", [{}, {"quality": 0.5}, {"taste": 0.5}], ids=str)
def test_seeds_of_one_kind_are_no_families(kind, seeds):
    rng, rounds, alarms = np.random.default_rng(0), 30, 0
    for _ in range(rounds):
        labels = world(rng, seeds, 200, **kind)
        places, _ = st.embed(st.pairwise_churn(labels, st.label_counts(labels, CLASSES)))
        alarms += st.families(places[:, 0], draws=199).p < 0.05
    assert alarms / rounds <= at_most(0.05, rounds)


@pytest.mark.parametrize("each", [4, 10, 50])
def test_two_families_are_found(each):
    """Seeds that differ in what they say of a tenth of the examples, beside what each says by chance."""
    rng = np.random.default_rng(each)
    labels = rng.random((2 * each, 400)) < rng.beta(0.3, 3, 400)
    labels[each:, :40] = ~labels[each:, :40]
    labels = labels.astype(np.uint8)
    places, shares = st.embed(st.pairwise_churn(labels, st.label_counts(labels, 2)))
    found = st.families(places[:, 0])
    assert found.p < 0.05 and shares[0] > 2 * shares[1]
    assert sorted(map(sorted, (np.flatnonzero(found.second).tolist(), np.flatnonzero(~found.second).tolist()))) == [
        list(range(each)), list(range(each, 2 * each)),
    ]  # fmt: skip


def test_seeds_of_a_large_map_are_drawn_once_and_for_all():
    few, many = st.mapped_seeds(5), st.mapped_seeds(5000)
    assert few.tolist() == [0, 1, 2, 3, 4]
    assert len(set(many.tolist())) == agreement.MAPPED and many.tolist() == st.mapped_seeds(5000).tolist()
