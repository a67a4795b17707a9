"""DataLoaders: the order that a sampler draws, and the examples of a data set, in the process that makes them."""

from __future__ import annotations

import functools
import os
from collections.abc import Callable
from typing import Any

from .generators import find_held, hash_generator, read_states
from .hashes import hash_examples, hash_rows, hash_value, pack_rows
from .tracing import Tracing

_VARIABLE = "SEEDSPREAD_TRACE_PASS"  # how a worker process knows loader and pass: set while the workers start
WORKERS = "SEEDSPREAD_TRACE_WORKERS"
_fetchers: dict[tuple[int, str], int] = {}  # made in this process, for a pass


class _Loaders:
    """The loaders of this process, numbered as they are first iterated over, and how often each was."""

    def __init__(self, tracing: Tracing) -> None:
        self.tracing = tracing
        self.numbers: dict[tuple[int, str, Any], int] = {}
        self.kept: list[Any] = []
        self.passes: dict[int, int] = {}
        self.generators: dict[int, str] = {}

    def begin_pass(self, loader: Any) -> str:
        """Count a pass; `LOADER:PASS`."""
        kind = id(loader.dataset), type(loader.sampler).__name__, loader.batch_size  # one made anew is the same
        if kind not in self.numbers:
            self.numbers[kind] = len(self.numbers)
            self.kept.append(loader.dataset)
            self.tracing.writer.write("loader", self.numbers[kind], _describe(loader))
        number = self.numbers[kind]
        self.passes[number] = self.passes.get(number, -1) + 1
        return f"{number}:{self.passes[number]}"

    def held(self, loader: Any) -> dict[str, Any]:
        """The generators that a loader draws its order from, by a name that other loaders with the same share."""
        found = [getattr(loader, "generator", None), getattr(getattr(loader, "sampler", None), "generator", None)]
        named = {}
        for generator in found:
            if generator is not None and hash_generator(generator) is not None:
                if id(generator) not in self.generators:
                    self.generators[id(generator)] = f"loader.generator@{self.tracing.watch.number(generator)}"
                    self.kept.append(generator)
                named[self.generators[id(generator)]] = generator
        return named


def trace_loaders(tracing: Tracing, torch: Any) -> None:
    """Trace torch.utils.data."""
    data = torch.utils.data
    loaders, replace = _Loaders(tracing), tracing.patches.replace
    iterator, several = data.dataloader._BaseDataLoaderIter, data.dataloader._MultiProcessingDataLoaderIter

    def begin(original: Any) -> Any:
        @functools.wraps(original)
        def make_iterator(self: Any, loader: Any, *args: Any, **kwargs: Any) -> None:
            self._traced = name = loaders.begin_pass(loader)
            self._traced_generators = loaders.held(loader)
            before = tracing.watch.look()
            os.environ[_VARIABLE] = name  # inherited by worker processes, forked or spawned
            original(self, loader, *args, **kwargs)
            _note_pass(tracing, self, before)

        return make_iterator

    def begin_again(original: Any) -> Any:
        @functools.wraps(original)
        def reset(self: Any, loader: Any, first_iter: bool = False) -> None:
            if first_iter:
                original(self, loader, first_iter)
                return
            self._traced = loaders.begin_pass(loader)
            before = tracing.watch.look()
            original(self, loader, first_iter)
            _note_pass(tracing, self, before)

        return reset

    def draw_order(original: Any) -> Any:
        @functools.wraps(original)
        def next_index(self: Any) -> Any:
            held = getattr(self, "_traced_generators", {})
            states = {name: hash_generator(one) for name, one in held.items()}
            before = tracing.watch.look()
            try:
                index = original(self)
            except StopIteration:
                tracing.watch.look()  # what a sampler draws as it ends is its own
                raise
            moved = tracing.watch.look()
            moved += [name for name, one in held.items() if hash_generator(one) != states[name]]
            shown = index if isinstance(index, list) and all(type(i) is int for i in index) else hash_value(index)
            tracing.writer.write("order", self._traced, shown, moved, before)
            return index

        return next_index

    def hand_over(original: Any) -> Any:
        @functools.wraps(original)
        def next_batch(self: Any) -> Any:
            batch = original(self)
            tracing.writer.write("b", self._traced)
            return batch

        return next_batch

    replace(iterator, "__init__", begin)
    replace(several, "_reset", begin_again)
    replace(iterator, "_next_index", draw_order)
    replace(iterator, "__next__", hand_over)
    for fetcher in (data._utils.fetch._MapDatasetFetcher, data._utils.fetch._IterableDatasetFetcher):
        replace(fetcher, "__init__", _begin_fetching(tracing))
        replace(fetcher, "fetch", _tracing_fetch(tracing, data))
    if WORKERS in os.environ:
        replace(data.DataLoader, "__init__", lambda original: _with_workers(original, int(os.environ[WORKERS])))


def _note_pass(tracing: Tracing, iterator: Any, before: list[str]) -> None:
    tracing.writer.write("pass", iterator._traced, iterator._num_workers, before, tracing.watch.look())


def _describe(loader: Any) -> dict[str, Any]:
    """What a loader is made of, and a hash of which examples of a larger set are its own."""
    dataset: Any = getattr(loader, "dataset", None)
    split = None
    for _ in range(8):
        if hasattr(dataset, "indices") and hasattr(dataset, "dataset"):
            try:
                split = hash_value(sorted(int(i) for i in dataset.indices))
            except Exception:
                split = None
            break
        dataset = getattr(dataset, "dataset", None)
    names = [type(getattr(loader, name, None)).__name__ for name in ("dataset", "sampler")]
    return {"dataset": names[0], "sampler": names[1], "split": split, "batch": getattr(loader, "batch_size", None)}


def _begin_fetching(tracing: Tracing) -> Callable[[Any], Any]:
    return lambda original: _make_fetcher_tracing(tracing, original)


def _make_fetcher_tracing(tracing: Tracing, original: Any) -> Any:
    @functools.wraps(original)
    def make_fetcher(self: Any, dataset: Any, *args: Any, **kwargs: Any) -> None:
        original(self, dataset, *args, **kwargs)
        self._traced, self._traced_count, self._traced_data = os.environ.get(_VARIABLE, ""), 0, None
        again = _fetchers.get((os.getpid(), self._traced), 0)  # a persistent worker begins another pass
        _fetchers[os.getpid(), self._traced] = again + 1
        if again:
            number, _, count = self._traced.partition(":")
            self._traced = f"{number}:{int(count) + again}"
        collate = self.collate_fn

        def note_and_collate(data: Any) -> Any:
            self._traced_data = hash_examples(data)
            before = read_states()
            batch = collate(data)
            if read_states() != before:  # it alters examples at random: they are what it gives
                self._traced_data = hash_rows([batch])
            return batch

        self.collate_fn = note_and_collate
        self._traced_held = find_held(dataset)

    return make_fetcher


def _tracing_fetch(tracing: Tracing, data: Any) -> Callable[[Any], Any]:
    def make(original: Any) -> Any:
        @functools.wraps(original)
        def fetch(self: Any, index: Any) -> Any:
            watched = {id(one) for one in tracing.watch.known.values()}
            others = {name: one for name, one in self._traced_held.items() if id(one) not in watched}
            held = {f"{name}@{tracing.watch.number(one)}": one for name, one in others.items()}
            worker = data.get_worker_info()
            if worker is not None:  # else one looked when the order was drawn, a moment ago
                tracing.watch.look()
            before = {**tracing.watch.states, **{name: hash_generator(one) for name, one in held.items()}}
            batch = original(self, index)
            tracing.watch.look()
            after = {**tracing.watch.states, **{name: hash_generator(one) for name, one in held.items()}}
            drawn = {name: state for name, state in before.items() if after.get(name, state) != state}
            place = -1 if worker is None else worker.id
            shown = index if isinstance(index, list) and all(type(i) is int for i in index) else None
            rows = pack_rows(self._traced_data)
            tracing.writer.write("s", self._traced, self._traced_count, place, shown, rows, drawn)
            self._traced_count += 1
            tracing.watch.batches += worker is not None
            return batch

        return fetch

    return make


def _with_workers(original: Any, workers: int) -> Any:
    @functools.wraps(original)
    def make_loader(self: Any, dataset: Any, *args: Any, **kwargs: Any) -> None:
        original(self, dataset, *args, **kwargs)
        self.num_workers = workers
        if not workers:
            object.__setattr__(self, "prefetch_factor", None)
            self.persistent_workers = False
        elif self.prefetch_factor is None:
            self.prefetch_factor = 2

    return make_loader
