"""What code of the user's draws from: the streams of the seed that runs, and the global generators."""

import os
import random
import sys
from importlib import import_module
from importlib.util import find_spec
from typing import Any

import numpy as np

from seedspread.config.errors import InputError
from seedspread.config.streams import Streams, check_seed, torch_cpu_state

SEED_VARIABLE = "SEEDSPREAD_SEED"

_running: int | None = None  # the seed that a function of this process runs


def set_running_seed(seed: int | None) -> None:
    """Say which seed a function runs from now on; None: none."""
    global _running
    _running = seed


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
    _seed_frameworks(seed, [name for name in ("torch", "tensorflow") if find_spec(name) is not None])
    return seed


def seed_imported(seed: int) -> None:
    """Seed Python, NumPy and the frameworks that this process has imported."""
    _seed_frameworks(seed, [name for name in ("torch", "tensorflow") if name in sys.modules])


def _seed_frameworks(seed: int, frameworks: list[str]) -> None:
    numbers = dict(zip(_ORDER, Streams.of(seed).other.sequence().spawn(len(_ORDER)), strict=True))
    random.seed(_number(numbers["python"]))
    np.random.seed(numbers["numpy"].generate_state(8))
    if "torch" in frameworks:
        torch = import_module("torch")
        torch.manual_seed(_number(numbers["torch"]) >> 1)  # and every CUDA device
        torch.set_rng_state(torch_cpu_state(numbers["torch"]))
    if "tensorflow" in frameworks:
        import_module("tensorflow").random.set_seed(_number(numbers["tensorflow"]) >> 1)


_ORDER = ("python", "numpy", "torch", "tensorflow")  # part of what a seed reproduces: append only


def _number(sequence: Any) -> int:
    return int(sequence.generate_state(1, np.uint64)[0])
