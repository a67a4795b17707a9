"""A generator's hash is that of its state: equal for equal seeds, another after a draw."""

import random
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

from seedspread.audit.tracer.generators import hash_generator

KINDS: dict[str, tuple[Callable[[int], Any], Callable[[Any], Any]]] = {
    "random.Random": (random.Random, lambda one: one.random()),
    "RandomState": (np.random.RandomState, lambda one: one.rand()),
    "PCG64": (np.random.default_rng, lambda one: one.random()),
    "MT19937": (lambda seed: np.random.Generator(np.random.MT19937(seed)), lambda one: one.random()),
    "torch.Generator": (lambda seed: torch.Generator().manual_seed(seed), lambda one: torch.rand((), generator=one)),
}


@pytest.mark.parametrize("kind", KINDS)
def test_the_hash_follows_the_state(kind):
    make, draw = KINDS[kind]
    one, same, other = make(0), make(0), make(1)
    assert hash_generator(one) == hash_generator(same) != hash_generator(other)
    draw(one)
    assert hash_generator(one) != hash_generator(same)
    draw(same)
    assert hash_generator(one) == hash_generator(same)
    for _ in range(623):  # MT19937 makes 624 words at once; a double takes two
        draw(one), draw(same)
    assert hash_generator(one) == hash_generator(same)


def test_one_state_has_one_hash_under_both_of_numpys_classes():
    state = np.random.RandomState(3)
    generator = np.random.Generator(np.random.MT19937())
    generator.bit_generator.state = state._bit_generator.state
    assert hash_generator(generator) == hash_generator(state)
