"""Summaries of scores and durations."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from seedspread.records.progress import format_duration, summarise


@given(st.dictionaries(st.integers(0, 99), st.floats(0, 1), min_size=1))
def test_a_summary_against_numpy(scores):
    s = summarise(scores)
    values = np.array(list(scores.values()))
    assert s.n == len(scores)
    np.testing.assert_allclose([s.mean, s.min, s.max], [values.mean(), values.min(), values.max()])
    assert np.isnan(s.std) if len(scores) == 1 else np.isclose(s.std, np.std(values, ddof=1))
    assert scores[s.min_seed] == s.min and scores[s.max_seed] == s.max
    assert s.min_seed == min(seed for seed in scores if scores[seed] == s.min)


@pytest.mark.parametrize("seconds, said", [(5, "5 s"), (89, "89 s"), (600, "10 min"), (12_000, "3 h 20 min")])
def test_durations(seconds, said):
    assert format_duration(seconds) == said
