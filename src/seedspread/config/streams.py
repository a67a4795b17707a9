"""The independent random streams that a seed drives: NumPy, and torch where it is asked for."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from seedspread.config.errors import InputError

LARGEST_SEED = 2**63 - 1
A_SEED = "a seed is a whole number from 0 to 2**63-1, for example {key}=3"
STREAMS = ("init", "order", "augment", "other", "split")

# Spawn keys are part of what a seed reproduces: never renumber them.
_SPAWN_KEYS = {"init": 0, "order": 1, "augment": 2, "other": 3, "split": 4, "butterfly": 5}


def check_seed(value: Any, key: str = "seed") -> int:
    """Return `value` as a seed, a whole number from 0 to 2**63 - 1; raise InputError naming `key` otherwise."""
    if isinstance(value, bool) or not isinstance(value, int | np.integer) or not 0 <= value <= LARGEST_SEED:
        raise InputError(f"{key}={value}: {A_SEED.format(key=key)}")
    return int(value)


@dataclass(frozen=True)
class Stream:
    """One source of randomness of a run."""

    name: str
    seed: int

    def sequence(self, *key: int) -> np.random.SeedSequence:
        """The seed sequence of this stream at `key`, for example an epoch."""
        return np.random.SeedSequence(self.seed, spawn_key=(_SPAWN_KEYS[self.name], *key))

    def rng(self, *key: int) -> np.random.Generator:
        """A generator that depends on the stream's name, its seed and `key` only."""
        return np.random.default_rng(self.sequence(*key))

    def torch_generator(self, *key: int, device: str = "cpu") -> Any:
        """As `rng`, a torch.Generator."""
        import torch

        generator = torch.Generator(device)
        if generator.device.type == "cpu":
            return generator.set_state(torch_cpu_state(self.sequence(*key)))
        return generator.manual_seed(int(self.sequence(*key).generate_state(1, np.uint64)[0] >> np.uint64(1)))


@dataclass(frozen=True)
class Streams:
    """The streams of one run; each follows the run's seed unless it has a seed of its own.

    >>> streams = Streams.of(3, order=7)
    >>> streams.seeds()
    {'init': 3, 'order': 7, 'augment': 3, 'other': 3, 'split': 3}
    >>> streams.order.rng(0).permutation(4)  # of epoch 0
    array([2, 1, 3, 0])
    """

    init: Stream
    order: Stream
    augment: Stream
    other: Stream
    split: Stream

    @classmethod
    def of(cls, seed: int, **own: int | None) -> "Streams":
        """The streams of `seed`; `own` holds the seeds of streams set on their own, as `streams.init=7` does."""
        unknown = sorted(set(own) - set(STREAMS))
        if unknown:
            raise InputError(f"streams.{unknown[0]}: the streams are {', '.join(STREAMS)}")
        seeds = {name: seed if own.get(name) is None else own[name] for name in STREAMS}
        return cls(**{name: Stream(name, check_seed(value, f"streams.{name}")) for name, value in seeds.items()})

    def seeds(self) -> dict[str, int]:
        """The seed of each stream, by name."""
        return {name: getattr(self, name).seed for name in STREAMS}


def torch_cpu_state(sequence: np.random.SeedSequence) -> Any:
    """A state for torch's CPU generator with the full entropy of `sequence`, shape (5056,) uint8.

    On the CPU `torch.manual_seed` uses the low 32 bits of its argument: s and s + 2**32 draw the same numbers, and
    among 10,000 hashed seeds two coincide with a probability of 1 %. NumPy and torch implement the same Mersenne
    Twister (Matsumoto and Nishimura 1998), so the 624 words that NumPy derives become torch's state.
    """
    import torch

    words = np.random.MT19937(sequence).state["state"]["key"]
    state = torch.Generator().manual_seed(0).get_state()
    # Layout (ATen, CPUGeneratorImpl): 24 bytes of header, then 624 words of 32 bits held as 64.
    state[24 : 24 + 624 * 8] = torch.from_numpy(words.astype(np.uint64).view(np.uint8))
    return state
