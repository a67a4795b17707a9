"""Generators of torch, NumPy and Python, seeded from streams."""

import io
import random

import numpy as np
import pytest
import torch

from seedspread.config.streams import LARGEST_SEED, Stream
from seedspread.training.seeding import (
    draw_from,
    generator_states,
    restore_generator_states,
    seed_global_generators,
    torch_cpu_state,
)


def torch_draws(stream: Stream) -> list[float]:
    with draw_from(stream):
        return torch.rand(4, dtype=torch.float64).tolist()


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


def test_of_cuda_the_state_of_the_device_that_trains_is_kept(monkeypatch):
    """A seed that trained on the second device may resume on the first."""
    states, current = {0: torch.zeros(2, dtype=torch.uint8), 1: torch.ones(2, dtype=torch.uint8)}, [1]
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "get_rng_state", lambda: states[current[0]])
    monkeypatch.setattr(torch.cuda, "set_rng_state", lambda state: states.update({current[0]: state}))
    kept = generator_states()
    current[0] = 0
    restore_generator_states(kept)
    assert torch.equal(states[0], torch.ones(2, dtype=torch.uint8))
