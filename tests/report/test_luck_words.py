"""What is said of luck with the test set, against the numbers of the interval."""

import numpy as np
import pytest

from seedspread.records.examples import ExampleIndex
from seedspread.report.luck_words import luck_words
from tests.synthetic import EXAMPLES, found_in, make_record


@pytest.fixture
def right(study):
    """Give the seeds of the study these examples right, (S, N) of booleans."""

    def write(rows):
        study.check_examples(ExampleIndex(np.ones(EXAMPLES, np.int64), np.arange(EXAMPLES)))
        for seed, row in enumerate(rows):
            study.write(make_record(study, seed, float(row.mean())), row.astype(np.int64))
        return found_in(study)

    return write


def test_a_variance_that_is_estimated_as_negative_is_none_and_shown_as_it_is(right):
    rng = np.random.default_rng(0)
    found = right(np.stack([rng.permutation(EXAMPLES) < 150 + seed % 2 for seed in range(24)]))
    between = found.luck.variance
    assert between.between < 0 and between.interval.low < 0
    said = luck_words(found)[0]
    high = 100 * np.sqrt(max(0, between.interval.high))
    assert f"as well: none (95 % for other seeds and other test examples: 0.00 to {high:.2f})" in said
    assert said.endswith(f"; the estimate of its variance is negative, {1e4 * between.between:.3f} points squared.")


def test_a_variance_between_networks_is_said_with_its_share(right):
    rng = np.random.default_rng(0)
    found = right(np.stack([rng.random(EXAMPLES) < level for level in np.linspace(0.5, 0.9, 24)]))
    between = found.luck.variance
    low, high = (100 * np.sqrt(side) for side in between.interval)
    share = f", {100 * between.between / between.seen:.0f} % of the observed variance."
    said = luck_words(found)[0]
    assert "the networks do differ" in said and said.endswith(share)
    value = 100 * np.sqrt(between.between)
    assert f"{value:.2f} points (95 % for other seeds and other test examples: {low:.2f} to {high:.2f})" in said
