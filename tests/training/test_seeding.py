import io
import random

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from seedspread.config.errors import InputError
from seedspread.config.streams import STREAMS, Stream, Streams, check_seed
from seedspread.training.seeding import (
    LARGEST_SEED,
    draw_from,
    generator_states,
    restore_generator_states,
    seed_global_generators,
    torch_cpu_state,
)

seeds = st.integers(0, LARGEST_SEED)


def torch_draws(stream: Stream) -> list[float]:
    with draw_from(stream):
        return torch.rand(4, dtype=torch.float64).tolist()


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


def test_torch_draws_the_very_numbers_of_numpys_mersenne_twister():
    sequence = Stream("init", 3407).sequence()
    generator = torch.Generator()
    generator.set_state(torch_cpu_state(sequence))
    # torch makes a float of the low 24 bits of a word; NumPy first gives out one word of the state as seeded
    ours = (torch.rand(1000, generator=generator) * 2**24).long()
    assert ours.tolist() == (np.random.MT19937(sequence).random_raw(1001)[1:] % 2**24).tolist()


def test_seeds_that_share_their_low_32_bits_give_other_networks():
    # The trap: torch's own seeding does not tell them apart.
    assert torch.equal(
        torch.rand(3, generator=torch.Generator().manual_seed(5)),
        torch.rand(3, generator=torch.Generator().manual_seed(5 + 2**32)),
    )
    assert torch_draws(Stream("init", 5)) != torch_draws(Stream("init", 5 + 2**32))


def test_drawing_from_leaves_the_global_generator_as_it_was():
    torch.manual_seed(1)
    expected = torch.rand(3).tolist()
    torch.manual_seed(1)
    torch_draws(Stream("init", 9))
    assert torch.rand(3).tolist() == expected


def test_a_stream_set_on_its_own_leaves_the_others():
    assert Streams.of(0, init=None, order=7).seeds() == {"init": 0, "order": 7, "augment": 0, "other": 0}
    with pytest.raises(InputError, match="the streams are init, order, augment, other"):
        Streams.of(0, dropout=1)


@pytest.mark.parametrize("value", [-1, 0.5, 1.0, "x", None, True, 2**63, "range(0,3)"])
def test_what_is_no_seed_is_refused_by_name(value):
    with pytest.raises(InputError, match=r"^streams\.init="):
        check_seed(value, "streams.init")


@pytest.mark.parametrize("seed", [0, 7, LARGEST_SEED])
def test_seeding_the_global_generators_repeats_all_of_them(seed):
    def draws():
        seed_global_generators(Stream("other", seed))
        return random.random(), np.random.random(), torch.rand(1).item()

    assert draws() == draws()
    assert len(set(draws())) == 3


def test_generator_states_bring_back_every_draw():
    def draws():
        return random.random(), random.gauss(0, 1), np.random.random(), np.random.normal(), torch.rand(3).tolist()

    seed_global_generators(Stream("other", 5))
    random.gauss(0, 1), np.random.normal()  # each keeps the second of two draws for later
    file = io.BytesIO()
    torch.save(generator_states(), file)
    expected = draws()
    draws()
    file.seek(0)
    restore_generator_states(torch.load(file, weights_only=True))
    assert draws() == expected
