"""A seed drives independent random streams: `init`, `order`, `augment`, and `other` for what draws besides.

Every draw of the project comes from `Stream.rng(*key)`, a fresh generator for that key (an epoch, say). A draw
therefore depends on the seed and the key alone: not on what was drawn before, not on the device, not on the number of
workers. Streams are told apart, and neighbouring seeds made unrelated, by NumPy's SeedSequence (O'Neill 2015; NumPy
"Parallel random number generation").
"""

import random
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch

from seedspread.config.streams import Stream


def torch_cpu_state(sequence: np.random.SeedSequence) -> torch.Tensor:
    """A state for torch's CPU generator with the full entropy of `sequence`, shape (5056,) uint8.

    `torch.manual_seed` keeps the low 32 bits of its argument on the CPU, so that s and s + 2**32 draw the same numbers
    and two of 10,000 hashed seeds would coincide with a probability of 1 %. Both NumPy and torch run the same Mersenne
    Twister (Matsumoto and Nishimura 1998); the 624 words that NumPy derives are set as torch's state.
    """
    words = np.random.MT19937(sequence).state["state"]["key"]
    state = torch.Generator().manual_seed(0).get_state()
    # Layout (ATen, CPUGeneratorImpl): 24 bytes of header, then 624 words of 32 bits held as 64.
    state[24 : 24 + 624 * 8] = torch.from_numpy(words.astype(np.uint64).view(np.uint8))
    return state


@contextmanager
def draw_from(stream: Stream) -> Iterator[None]:
    """Within the block torch's CPU generator draws from `stream`; its former state comes back afterwards.

    For code that takes no generator: the constructors of models.
    """
    with torch.random.fork_rng(devices=[]):
        torch.set_rng_state(torch_cpu_state(stream.sequence()))
        yield


def seed_global_generators(stream: Stream) -> None:
    """Seed Python, NumPy, torch's CPU generator and those of every CUDA device, each with its own number.

    Nothing of the project draws from them. Layers that draw while training, dropout for one, do.
    """
    for_python, for_numpy, for_torch, for_cuda = stream.sequence().spawn(4)
    random.seed(int(for_python.generate_state(1, np.uint64)[0]))
    np.random.seed(for_numpy.generate_state(8))
    torch.set_rng_state(torch_cpu_state(for_torch))
    torch.cuda.manual_seed_all(int(for_cuda.generate_state(1, np.uint64)[0] >> np.uint64(1)))


def generator_states() -> dict[str, Any]:
    """The states of all global generators, of types that a checkpoint read with `weights_only=True` may hold."""
    state: dict[str, Any] = np.random.get_state(legacy=False)
    return {
        "python": random.getstate(),
        "numpy": {**state, "state": {**state["state"], "key": state["state"]["key"].tolist()}},
        "torch": torch.get_rng_state(),
        "cuda": torch.cuda.get_rng_state_all() if torch.cuda.is_available() else [],
    }


def restore_generator_states(states: dict[str, Any]) -> None:
    """Put all global generators back where `generator_states` found them; CUDA devices as many as are here."""
    version, words, gauss = states["python"]
    random.setstate((version, tuple(words), gauss))
    state = states["numpy"]
    np.random.set_state({**state, "state": {**state["state"], "key": np.array(state["state"]["key"], np.uint32)}})
    torch.set_rng_state(states["torch"])
    for device, state in zip(range(torch.cuda.device_count()), states["cuda"], strict=False):
        torch.cuda.set_rng_state(state, device)
