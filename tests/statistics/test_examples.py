"""Errors over test examples: against simulations of known truth and by hand."""

import tracemalloc

import numpy as np
import pytest
from scipy import stats

from seedspread import statistics as st


def answers(rng, seeds, right, clash=0.7):
    """Correctness (seeds, N) where each example is right at a rate of its own, and each network has a skill."""
    odds = right + clash * rng.normal(size=(seeds, 1)) * 0.1
    return rng.random((seeds, len(right))) < 1 / (1 + np.exp(-odds))


@pytest.mark.parametrize("same, pairs", [(True, False), (True, True), (False, False)])
def test_the_error_over_seeds_and_examples_covers_the_truth(same, pairs):
    rng, rounds, seeds, n = np.random.default_rng(7), 1000, 12, 150
    gain = 0.3
    hard = rng.normal(1.5, 1.5, 200_000)
    expected = [np.mean(1 / (1 + np.exp(-(hard + shift)))) for shift in (0, gain)]
    truth, hits, alone = expected[1] - expected[0], 0, 0
    for _ in range(rounds):
        first = rng.normal(1.5, 1.5, n)
        second = first if same else rng.normal(1.5, 1.5, n)
        a, b = answers(rng, seeds, first), answers(rng, seeds, second + gain)
        packed = [[np.packbits(row) for row in arm] for arm in (a, b)]
        one, other = (st.share_right(arm, n) for arm in packed)
        both = st.share_right((x & y for x, y in zip(*packed, strict=True)), n) if pairs else None
        over_seeds = (st.paired_t_test if pairs else st.welch_test)(a.mean(axis=1), b.mean(axis=1))
        error = st.example_error(one, other, same)
        shared = st.shared_variance(one, seeds, other, seeds, both)
        low, high = st.over_seeds_and_examples(over_seeds, error, shared, n).interval
        hits += low <= truth <= high
        alone += over_seeds.interval.low <= truth <= over_seeds.interval.high
    assert 0.93 <= hits / rounds <= 0.97 and alone < hits


def test_the_variance_shared_by_seeds_and_examples_is_theirs():
    rng = np.random.default_rng(8)
    a, b = rng.random((9, 40)) < 0.8, rng.random((9, 40)) < 0.7
    b[:, :20] = a[:, :20]
    one, other = a.mean(axis=0), b.mean(axis=0)
    alone = st.shared_variance(one, 9, other, 9)
    assert alone == pytest.approx((a.var(axis=0, ddof=1).sum() + b.var(axis=0, ddof=1).sum()) / 40**2 / 9)
    apart = (b.astype(int) - a).var(axis=0, ddof=1).sum() / 40**2 / 9
    assert st.shared_variance(one, 9, other, 9, (a & b).mean(axis=0)) == pytest.approx(apart)


def test_ten_thousand_seeds_on_ten_thousand_examples_fit_into_memory():
    rng = np.random.default_rng(0)
    rows = rng.integers(0, 256, (100, 1250), dtype=np.uint8)
    tracemalloc.start()
    share_right = st.share_right((rows[i % 100] for i in range(10_000)), 10_000)
    both = st.share_right((rows[i % 100] & rows[-i % 100] for i in range(10_000)), 10_000)
    assert st.example_error(share_right, share_right[::-1], same=True) > 0
    assert st.shared_variance(share_right, 10_000, share_right, 10_000, both) > 0
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 10e6  # bytes, beside the 12.5 MB of packed rows that a study has


@pytest.mark.parametrize("right, examples", [(0, 50), (450, 500), (9002, 10_000), (50, 50)])
def test_accuracies_have_wilsons_interval(right, examples):
    low, high = st.accuracy_interval(np.array([right / examples]), examples)
    expected = stats.binomtest(right, examples).proportion_ci(method="wilson")
    assert (low[0], high[0]) == pytest.approx((expected.low, expected.high), abs=1e-12)


def test_the_share_right_and_the_variance_of_independent_examples():
    rng = np.random.default_rng(0)
    rate = rng.beta(4, 0.5, 203)  # no multiple of 8
    correct = rng.random((400, 203)) < rate
    share = st.share_right((np.packbits(row) for row in correct), 203)
    assert share == pytest.approx(correct.mean(axis=0))
    variance = st.independent_example_variance(share, 400)
    by_hand = sum(p * (1 - p) * 400 / 399 for p in share) / 203**2
    assert variance == pytest.approx(by_hand)
    assert variance == pytest.approx(correct.mean(axis=1).var(ddof=1), rel=0.25)  # they are independent here
    assert variance == pytest.approx((rate * (1 - rate)).sum() / 203**2, rel=0.02)  # unbiased, up to chance
