"""Random numbers from a seed's independent streams: `init`, `order`, `augment`, and `other` for all other draws.

Every draw of the project comes from `Stream.rng(*key)`, a new generator for that key (an epoch, for example). A draw
therefore depends on the seed and the key alone: not on earlier draws, the device, or the number of workers. NumPy's
SeedSequence makes streams and neighbouring seeds independent (O'Neill 2015; NumPy "Parallel random number generation").
"""

import hashlib
import random
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch

from seedspread.config.streams import Stream, torch_cpu_state


@contextmanager
def draw_from(stream: Stream) -> Iterator[None]:
    """Within the block torch's CPU generator draws from `stream`; its former state is restored afterwards.

    For code that takes no generator: the constructors of models.
    """
    with torch.random.fork_rng(devices=[]):
        torch.set_rng_state(torch_cpu_state(stream.sequence()))
        yield


def seed_global_generators(stream: Stream, rank: int = 0) -> None:
    """Seed the global generators of Python, NumPy, torch's CPU and every CUDA device, each with its own number.

    This project does not draw from them; layers that draw during training, such as dropout, do.
    """
    for_python, for_numpy, for_torch, for_cuda = stream.sequence(*([rank] if rank else [])).spawn(4)
    random.seed(int(for_python.generate_state(1, np.uint64)[0]))
    np.random.seed(for_numpy.generate_state(8))
    torch.set_rng_state(torch_cpu_state(for_torch))
    torch.cuda.manual_seed_all(int(for_cuda.generate_state(1, np.uint64)[0] >> np.uint64(1)))


@contextmanager
def seeded(stream: Stream, *key: int) -> Iterator[None]:
    """Within the block Python's, NumPy's and torch's CPU generators draw from `stream` at `key`, as code does that
    takes no generator: a constructor, a transform, a sampler. Their former states are restored afterwards.

    A Lightning module that `seedspread train` builds has the same weights as one that is built within
    `seeded(streams.init)`.

    >>> import torch
    >>> with ss.seeded(ss.streams(3).init):
    ...     layer = torch.nn.Linear(64, 10)
    >>> with ss.seeded(ss.streams(3).init):
    ...     torch.equal(layer.weight, torch.nn.Linear(64, 10).weight)
    True
    """
    with kept_generators():
        reseed(stream, *key)
        yield


_spare: list[np.random.MT19937] = []  # to make one takes longer than to load a batch


@contextmanager
def kept_generators(numpys: np.random.MT19937 | None = None) -> Iterator[None]:
    """Restore the states of Python's, NumPy's and torch's CPU generators after the block.

    Within it NumPy's global functions draw from another generator, `numpys` if given: NumPy takes 50 times as long to
    copy its state.
    """
    python, torchs, before = random.getstate(), torch.get_rng_state(), np.random.get_bit_generator()  # type: ignore[attr-defined]
    lent = numpys or (_spare.pop() if _spare else np.random.MT19937(0))
    np.random.set_bit_generator(lent)  # type: ignore[attr-defined]
    try:
        yield
    finally:
        random.setstate(python)
        torch.set_rng_state(torchs)
        np.random.set_bit_generator(before)  # type: ignore[attr-defined]
        if numpys is None:
            _spare.append(lent)


def reseed(stream: Stream, *key: int) -> None:
    """Seed Python's, NumPy's and torch's CPU generators from `stream` at `key`, fast enough for every example.

    By a hash of both (BLAKE2), not by NumPy's SeedSequence, which takes longer than to load a small example. Of NumPy's
    and torch's generators 32 bits are set, as their own functions `seed` and `manual_seed` do: two of many examples may
    draw the same.
    """
    hashed = hashlib.blake2b(repr((stream.name, stream.seed, key)).encode(), digest_size=16).digest()
    for_python, for_numpy, for_torch = struct.unpack("<QII", hashed)
    random.seed(for_python)
    np.random.seed(for_numpy)
    torch.default_generator.manual_seed(for_torch)


def generator_states() -> dict[str, Any]:
    """The states of the global generators, in types that `torch.load(weights_only=True)` reads.

    Of CUDA that of the current device, on which this process trains: another one may resume.
    """
    state: dict[str, Any] = np.random.get_state(legacy=False)
    return {
        "python": random.getstate(),
        "numpy": {**state, "state": {**state["state"], "key": state["state"]["key"].tolist()}},
        "torch": torch.get_rng_state(),
        "cuda": [torch.cuda.get_rng_state()] if torch.cuda.is_available() else [],
    }


def restore_generator_states(states: dict[str, Any]) -> None:
    """Restore what `generator_states` returned; CUDA's on the current device."""
    version, words, gauss = states["python"]
    random.setstate((version, tuple(words), gauss))
    state = states["numpy"]
    np.random.set_state({**state, "state": {**state["state"], "key": np.array(state["state"]["key"], np.uint32)}})
    torch.set_rng_state(states["torch"])
    if states["cuda"] and torch.cuda.is_available():
        torch.cuda.set_rng_state(states["cuda"][0])
