"""Calls that seed or make generators, and permutations that are drawn: who called, with what."""

from __future__ import annotations

import contextlib
import functools
import random
import sys
from typing import Any

from .calls import before_call, find_caller, is_compiling
from .hashes import hash_value
from .tracing import Tracing

LONGEST_SEED = 40  # characters of a seed that the trace shows


def _trace_seeding(tracing: Tracing, owner: Any, name: str, shown: str, generator: str) -> None:
    def note(*args: Any, **kwargs: Any) -> None:
        moved = tracing.watch.look()
        given = [*args, *kwargs.values()]
        text = repr(given[0]) if given and isinstance(given[0], (int, float, str)) else hash_value(given)
        fresh = not given or given[0] is None  # from the operating system
        tracing.writer.write("seed", shown, None if fresh else text[:LONGEST_SEED], find_caller(), generator, moved)
        tracing.watch.drawn.add(generator)

    def make(original: Any) -> Any:
        call = before_call(note)(original)

        @functools.wraps(original)
        def seed(*args: Any, **kwargs: Any) -> Any:
            result = call(*args, **kwargs)
            tracing.watch.look()  # seeding is no drawing
            return result

        return seed

    tracing.patches.replace(owner, name, make)


def _trace_permutation(tracing: Tracing, owner: Any, name: str, shown: str) -> None:
    """Note what a function shuffles or permutes."""

    def make(original: Any) -> Any:
        @functools.wraps(original)
        def permute(*args: Any, **kwargs: Any) -> Any:
            result = original(*args, **kwargs)
            if is_compiling():
                return result
            drawn = args[0] if result is None and args else result
            if hasattr(drawn, "__len__") and len(drawn) > 1:
                tracing.writer.write("permutation", shown, len(drawn), hash_value(drawn), find_caller())
            return result

        return permute

    tracing.patches.replace(owner, name, make)


def trace_random(tracing: Tracing) -> None:
    """Trace the module random."""
    _trace_seeding(tracing, random, "seed", "random.seed", "python")
    _trace_seeding(tracing, random, "setstate", "random.setstate", "python")
    _trace_permutation(tracing, random, "shuffle", "random.shuffle")
    _trace_permutation(tracing, random, "sample", "random.sample")


def trace_numpy(tracing: Tracing, module: Any) -> None:
    """Trace numpy.random."""
    _trace_seeding(tracing, module, "seed", "numpy.random.seed", "numpy")
    _trace_seeding(tracing, module, "set_state", "numpy.random.set_state", "numpy")
    for name in ("shuffle", "permutation", "choice"):
        _trace_permutation(tracing, module, name, f"numpy.random.{name}")

    def make(original: Any) -> Any:
        @functools.wraps(original)
        def default_rng(*args: Any, **kwargs: Any) -> Any:
            generator = original(*args, **kwargs)
            given = [*args, *kwargs.values()]
            if not given or not hasattr(given[0], "bit_generator"):
                caller, seed = find_caller(), given[0] if given else None
                tracing.watch.know(f"rng of {caller}", generator)
                text = None if seed is None else repr(seed) if isinstance(seed, int) else hash_value(seed)
                name = "numpy.random.default_rng"
                tracing.writer.write("seed", name, text and text[:LONGEST_SEED], caller, f"rng of {caller}", [])
            return generator

        return default_rng

    tracing.patches.replace(module, "default_rng", make)


def trace_torch(tracing: Tracing, torch: Any) -> None:
    """Trace the generators of torch."""
    _trace_seeding(tracing, torch, "manual_seed", "torch.manual_seed", "torch")
    _trace_seeding(tracing, torch, "seed", "torch.seed", "torch")
    _trace_seeding(tracing, torch, "set_rng_state", "torch.set_rng_state", "torch")
    _trace_permutation(tracing, torch, "randperm", "torch.randperm")
    with contextlib.suppress(Exception):  # torch.jit.script knows it by its identity
        torch.jit._builtins._get_builtin_table()[id(torch.randperm)] = "aten::randperm"
    tracing.patches.replace(torch, "Generator", lambda original: _make_watched(tracing, original))
    tracing.patches.replace(torch.nn.Module, "load_state_dict", before_call(lambda *_, **__: _note_load(tracing)))


def _make_watched(tracing: Tracing, original: Any) -> Any:
    """torch.Generator with its objects watched; those that torch makes itself are objects of it as before."""

    class Kind(type(original)):  # type: ignore[misc]
        def __instancecheck__(cls, value: object) -> bool:
            return isinstance(value, original)

    class Generator(original, metaclass=Kind):
        def __init__(self, *args: Any, **kwargs: Any) -> None:
            self.traced_name = f"generator of {find_caller()}"
            if not sys._getframe(1).f_globals.get("__name__", "").startswith("torch."):  # as a sampler's own
                tracing.watch.know(self.traced_name, self)

        def manual_seed(self, seed: int) -> Any:
            name = "torch.Generator.manual_seed"
            tracing.writer.write("seed", name, repr(seed)[:LONGEST_SEED], find_caller(), self.traced_name, [])
            tracing.watch.look()
            original.manual_seed(self, seed)
            tracing.watch.look()
            return self

    Generator.__module__, Generator.__qualname__ = "torch", "Generator"  # it is pickled as that
    return Generator


def _note_load(tracing: Tracing) -> None:
    tracing.writer.write("load", find_caller())
