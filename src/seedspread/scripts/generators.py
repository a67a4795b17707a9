"""What code of the user's draws from: the streams of the seed that runs, and the global generators."""

import os
import random  # noqa: F401 - seeded by its name
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib import import_module
from importlib.util import find_spec
from typing import Any

import numpy as np

from seedspread.config.errors import InputError
from seedspread.config.streams import Streams, check_seed, torch_cpu_state
from seedspread.scripts.imports import after_import

SEED_VARIABLE = "SEEDSPREAD_SEED"

_running: int | None = None  # the seed that a function of this process runs


def current_seed(seed: int | None = None) -> int:
    """`seed`, or where it is None the seed that runs: that of the function, or of the program.

    Raises InputError outside of both, and for what is no seed.
    """
    if seed is not None:
        return check_seed(seed)
    if _running is not None:
        return _running
    given = os.environ.get(SEED_VARIABLE)
    if given is None:
        raise InputError("no seed runs here: name one, for example ss.streams(3)")
    return check_seed(int(given) if given.isdigit() else given, SEED_VARIABLE)


def streams(seed: int | None = None) -> Streams:
    """The independent streams of `seed`, by default of the seed that runs.

    Each draws from a generator of its own: `streams().init.rng()` is one of NumPy, `streams().order.torch_generator(e)`
    one of torch for epoch e. Raises InputError where no seed runs and none is named.

    >>> ss.streams(3).order.rng().permutation(4)
    array([3, 2, 1, 0])
    """
    return Streams.of(current_seed(seed))


def seed_everything(seed: int | None = None) -> int:
    """Seed Python, NumPy, torch, TensorFlow and JAX, as far as they are installed; return the seed.

    By default that is the seed that runs. Each gets a number of its own from the stream `other`. JAX has no global
    generator: its key is `jax.random.key(seed)` as ever.

    >>> import random
    >>> first = ss.seed_everything(3), random.random()
    >>> first == (ss.seed_everything(3), random.random())
    True
    """
    seed = current_seed(seed)
    for name, seed_one in _seeders(seed).items():
        if find_spec(name) is not None:
            seed_one(import_module(name))
    return seed


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Within the block `seed` runs: Python, NumPy and the frameworks are seeded, those not yet imported once they are.

    What a function draws therefore does not depend on what this process has imported before.
    """
    global _running
    seeders, before = _seeders(seed), _running
    for name, seed_one in seeders.items():
        if name in sys.modules:
            seed_one(sys.modules[name])
    _running = seed
    try:
        with after_import(seeders):
            yield
    finally:
        _running = before


def _seeders(seed: int) -> dict[str, Callable[[Any], object]]:
    """What seeds each library, given the module."""
    sequences = dict(zip(_ORDER, Streams.of(seed).other.sequence().spawn(len(_ORDER)), strict=True))

    def seed_torch(torch: Any) -> None:
        torch.manual_seed(_number(sequences["torch"]) >> 1)  # and every CUDA device
        torch.set_rng_state(torch_cpu_state(sequences["torch"]))

    return {
        "random": lambda module: module.seed(_number(sequences["random"])),
        "numpy": lambda module: module.random.seed(sequences["numpy"].generate_state(8)),
        "torch": seed_torch,
        "tensorflow": lambda module: module.random.set_seed(_number(sequences["tensorflow"]) >> 1),
    }


_ORDER = ("random", "numpy", "torch", "tensorflow")  # part of what a seed reproduces: append only


def _number(sequence: Any) -> int:
    return int(sequence.generate_state(1, np.uint64)[0])
