"""Chunks of seeds."""

from hypothesis import given
from hypothesis import strategies as st

from seedspread.execution.plan import balanced_chunks, equal_chunks


@given(st.integers(1, 3000), st.integers(1, 16))
def test_chunks_hold_every_seed_once_keep_everyone_busy_and_are_few(n, workers):
    chunks = balanced_chunks(range(n), workers)
    assert [seed for chunk in chunks for seed in chunk] == list(range(n))
    sizes = [len(chunk) for chunk in chunks]
    assert sizes == sorted(sizes, reverse=True) and len(chunks) >= min(n, workers)
    assert len(chunks) <= 12 * workers


def test_chunks_of_a_size():
    assert [len(chunk) for chunk in equal_chunks(range(120), 50)] == [50, 50, 20]
