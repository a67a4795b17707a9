"""Streams of random numbers: keyed by name, seed and place."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from seedspread.config.errors import InputError
from seedspread.config.streams import LARGEST_SEED, STREAMS, Stream, Streams, check_seed

seeds = st.integers(0, LARGEST_SEED)


@given(seeds, st.integers(0, 1000))
def test_a_draw_depends_on_stream_seed_and_key_alone(seed, epoch):
    stream = Stream("order", seed)
    Stream("augment", seed).rng(epoch).random(5)
    assert stream.rng(epoch).random(4).tolist() == Stream("order", seed).rng(epoch).random(4).tolist()


@given(seeds)
def test_streams_epochs_and_neighbouring_seeds_draw_other_numbers(seed):
    draws = [Stream(name, seed).rng(epoch).integers(2**62) for name in STREAMS for epoch in range(3)]
    draws += [Stream(name, (seed + 1) % LARGEST_SEED).rng(0).integers(2**62) for name in STREAMS]
    assert len(set(draws)) == len(draws)


def test_neighbouring_seeds_are_uncorrelated():
    draws = np.array([Stream("init", seed).rng().standard_normal(100) for seed in range(400)])
    neighbours = (draws[:-1] * draws[1:]).mean(1) * 10  # standard normal where independent
    assert abs(neighbours.mean()) < 4 / np.sqrt(len(neighbours))
    assert 0.8 < neighbours.std() < 1.2


def test_a_stream_set_on_its_own_leaves_the_others():
    assert Streams.of(0, init=None, order=7).seeds() == {"init": 0, "order": 7, "augment": 0, "other": 0, "split": 0}
    with pytest.raises(InputError, match="the streams are init, order, augment, other"):
        Streams.of(0, dropout=1)


@pytest.mark.parametrize("value", [-1, 0.5, 1.0, "x", None, True, 2**63, "range(0,3)"])
def test_what_is_no_seed_is_refused_by_name(value):
    with pytest.raises(InputError, match=r"^streams\.init="):
        check_seed(value, "streams.init")
