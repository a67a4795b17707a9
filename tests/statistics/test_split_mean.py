"""The interval of the mean over splits that share examples, by how often it covers the truth."""

import math

import numpy as np
import pytest
from scipy import special, stats

from seedspread import statistics as st

WIDTH = 5  # of the examples: normal around one of two centres


def scores_of_splits(rng, examples, validation, splits):
    """Accuracies (splits,) of nearest-centroid classifiers on what their splits leave out, and their true mean."""
    centre = 0.5 * np.eye(WIDTH)[0]
    labels = rng.integers(0, 2, examples).astype(bool)
    inputs = rng.normal(size=(examples, WIDTH)) + np.where(labels[:, None], centre, -centre)
    order = rng.permuted(np.tile(np.arange(examples), (splits, 1)), axis=1)
    left_out = np.zeros((splits, examples), bool)
    np.put_along_axis(left_out, order[:, :validation], True, 1)
    ones, zeros = ~left_out & labels, ~left_out & ~labels
    one, zero = ((part @ inputs) / part.sum(1, keepdims=True) for part in (ones, zeros))
    normal, offset = one - zero, ((one**2 - zero**2).sum(1)) / 2
    right = labels == (inputs @ normal.T > offset).T
    length = np.linalg.norm(normal, axis=1)
    true = (special.ndtr((normal @ centre - offset) / length) + special.ndtr((normal @ centre + offset) / length)) / 2
    return (right & left_out).sum(1) / validation, true.mean()


@pytest.mark.parametrize(
    "examples, validation, splits, naive_at_most", [(200, 20, 20, 80), (200, 20, 50, 65), (300, 60, 15, 75)]
)
def test_the_corrected_interval_covers_where_the_naive_one_does_not(examples, validation, splits, naive_at_most):
    rng = np.random.default_rng(0)
    found = [scores_of_splits(rng, examples, validation, splits) for _ in range(1000)]
    truth = np.mean([true for _, true in found])

    def covered(interval_of):
        return 100 * np.mean([low <= truth <= high for low, high in (interval_of(scores) for scores, _ in found)])

    assert 93 <= covered(lambda scores: st.split_mean_interval(scores, validation, examples - validation)) <= 97
    assert covered(st.mean_interval) < naive_at_most


def test_its_width_is_that_of_the_formula():
    scores = np.random.default_rng(1).normal(90, 0.4, 12)
    half = stats.t.ppf(0.975, 11) * scores.std(ddof=1) * math.sqrt(1 / 12 + 130 / 1167)
    assert st.split_mean_interval(scores, 130, 1167) == pytest.approx((scores.mean() - half, scores.mean() + half))
    assert st.split_mean_interval(np.full(5, 0.1), 1, 9) == (pytest.approx(0.1), pytest.approx(0.1))
    assert not st.split_mean_interval(np.array([90.0]), 1, 9).is_known
