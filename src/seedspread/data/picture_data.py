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
    positions = balanced_indices(pictures.test.labels, test_size, classes, "data.test_size")
    return DevicePictures(
        train_images, train_labels, test_images, test_labels, pictures.classes, pictures.fingerprint, positions
    )


class PictureData(L.LightningDataModule):
    """Pictures for training and scoring, resident on one device.

    `read` finds and decodes them: read_cifar10 of seedspread.data.cifar10, or any function (source, cache, size) that
    returns a PictureSet; keywords beside its `_target_` are passed to it. `train_size` and `test_size` select a fixed
    balanced subset. `classes` may be None: as many as found. Raises InputError where the pictures do not fit the
    settings.
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
    ) -> None:
        super().__init__()
        folder = Path(cache).expanduser()
        self.pictures = load_pictures(Reader.of(read), source, folder, size, train_size, test_size, device)
        self.train_examples = len(self.pictures.train_labels)
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

    def example_index(self) -> ExampleIndex:
        return ExampleIndex(self.pictures.test_labels.cpu().numpy(), self.pictures.test_positions)

    def train_dataloader(self) -> TrainLoader:
        images, labels = self.pictures.train_images, self.pictures.train_labels
        return TrainLoader(images, labels, self.batch_size, self._normalise, self.streams, self.augment)

    def val_dataloader(self) -> ScoreLoader:
        return ScoreLoader(self.pictures.test_images, self.pictures.test_labels, self.score_batch_size, self._normalise)
