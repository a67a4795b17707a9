"""Picture files decoded by worker processes during training: for sets that are too large to keep decoded.

Each crop is drawn from the augment stream by epoch and picture. So 0, 1, 2 or 5 workers, persistent or restarted each
epoch, give the same bytes; torch's default, a base seed plus the worker's number, depends on the number of workers.
"""

from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import lightning as L
import numpy as np
import torch
from torch import Tensor
from torch.utils.data import BatchSampler, DataLoader, Dataset

from seedspread.config.errors import InputError
from seedspread.config.streams import Streams
from seedspread.data.crops import RandomResizedCrop, center_crop
from seedspread.data.decoding import BrokenPicture
from seedspread.data.loader import EpochOrder, EpochPosition, Normaliser, find_rank
from seedspread.data.loader_processes import START_METHOD, end_with_parent
from seedspread.data.picture_files import PictureFiles, PictureSource
from seedspread.data.pictures import check_sizes
from seedspread.data.reader import Reader
from seedspread.data.splits import draw_split, refuse_second_validation
from seedspread.models.backbones import Transform
from seedspread.records.examples import ExampleIndex

Key = tuple[int, int]  # epoch, picture


class CroppedPictures(Dataset[tuple[Tensor, int]]):
    """Pixels (size, size, 3) uint8 and label of the picture at key (epoch, picture).

    A random crop, or the centre crop where `crops` is None. Raises InputError for a file that does not decode.
    """

    def __init__(
        self, pictures: PictureFiles, transform: Transform, crops: RandomResizedCrop | None, streams: Streams
    ) -> None:
        self.pictures, self.transform, self.crops, self.streams = pictures, transform, crops, streams

    def __len__(self) -> int:
        return len(self.pictures)

    def __getitem__(self, key: Key) -> tuple[Tensor, int]:
        epoch, index = key
        picture = self.pictures.load(index)
        if self.crops is None:
            pixels = center_crop(picture, self.transform)
        else:
            box, flipped = self.crops.draw(self.streams.augment.rng(epoch, index), *picture.size)
            pixels = self.crops.apply(picture, box, flipped, self.transform)
        return torch.from_numpy(np.array(pixels)), int(self.pictures.labels[index])


class EpochBatches:
    """The keys (epoch, picture) of each batch of an epoch, from `begin` on; Lightning sets the epoch of `sampler`.

    `sampler` orders the `pictures` (n,) that train; None: all.
    """

    def __init__(self, sampler: EpochOrder, batch_size: int, pictures: np.ndarray | None = None) -> None:
        self.sampler, self.batch_size, self.begin = sampler, batch_size, 0
        self.pictures = np.arange(sampler.pictures) if pictures is None else pictures

    def __len__(self) -> int:
        return self.sampler.pictures // self.batch_size // find_rank()[1]

    def __iter__(self) -> Iterator[list[Key]]:
        order, epoch = self.pictures[self.sampler.permutation().numpy()].tolist(), self.sampler.epoch
        rank, ranks = find_rank()
        for step in range(self.begin, len(self)):
            begin = (step * ranks + rank) * self.batch_size
            yield [(epoch, index) for index in order[begin : begin + self.batch_size]]


class FileLoader(EpochPosition, DataLoader[tuple[Tensor, Tensor]]):
    """Batches of CroppedPictures: images (batch, 3, size, size) float, channels last, labels (batch,), on `device`."""

    def __init__(
        self,
        pictures: CroppedPictures,
        keys: EpochBatches | BatchSampler,
        normalise: Normaliser,
        device: torch.device,
        workers: int,
    ) -> None:
        DataLoader.__init__(
            self,
            pictures,
            batch_sampler=keys,
            num_workers=workers,
            multiprocessing_context=START_METHOD if workers else None,
            worker_init_fn=end_with_parent,
            persistent_workers=workers > 0,
            pin_memory=device.type == "cuda",
            generator=torch.Generator(),  # a DataLoader draws a base seed: not from the run's global generator
        )
        self.keys, self.normalise, self.target = keys, normalise, device

    def __len__(self) -> int:
        return len(self.keys)

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:  # type: ignore[override]
        if isinstance(self.keys, EpochBatches):
            self.keys.begin = self._next
        try:
            for _, (images, labels) in zip(self.steps(), DataLoader.__iter__(self), strict=True):
                images, labels = (part.to(self.target, non_blocking=True) for part in (images, labels))
                yield self.normalise(images).permute(0, 3, 1, 2), labels
        except BrokenPicture as error:  # that of a worker process holds its traceback, as text before the message
            raise BrokenPicture(str(error).rpartition(f"{BrokenPicture.__name__}: ")[2].strip()) from error


@lru_cache(maxsize=1)
def _list_pictures(reader: Reader, source: str | None, size: int) -> PictureSource:
    """The pictures, listed once per process: 1.3 million files take seconds."""
    return reader(source, Path(), size)


class FileData(L.LightningDataModule):
    """Pictures that stay in their files; `workers` processes decode and crop them.

    `read` is a function (source, cache, size) that returns a PictureSource. Random crops are resized to `size` x
    `size`; for scoring the short side is resized to `resize` and the centre cropped. `validation` is as that of
    PictureData. Raises InputError where the pictures do not fit the settings.
    """

    def __init__(
        self,
        *,
        name: str,
        read: Callable[..., Any],
        source: str | None,
        size: int,
        resize: int,
        interpolation: str,
        mean: Sequence[float],
        std: Sequence[float],
        classes: int | None,
        augment: RandomResizedCrop,
        batch_size: int,
        score_batch_size: int,
        workers: int,
        streams: Streams,
        device: torch.device,
        channels: int = 3,
        root: str | None = None,
        validation: float | None = None,
    ) -> None:
        super().__init__()
        if not channels == len(mean) == len(std) == 3:
            raise InputError(
                f"data.channels={channels}: pictures from files have 3, and so must data.mean and data.std"
            )
        if not 1 <= size <= resize:
            raise InputError(f"data.size={size}, data.resize={resize}: pixels, 1 <= size <= resize")
        self.transform = Transform(size, resize, interpolation, tuple(mean), tuple(std))
        self.pictures = _list_pictures(Reader.of(read), source, size)
        train = self.pictures.train
        if self.pictures.validation is not None:
            refuse_second_validation(validation, name)
        self.split = draw_split(train.labels, validation, streams.split)
        own = None if self.pictures.validation is None else len(self.pictures.validation)
        self.train_examples = len(train) if self.split is None else len(self.split.train)
        self.validation_examples = own if self.split is None else len(self.split.validation)
        self.classes = len(self.pictures.classes)
        check_sizes(name, classes, self.classes, batch_size, self.train_examples)
        self.crops, self.workers, self.streams, self.device = augment, workers, streams, device
        self.batch_size, self.score_batch_size = batch_size, score_batch_size
        self._normalise = Normaliser(mean, std, size, device)

    @property
    def has_test_set(self) -> bool:
        """Whether test examples are left that do not validate."""
        return self.validation_examples is not None

    def example_index(self) -> ExampleIndex:
        test: Any = self.pictures.test
        return ExampleIndex(test.labels, np.arange(len(test)), np.array(test.names))

    def train_dataloader(self) -> FileLoader:
        chosen = None if self.split is None else self.split.train
        keys = EpochBatches(EpochOrder(self.train_examples, self.streams), self.batch_size, chosen)
        return self._loader(CroppedPictures(self.pictures.train, self.transform, self.crops, self.streams), keys)  # type: ignore[arg-type]

    def val_dataloader(self) -> FileLoader:
        if self.split is not None:
            return self._score(self.pictures.train, self.split.validation)
        return self._score(self.pictures.validation or self.pictures.test)

    def test_dataloader(self) -> FileLoader | list[FileLoader]:
        """The test set; empty where it validates."""
        return self._score(self.pictures.test) if self.has_test_set else []

    def _score(self, pictures: Any, chosen: np.ndarray | None = None) -> FileLoader:
        every = [(0, index) for index in (range(len(pictures)) if chosen is None else chosen.tolist())]
        keys = BatchSampler(every, self.score_batch_size, drop_last=False)  # type: ignore[arg-type]
        return self._loader(CroppedPictures(pictures, self.transform, None, self.streams), keys)

    def _loader(self, pictures: CroppedPictures, keys: EpochBatches | BatchSampler) -> FileLoader:
        return FileLoader(pictures, keys, self._normalise, self.device, self.workers)
