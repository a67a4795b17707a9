"""The states of the random generators of a process, and which of them have been drawn from since one last looked.

A generator has a short name: `python`, `numpy`, `torch`, `cuda:0`; `torch.Generator` objects that loaders hold and
generators that a data set holds have longer ones.
"""

from __future__ import annotations

import ctypes
import random
import sys
from typing import Any
from zlib import crc32

from .hashes import outside_transforms

MOST_KNOWN = 16  # generators besides the global ones
_MT19937 = 4 * (624 + 1)  # bytes: the key and the position
MOST_OF_A_PLACE = 3  # that one line makes, besides one for every second batch


def read_states() -> dict[str, str]:
    """The hashes of the states of all global generators that exist here."""
    found = {"python": hash_python(random.getstate())}
    numpy = sys.modules.get("numpy.random")
    if numpy is not None and hasattr(numpy, "mtrand"):
        found["numpy"] = hash_numpy(numpy.mtrand._rand)
    torch = sys.modules.get("torch")
    if torch is not None and hasattr(torch, "default_generator"):
        found["torch"] = hash_torch(torch.default_generator)
        cuda = getattr(torch, "cuda", None)
        if cuda is not None and cuda.is_initialized():
            for i, generator in enumerate(cuda.default_generators):
                found[f"cuda:{i}"] = hash_torch(generator)
    return found


def hash_python(state: tuple[Any, ...]) -> str:
    """The hash of a state of random.Random; before Python 3.12 that of None, one of its parts, differs by process."""
    _, numbers, next_gauss = state
    return f"{hash((numbers, next_gauss or 0.0)) & 0xFFFFFFFF:08x}"


def hash_torch(generator: Any) -> str:
    """The hash of the state of a torch.Generator."""
    with outside_transforms():
        return f"{crc32(generator.get_state().numpy()):08x}"


def hash_numpy(generator: Any) -> str:
    """The hash of the state of a RandomState or a Generator of NumPy."""
    bits = getattr(generator, "_bit_generator", None) or generator.bit_generator
    if type(bits).__name__ == "MT19937":  # read where it lies: `state` makes an array of it number by number, 25 us
        return f"{crc32(ctypes.string_at(bits.ctypes.state_address, _MT19937)):08x}"
    return f"{_feed_state(bits.state, 0):08x}"


def _feed_state(state: Any, crc: int) -> int:
    if isinstance(state, dict):
        for part in state.values():
            crc = _feed_state(part, crc)
        return crc
    return crc32(state.tobytes() if hasattr(state, "tobytes") else repr(state).encode(), crc)


def hash_generator(value: Any) -> str | None:
    """The hash of the state of any generator; None for what is none."""
    kind = library_of(value)
    try:
        if kind == "random":
            return hash_python(value.getstate())
        return hash_numpy(value) if kind == "numpy" else hash_torch(value) if kind == "torch" else None
    except Exception:
        return None


def library_of(value: Any) -> str | None:
    """The library that a generator is of; None for what is no generator with a state."""
    kind = type(value)
    module = kind.__module__.partition(".")[0]
    if module == "random" and kind.__name__ == "Random":
        return "random"
    if module == "numpy" and kind.__name__ in ("RandomState", "Generator"):
        return "numpy"
    return "torch" if module == "torch" and kind.__name__ == "Generator" else None  # also one that is watched


def find_held(value: Any, most: int = 8) -> dict[str, Any]:
    """The generators that an object holds, itself or in what it holds, by the path to each: `transform.rng`.

    With them those that are variables of the program's main module, or of the module of the object's class.
    """
    found: dict[str, Any] = {}
    seen: set[int] = set()
    todo = [("", value, 0)]
    for name in dict.fromkeys(("__main__", type(value).__module__)):
        places = vars(sys.modules[name]) if name in sys.modules else {}
        todo += [(f"{name}.{key}", part, 9) for key, part in list(places.items()) if library_of(part)]
    while todo and len(found) < most and len(seen) < 400:
        path, one, depth = todo.pop(0)
        if id(one) in seen or isinstance(one, (str, bytes, int, float, type)) or one is None:
            continue
        seen.add(id(one))
        module = type(one).__module__.partition(".")[0]
        if library_of(one):
            found[path] = one
        elif depth < 5:
            if isinstance(one, (list, tuple)):
                parts = [(f"{path}[{i}]", part) for i, part in enumerate(one[:16])]
            elif isinstance(one, dict):
                parts = [(f"{path}[{key}]", part) for key, part in list(one.items())[:16]]
            elif hasattr(one, "__dict__") and module not in ("numpy", "builtins"):
                parts = [(f"{path}.{key}".lstrip("."), part) for key, part in list(vars(one).items())[:64]]
                closure = getattr(one, "__closure__", None)
                parts += [(f"{path}<{i}>", _content(cell)) for i, cell in enumerate(closure or ())]
            else:
                continue
            todo += [(name, part, depth + 1) for name, part in parts if not hasattr(part, "shape")]
    return found


def _content(cell: Any) -> Any:
    try:
        return cell.cell_contents
    except ValueError:  # empty
        return None


class Watch:
    """Remembers the states of the global generators, and of those that the program has made and that are `known`."""

    def __init__(self) -> None:
        self.known: dict[str, Any] = {}
        self._made: dict[str, int] = {}
        self._numbers: dict[int, tuple[int, Any]] = {}
        self.batches = 0  # that were seen so far
        self.states: dict[str, str] = read_states()
        self.drawn: set[str] = set()  # that have ever been drawn from or seeded

    def know(self, name: str, generator: Any) -> None:
        """Look at a generator from now on, instead of one that was made at the same place before it."""
        self._made[name] = self._made.get(name, 0) + 1
        if self._made[name] > MOST_OF_A_PLACE + self.batches // 2:  # one for each example
            self.known.pop(name, None)
            self.states.pop(name, None)
        elif name in self.known or len(self.known) < MOST_KNOWN:
            self.known[name] = generator
            state = hash_generator(generator)
            if state is not None:
                self.states[name] = state

    def number(self, generator: Any) -> int:
        """A number for an object, by which two places that hold the same one are known."""
        return self._numbers.setdefault(id(generator), (len(self._numbers), generator))[0]

    def find(self, generator: Any) -> str | None:
        """The name of a generator that is looked at."""
        return next((name for name, one in self.known.items() if one is generator), None)

    def look(self) -> list[str]:
        """The generators whose state is another than at the last look."""
        now = read_states()
        for name, generator in self.known.items():
            state = hash_generator(generator)
            if state is not None:
                now[name] = state
        moved = [name for name, state in now.items() if self.states.get(name, state) != state]
        self.states = now
        self.drawn.update(moved)
        return moved

    def shown(self) -> dict[str, str]:
        """The states of those that have moved at all."""
        return {name: self.states[name] for name in self.states if name in self.drawn}
