"""DataLoaders of other people's code that draw from a seed's streams, without knowing.

The order of training examples follows the stream `order` by epoch, whatever sampler gives it. What draws while an
example is loaded, Python's, NumPy's and torch's global generators alike, follows `augment` by epoch and example: so the
number of workers changes nothing, and neither does where a run was resumed. An IterableDataset has no examples to key
by: its draws follow epoch and worker, and the number of workers is part of what a seed reproduces.
"""

import copy
import itertools
import multiprocessing
import random
from collections.abc import Callable, Iterator, Sequence
from typing import Any, SupportsIndex, TypeVar
from zlib import crc32

import lightning as L
import numpy as np
import torch
from lightning.pytorch.utilities.model_helpers import is_overridden
from lightning_utilities.core.apply_func import apply_to_collection
from torch.utils.data import DataLoader, Dataset, IterableDataset, default_collate, get_worker_info

from seedspread.config.streams import Stream, Streams
from seedspread.data.loader import find_rank
from seedspread.training.seeding import kept_generators, reseed, seeded

Key = tuple[int, Any]  # epoch, and the index of an example
EXAMPLE, COLLATE, SCORED = range(3)  # the last part of each key: draws of one kind never meet those of another

Hooked = TypeVar("Hooked", L.LightningDataModule, L.LightningModule)


def seed_hooks(hooked: Hooked, streams: Streams) -> Hooked:
    """`hooked`, whose hooks draw from `streams` from now on: its class gets a subclass of the same name.

    `prepare_data` and `setup` of data draw from `split`, `setup` and `configure_model` of a module from `init`; the
    loaders of training draw as this file says, and those of scoring the same in every epoch.
    """
    cls: Any = type(hooked)
    is_data = isinstance(hooked, L.LightningDataModule)
    stream = streams.split if is_data else streams.init

    def drawn(name: str) -> Callable[..., Any]:
        def hook(self: Any, *args: Any, **kwargs: Any) -> Any:
            with seeded(stream):
                return getattr(cls, name)(self, *args, **kwargs)

        return hook

    def loaded(name: str) -> Callable[..., Any]:
        def hook(self: Any) -> Any:
            with seeded(streams.split):
                loaders = getattr(cls, name)(self)
            if name == "train_dataloader":
                return apply_to_collection(loaders, DataLoader, SeededTraining, streams, self.trainer)
            return apply_to_collection(loaders, DataLoader, SeededScoring, streams)

        return hook

    parent: Any = L.LightningDataModule if is_data else L.LightningModule
    draws = ["prepare_data", "setup"] if is_data else ["setup", "configure_model"]
    loads = ["train_dataloader", "val_dataloader", "test_dataloader"] if is_data else []
    hooks = {name: drawn(name) for name in draws if is_overridden(name, hooked, parent)}
    hooks |= {name: loaded(name) for name in loads if is_overridden(name, hooked, parent)}
    named = {"__module__": cls.__module__, "__qualname__": cls.__qualname__, "__doc__": cls.__doc__}
    hooked.__class__ = type(cls.__name__, (cls,), {**named, **hooks})
    return hooked


class _Batch(list):
    """Examples of one batch, and the number of the first: what collates them may draw too."""

    key: tuple[int, int]


class KeyedExamples(Dataset):
    """The examples of `dataset` at keys (epoch, example), each with its own draws; all else is the dataset's."""

    def __init__(self, dataset: Any, stream: Stream, kind: int) -> None:
        self.dataset, self._stream, self._kind = dataset, stream, kind

    def __len__(self) -> int:
        return len(self.dataset)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__") or name == "dataset":  # not while it is unpickled
            raise AttributeError(name)
        return getattr(self.dataset, name)

    def __getitem__(self, key: Key) -> Any:
        with kept_generators():
            return self._load(key)

    def __getitems__(self, keys: Sequence[Key]) -> _Batch:
        with kept_generators():
            batch = _Batch(self._load(key) for key in keys)
        batch.key = _number(keys[0])
        return batch

    def _load(self, key: Key) -> Any:
        reseed(self._stream, *_number(key), self._kind)
        return self.dataset[key[1]]


def _number(key: Key) -> tuple[int, int]:
    """A key in whole numbers: datasets may have other indices."""
    epoch, example = key
    return epoch, int(example) if isinstance(example, SupportsIndex) else crc32(repr(example).encode())


class KeyedCollate:
    """`collate` with draws of its own for each batch."""

    def __init__(self, collate: Callable[[Any], Any], stream: Stream, kind: int) -> None:
        self.collate, self._stream, self._kind = collate, stream, kind

    def __call__(self, batch: Any) -> Any:
        if self.collate is default_collate or not isinstance(batch, _Batch):
            return self.collate(list(batch) if isinstance(batch, _Batch) else batch)
        with seeded(self._stream, *batch.key, self._kind, COLLATE):
            return self.collate(list(batch))


class KeyedOrder:
    """The keys (epoch, example) of each batch, or of each example, from `begin` on; Lightning sets the epoch.

    `sampler` gives the order, of batches or of examples; it draws from `stream` by epoch. Of several ranks each takes
    every so-manieth of its items, and what cannot be shared out evenly is dropped.
    """

    def __init__(self, sampler: Any, stream: Stream, rank: int = 0, ranks: int = 1) -> None:
        self.sampler, self._stream, self.rank, self.ranks = sampler, stream, rank, ranks
        self.epoch = self.begin = 0

    def __len__(self) -> int:
        return len(self.sampler) // self.ranks

    def __iter__(self) -> Iterator[Any]:
        with seeded(self._stream, self.epoch):
            for part in (self.sampler, getattr(self.sampler, "sampler", None)):
                if isinstance(generator := getattr(part, "generator", None), torch.Generator):
                    generator.manual_seed(int(torch.empty((), dtype=torch.int64).random_()))
            items = list(self.sampler)
        for item in items[self.rank :: self.ranks][self.begin : len(self)]:
            yield [(self.epoch, example) for example in item] if isinstance(item, list) else (self.epoch, item)


class KeyedStream(IterableDataset):
    """An IterableDataset whose draws follow epoch and worker."""

    def __init__(self, dataset: Any, stream: Stream) -> None:
        self.dataset, self._stream, self.epoch, self._passes = dataset, stream, 0, 0

    def __len__(self) -> int:
        return len(self.dataset)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__") or name == "dataset":
            raise AttributeError(name)
        return getattr(self.dataset, name)

    def __iter__(self) -> Iterator[Any]:
        worker = get_worker_info()
        epoch = self.epoch + (self._passes if worker else 0)  # a worker that persists is not told the epoch
        self._passes += 1
        rank, _ = find_rank()
        numpys = np.random.MT19937(0)
        with kept_generators(numpys):
            reseed(self._stream, epoch, worker.id if worker else 0, EXAMPLE, rank)
            items = iter(self.dataset)
            python, torchs = random.getstate(), torch.get_rng_state()
        while True:
            with kept_generators(numpys):  # what is drawn between two items is not of this stream
                random.setstate(python)
                torch.set_rng_state(torchs)
                try:
                    item = next(items)
                except StopIteration:
                    return
                python, torchs = random.getstate(), torch.get_rng_state()
            yield item


class _Seeded:
    """A DataLoader, with its dataset, sampler and collate function replaced by keyed ones; all else is the loader's."""

    def __init__(self, loader: DataLoader, streams: Streams, kind: int, rank: int = 0, ranks: int = 1) -> None:
        inner: Any = copy.copy(loader)
        parts: dict[str, Any] = {"generator": torch.Generator().manual_seed(0)}  # its base seed comes from nowhere else
        self.keys: KeyedOrder | None = None
        if isinstance(loader.dataset, IterableDataset):
            parts["dataset"] = KeyedStream(loader.dataset, streams.augment)
        else:
            batched = loader.batch_sampler is not None
            self.keys = KeyedOrder(loader.batch_sampler if batched else loader.sampler, streams.order, rank, ranks)
            parts["batch_sampler" if batched else "sampler"] = self.keys
            parts["dataset"] = KeyedExamples(loader.dataset, streams.augment, kind)
            parts["collate_fn"] = KeyedCollate(loader.collate_fn, streams.augment, kind)
        vars(inner).update(parts)  # a DataLoader refuses setattr of its parts
        if inner.num_workers and inner.multiprocessing_context is None:  # in the worker of a sweep it is another
            inner.multiprocessing_context = multiprocessing.get_all_start_methods()[0]
        self.loader = inner

    def __len__(self) -> int:
        return len(self.keys) if self.keys is not None else len(self.loader)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__") or name == "loader":
            raise AttributeError(name)
        return getattr(self.loader, name)


class SeededTraining(_Seeded):
    """The loader of training: Lightning tells it the epoch, and saves where a run within an epoch resumes."""

    def __init__(self, loader: DataLoader, streams: Streams, trainer: L.Trainer) -> None:
        super().__init__(loader, streams, EXAMPLE, *find_rank())
        self._trainer, self._begin = trainer, 0
        self.sampler = self  # on which Lightning calls set_epoch

    def set_epoch(self, epoch: int) -> None:
        for part in (self.loader.sampler, getattr(self.loader.batch_sampler, "sampler", None)):
            if callable(tell := getattr(part, "set_epoch", None)):
                tell(epoch)
        keyed: Any = self.loader.dataset if self.keys is None else self.keys
        keyed.epoch = epoch

    def __iter__(self) -> Iterator[Any]:
        # Evaluated when the first batch is asked for: Lightning makes an iterator before it tells the epoch.
        begin, self._begin = self._begin, 0
        if self.keys is None:
            yield from itertools.islice(self.loader, begin, None)
        else:
            self.keys.begin = begin
            yield from self.loader

    def state_dict(self) -> dict[str, int]:
        """Epoch, and how many of its batches are done: by the trainer's count, since some loaders fetch ahead."""
        progress = self._trainer.fit_loop.epoch_loop.batch_progress
        done = 0 if progress.is_last_batch else progress.current.ready
        return {"epoch": self._trainer.current_epoch, "batches_done": done}

    def load_state_dict(self, state: dict[str, int]) -> None:
        self.set_epoch(state["epoch"])
        self._begin = state["batches_done"]


def count_stream_workers(trainer: L.Trainer) -> int:
    """How many workers loaded an IterableDataset in training: there its draws depend on their number."""
    combined = trainer.fit_loop._combined_loader
    loaders = [
        loader for loader in ([] if combined is None else combined.flattened) if isinstance(loader, SeededTraining)
    ]
    return sum(loader.loader.num_workers for loader in loaders if loader.keys is None)


class SeededScoring(_Seeded):
    """A loader of validation or test: every rank scores all examples, and every epoch draws the same."""

    def __init__(self, loader: DataLoader, streams: Streams) -> None:
        super().__init__(loader, streams, SCORED)

    def __iter__(self) -> Iterator[Any]:
        return iter(self.loader)
