"""Calls that seed or make generators, and permutations that are drawn: who called, with what."""

from __future__ import annotations

import contextlib
import functools
import random
import sys
from typing import Any

from .calls import before_call, find_caller, is_compiling, is_library
from .generators import hash_generator, read_states
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


def _trace_permutation(tracing: Tracing, owner: Any, name: str, shown: str, generator: str) -> None:
    """Note what a function shuffles or permutes, and the generator that it draws from unless it is given another."""

    def make(original: Any) -> Any:
        @functools.wraps(original)
        def permute(*args: Any, **kwargs: Any) -> Any:
            result = original(*args, **kwargs)
            given = kwargs.get("generator")
            source = generator if given is None else tracing.watch.find(given)
            state = hash_generator(given) if given is not None else read_states().get(generator)
            _note_permutation(tracing, shown, args[0] if result is None and args else result, source, state)
            return result

        return permute

    tracing.patches.replace(owner, name, make)


def _note_permutation(tracing: Tracing, shown: str, drawn: Any, generator: str | None, state: str | None) -> None:
    """Write what was permuted, and the state of its generator right after it."""
    if not is_compiling() and hasattr(drawn, "__len__") and len(drawn) > 1:
        tracing.writer.write("permutation", shown, len(drawn), hash_value(drawn), find_caller(), generator, state)


def trace_random(tracing: Tracing) -> None:
    """Trace the module random."""
    _trace_seeding(tracing, random, "seed", "random.seed", "python")
    _trace_seeding(tracing, random, "setstate", "random.setstate", "python")
    for name in ("shuffle", "sample"):
        _trace_permutation(tracing, random, name, f"random.{name}", "python")
    tracing.patches.replace(
        random, "Random", lambda original: _make_kind(tracing, original, "random.Random", ("shuffle", "sample"))
    )


def trace_numpy(tracing: Tracing, module: Any) -> None:
    """Trace numpy.random."""
    _trace_seeding(tracing, module, "seed", "numpy.random.seed", "numpy")
    _trace_seeding(tracing, module, "set_state", "numpy.random.set_state", "numpy")
    for name in ("shuffle", "permutation", "choice"):
        _trace_permutation(tracing, module, name, f"numpy.random.{name}", "numpy")
    permuting = ("shuffle", "permutation", "choice")

    def watch(original: Any) -> Any:
        return _make_kind(tracing, original, f"numpy.random.{original.__name__}", permuting)

    tracing.patches.replace(module, "RandomState", watch)
    tracing.patches.replace(module, "Generator", watch)
    watched: Any = module.Generator

    def make(original: Any) -> Any:
        @functools.wraps(original)
        def default_rng(*args: Any, **kwargs: Any) -> Any:
            generator = original(*args, **kwargs)
            given = [*args, *kwargs.values()]
            if given and hasattr(given[0], "bit_generator"):
                return generator
            if not is_library(find_caller()):
                generator = watched(generator.bit_generator)
                generator.traced_name = _note_made(tracing, "numpy.random.default_rng", given, generator)
            return generator

        return default_rng

    tracing.patches.replace(module, "default_rng", make)


def trace_torch(tracing: Tracing, torch: Any) -> None:
    """Trace the generators of torch."""
    for name in ("manual_seed", "seed", "set_rng_state"):
        for owner in (torch, torch.random):  # whose fork_rng restores the state
            _trace_seeding(tracing, owner, name, f"torch.{name}", "torch")
    _trace_permutation(tracing, torch, "randperm", "torch.randperm", "torch")
    with contextlib.suppress(Exception):  # torch.jit.script knows it by its identity
        torch.jit._builtins._get_builtin_table()[id(torch.randperm)] = "aten::randperm"
    tracing.patches.replace(torch, "Generator", lambda original: _make_watched(tracing, original))
    tracing.patches.replace(torch.nn.Module, "load_state_dict", before_call(lambda *_, **__: _note_load(tracing)))


def _note_made(tracing: Tracing, function: str, given: list[Any], generator: Any) -> str:
    """Write that the program made a generator, with which seed; look at it from now on, by the name that it gets."""
    caller, seed = find_caller(), given[0] if given else None
    text = None if seed is None else repr(seed) if isinstance(seed, (int, float, str)) else _hash_seed(seed)
    name = f"rng of {caller}"
    tracing.watch.know(name, generator)
    tracing.writer.write("seed", function, text and text[:LONGEST_SEED], caller, name, [])
    return name


def _hash_seed(seed: Any) -> str:
    """The hash of a seed that is no number: of a bit generator, of its state."""
    state = getattr(seed, "state", None)
    return hash_value(state if isinstance(state, dict) else seed)


def _make_kind(tracing: Tracing, original: Any, shown: str, permuting: tuple[str, ...]) -> Any:
    """A class of generators whose objects are watched where the program's own code makes them."""

    class Kind(type(original)):  # type: ignore[misc]
        def __instancecheck__(cls, value: object) -> bool:
            return isinstance(value, original) if cls is watched else super().__instancecheck__(value)

    class Watched(original, metaclass=Kind):
        traced_name: str | None = None
        permutes = False  # one permutation calls another

        def __init__(self, *args: Any, **kwargs: Any) -> None:
            super().__init__(*args, **kwargs)
            frame = sys._getframe(1)
            if frame.f_code.co_filename != __file__ and not is_library(frame.f_code.co_filename):
                self.traced_name = _note_made(tracing, shown, [*args, *kwargs.values()], self)

    def permute_with(name: str) -> Any:
        permute = getattr(original, name)

        @functools.wraps(permute)
        def permute_and_note(self: Any, *args: Any, **kwargs: Any) -> Any:
            if self.traced_name is None or self.permutes:
                return permute(self, *args, **kwargs)
            self.permutes = True
            try:
                result = permute(self, *args, **kwargs)
            finally:
                self.permutes = False
            drawn = args[0] if result is None and args else result
            _note_permutation(tracing, f"{shown}.{name}", drawn, self.traced_name, hash_generator(self))
            return result

        return permute_and_note

    for name in permuting:
        setattr(Watched, name, permute_with(name))
    Watched.__module__, Watched.__qualname__ = original.__module__, original.__qualname__
    Watched.__name__ = original.__name__
    watched = Watched
    return Watched


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
            given, by_library = repr(seed)[:LONGEST_SEED], is_library(sys._getframe(1).f_code.co_filename)
            tracing.writer.write(
                "seed", "torch.Generator.manual_seed", given, find_caller(), self.traced_name, [], by_library
            )
            tracing.watch.look()
            original.manual_seed(self, seed)
            tracing.watch.look()
            return self

    Generator.__module__, Generator.__qualname__ = "torch", "Generator"  # it is pickled as that
    return Generator


def _note_load(tracing: Tracing) -> None:
    tracing.writer.write("load", find_caller())
