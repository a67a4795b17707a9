"""The pictures of a run as a LightningDataModule."""

from collections.abc import Callable, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

import lightning as L
import numpy as np
import torch
from torch import Tensor

from seedspread.config.errors import InputError
from seedspread.config.streams import Streams
from seedspread.data.augment import Augmentation
from seedspread.data.loader import Normaliser, ScoreLoader, TrainLoader
from seedspread.data.pictures import balanced_indices, check_sizes
from seedspread.data.reader import Reader
from seedspread.data.splits import draw_split, refuse_second_validation
from seedspread.records.examples import ExampleIndex


class DevicePictures(NamedTuple):
    """Pictures on a device: images (n, h, w, c) uint8 and labels (n,) int64."""

    train_images: Tensor
    train_labels: Tensor
    test_images: Tensor
    test_labels: Tensor
    classes: tuple[str, ...]
    fingerprint: str
    test_positions: np.ndarray  # in the test set as read
    validation: tuple[Tensor, Tensor] | None  # images and labels of a validation set of the data's own


@lru_cache(maxsize=1)
def load_pictures(
    reader: Reader,
    source: str | None,
    cache: Path,
    size: int,
    train_size: int | None,
    test_size: int | None,
    device: torch.device,
) -> DevicePictures:
    """The pictures on `device`, once per process: the seeds of a sweep share the tensors, which nothing writes to."""
    pictures = reader(source, cache, size)
    classes = len(pictures.classes)
    parts = (
        pictures.train.balanced_subset(train_size, classes, "data.train_size"),
        pictures.test.balanced_subset(test_size, classes, "data.test_size"),
    )
    tensors = [torch.from_numpy(array).to(device) for part in parts for array in (part.images, part.labels)]
    train_images, train_labels, test_images, test_labels = tensors
    own = pictures.validation
    validation = own and (torch.from_numpy(own.images).to(device), torch.from_numpy(own.labels).to(device))
    positions = balanced_indices(pictures.test.labels, test_size, classes, "data.test_size")
    classes_and_hash = pictures.classes, pictures.fingerprint
    return DevicePictures(
        train_images, train_labels, test_images, test_labels, *classes_and_hash, positions, validation
    )


class PictureData(L.LightningDataModule):
    """Pictures for training and scoring, resident on one device.

    `read` finds and decodes them: read_cifar10 of seedspread.data.cifar10, or any function (source, cache, size) that
    returns a PictureSet; keywords beside its `_target_` are passed to it. `train_size` and `test_size` select a fixed
    balanced subset. `classes` may be None: as many as found. `validation` is the fraction of the training pictures, or
    how many of them, that the split stream takes out of them to validate. Without them, and without a validation set
    of the data's own, the test set validates, and there is nothing to test on. Raises InputError where the pictures do
    not fit the settings.
    """

    def __init__(
        self,
        *,
        name: str,
        read: Callable[..., Any],
        source: str | None,
        cache: str,
        size: int,
        channels: int,
        classes: int | None,
        mean: Sequence[float],
        std: Sequence[float],
        batch_size: int,
        score_batch_size: int,
        augment: Augmentation | None,
        streams: Streams,
        device: torch.device,
        train_size: int | None = None,
        test_size: int | None = None,
        validation: float | None = None,
    ) -> None:
        super().__init__()
        folder = Path(cache).expanduser()
        self.pictures = load_pictures(Reader.of(read), source, folder, size, train_size, test_size, device)
        images, labels = self.pictures.train_images, self.pictures.train_labels
        self.training, self.validation = (images, labels), self.pictures.validation
        if self.validation is not None:
            refuse_second_validation(validation, name)
        self.split = draw_split(labels.cpu().numpy(), validation, streams.split)
        if self.split is not None:
            chosen = (torch.from_numpy(part).to(device) for part in (self.split.train, self.split.validation))
            self.training, self.validation = ((images[rows], labels[rows]) for rows in chosen)
        self.train_examples = len(self.training[1])
        self.validation_examples = None if self.validation is None else len(self.validation[1])
        self.classes = len(self.pictures.classes)
        self.batch_size, self.score_batch_size = batch_size, score_batch_size
        self.augment, self.streams = augment, streams

        found_channels = self.pictures.train_images.shape[3]
        if not channels == found_channels == len(mean) == len(std):
            raise InputError(
                f"data.channels={channels}, data.mean and data.std must agree with the pictures of {name}, which have "
                f"{found_channels} channels"
            )
        check_sizes(name, classes, self.classes, batch_size, self.train_examples)
        self._normalise = Normaliser(mean, std, size, device)

    @property
    def has_test_set(self) -> bool:
        """Whether test examples are left that do not validate."""
        return self.validation_examples is not None

    def example_index(self) -> ExampleIndex:
        return ExampleIndex(self.pictures.test_labels.cpu().numpy(), self.pictures.test_positions)

    def train_dataloader(self) -> TrainLoader:
        return TrainLoader(*self.training, self.batch_size, self._normalise, self.streams, self.augment)

    def val_dataloader(self) -> ScoreLoader:
        return self._score(*(self.validation or self._test))

    def test_dataloader(self) -> ScoreLoader | list[ScoreLoader]:
        """The test set; empty where it validates."""
        return self._score(*self._test) if self.has_test_set else []

    @property
    def _test(self) -> tuple[Tensor, Tensor]:
        return self.pictures.test_images, self.pictures.test_labels

    def _score(self, images: Tensor, labels: Tensor) -> ScoreLoader:
        return ScoreLoader(images, labels, self.score_batch_size, self._normalise)
