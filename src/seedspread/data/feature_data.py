"""Features of a frozen backbone as a LightningDataModule: what a linear probe trains on."""

import hashlib
import json
import mmap
import os
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any

import lightning as L
import numpy as np
import torch
from torch import Tensor

from seedspread.config.errors import InputError
from seedspread.config.streams import Streams
from seedspread.data.crops import RandomResizedCrop
from seedspread.data.extractor import FeatureExtractor
from seedspread.data.features import Extraction, Features
from seedspread.data.loader import ShuffledLoader
from seedspread.data.picture_files import PictureFiles, build_source
from seedspread.data.pictures import PictureSet, balanced_indices, check_sizes
from seedspread.data.reader import Reader
from seedspread.data.splits import Split, draw_split, refuse_second_validation
from seedspread.models.backbones import Backbone
from seedspread.records.examples import ExampleIndex

ROWS_PER_COPY = 65536  # from the map to a GPU


def _total_memory() -> int:
    """Bytes of memory of this machine."""
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


class SharedFeatures:
    """The features that all seeds of a process share; nothing writes to them.

    `validation` extracts the centre crops of the pictures that may validate, in the place of test pictures: those of
    a validation set of the data's own, or else all that may train.
    """

    def __init__(
        self, extraction: Extraction, test_positions: np.ndarray, validation: Extraction | None = None
    ) -> None:
        self.test_positions = test_positions  # of the source's pictures in the test set as read
        self.extraction, self.device = extraction, extraction.device
        self.features: Features = extraction.load_or_extract()
        self.description = json.loads(json.dumps(extraction.description()))  # lists for tuples, as in a record
        self.validation = validation and validation.load_or_extract()
        if self.validation:
            both = f"{self.features.fingerprint} {self.validation.fingerprint}"
            self.features = replace(self.features, fingerprint=hashlib.sha256(both.encode()).hexdigest())
        self.train_labels = torch.from_numpy(self.features.train_labels).to(self.device)
        train = self.features.train
        self._rows = train.reshape(-1, train.shape[2])  # all views of a picture, then those of the next
        if isinstance(train, np.memmap) and 2 * train.nbytes > _total_memory():
            # Batches read rows from all over the file: read-ahead would evict other rows from the page cache.
            train._mmap.madvise(mmap.MADV_RANDOM)  # type: ignore[attr-defined]

    @cached_property
    def _resident(self) -> Tensor | None:
        """All rows in the memory of a GPU that has room for twice as many, copied at the first batch; else None."""
        if self.device.type != "cuda" or 2 * self._rows.nbytes > torch.cuda.mem_get_info(self.device)[0]:
            return None
        resident = torch.empty(self._rows.shape, dtype=torch.float16, device=self.device)
        for start in range(0, len(self._rows), ROWS_PER_COPY):
            rows = slice(start, start + ROWS_PER_COPY)
            resident[rows] = torch.from_numpy(np.array(self._rows[rows]))
        return resident

    def open_epoch(self, pictures: np.ndarray, views: np.ndarray) -> Callable[[slice], tuple[Tensor, Tensor]]:
        """Training features (*shape, d) float32 and labels (*shape,) of a slice of the last axis of `pictures` and
        `views`, both of one shape.

        From the GPU's memory where they fill at most half of it; then no batch waits for the device. Else from the
        memory map, batch by batch: what stays in memory is the system's page cache, which other processes can reclaim.
        """
        rows = self.features.train_rows[pictures] * self.features.train.shape[1] + views
        labels = self.train_labels[torch.from_numpy(pictures).to(self.device)]
        if (resident := self._resident) is not None:
            on_device = torch.from_numpy(rows).to(self.device)
            return lambda chosen: (resident[on_device[..., chosen]].float(), labels[..., chosen])
        return lambda chosen: (self._read(rows[..., chosen]), labels[..., chosen])

    def _read(self, rows: np.ndarray) -> Tensor:
        """Features (*shape, d) float32 of `rows` of the map."""
        order = np.argsort(rows, axis=None)  # sequential reads
        found = torch.empty(
            (rows.size, self._rows.shape[1]), dtype=torch.float16, pin_memory=self.device.type == "cuda"
        )
        found.numpy()[order] = self._rows[rows.reshape(-1)[order]]
        return found.view(*rows.shape, -1).to(self.device, non_blocking=True).float()

    @cached_property
    def extractor(self) -> FeatureExtractor:
        """The backbone on its device, for `views=0`."""
        return FeatureExtractor(self.extraction.backbone, self.device, self.extraction.batch_size)


@lru_cache(maxsize=1)
def _load_shared(
    reader: Reader,
    source: str | None,
    size: int | None,
    subset: tuple[int | None, int | None],
    validation: float | None,
    name: str,
    **rest: Any,
) -> SharedFeatures:
    found = reader(source, rest["cache"], size)
    positions = balanced_indices(found.test.labels, subset[1], len(found.classes), "data.test_size")
    if isinstance(found, PictureSet) or subset != (None, None):
        found = build_source(found, *subset)
    if found.validation is not None:
        refuse_second_validation(validation, name)
    if found.validation is None and validation is None:
        return SharedFeatures(Extraction(source=found, **rest), positions)
    scored, fingerprint = found.validation or found.train, f"{found.fingerprint} validation"
    centre_crops = Extraction(source=replace(found, test=scored, fingerprint=fingerprint), **rest | {"views": 0})
    return SharedFeatures(Extraction(source=found, **rest), positions, centre_crops)


class ProbeLoader(ShuffledLoader):
    """Shuffled batches of an epoch: features (batch, d) float32 of one view of each picture, and labels (batch,).

    The views of an epoch are drawn at once from the augment stream. `pictures` (n,) are those that train; None: all.
    """

    def __init__(
        self, shared: SharedFeatures, batch_size: int, streams: Streams, pictures: np.ndarray | None = None
    ) -> None:
        self.shared = shared
        self.pictures = np.arange(len(shared.train_labels)) if pictures is None else pictures
        super().__init__(len(self.pictures), batch_size, streams)

    def draw(self) -> tuple[np.ndarray, np.ndarray]:
        """Pictures (n,) and views (n,) of this epoch, in its order."""
        order, epoch = self.sampler.permutation().numpy(), self.sampler.epoch
        views = self.streams.augment.rng(epoch).integers(0, self.shared.features.train.shape[1], len(order))
        return self.pictures[order], views[order]

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        return map(self.shared.open_epoch(*self.draw()), self.slices())


class LiveLoader(ProbeLoader):
    """The same batches, for which the backbone computes fresh crops in every step.

    A crop depends on the augment stream, the epoch and the picture. Raises InputError for a picture that does not
    decode.
    """

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        extraction, epoch, augment = self.shared.extraction, self.sampler.epoch, self.streams.augment

        def crop(index: int) -> np.ndarray:
            return extraction.random_crop(extraction.source.train.load(index), augment.rng(epoch, index))[None]

        order = self.pictures[self.sampler.permutation().numpy()]
        for chosen in map(order.__getitem__, self.slices()):
            rows = self.shared.extractor.extract_each(crop, chosen.tolist())
            features = torch.from_numpy(np.concatenate(list(rows)))
            yield features.to(self.shared.device).float(), self.shared.train_labels[chosen]


class ScoreLoader:
    """Features (batch, d) float32 and labels (batch,) of pictures to score, in the order of the set.

    `chosen` (n,) of the test pictures of `features`; None: all.
    """

    def __init__(
        self, features: Features, batch_size: int, device: torch.device, chosen: np.ndarray | None = None
    ) -> None:
        every = slice(None) if chosen is None else chosen
        self.features, self.batch_size, self.device = features.test, batch_size, device
        self.rows, self.labels = features.test_rows[every], torch.from_numpy(features.test_labels[every]).to(device)

    def __len__(self) -> int:
        return -(-len(self.rows) // self.batch_size)

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        for start in range(0, len(self.rows), self.batch_size):
            here = slice(start, start + self.batch_size)
            features = torch.from_numpy(self.features[self.rows[here]])
            if self.device.type == "cuda":  # from memory that the device reads by itself: the host does not wait
                features = features.pin_memory()
            yield features.to(self.device, non_blocking=True).float(), self.labels[here]


class FeatureData(L.LightningDataModule):
    """Features for training and scoring; extracted where the cache does not have them (see seedspread.data.features).

    `read` finds the pictures, a function (source, cache, size): read_cifar10 of seedspread.data.cifar10, or
    read_picture_files of seedspread.data.picture_files for pictures that do not fit into one array. The features of
    `views` random crops of each picture are kept, and each epoch trains on one of them; with 0 none are kept and the
    backbone computes fresh crops in every step. `validation` is as that of PictureData: its pictures train by their
    random crops and validate by their centre crops. Raises InputError where the pictures do not fit the settings.
    """

    def __init__(
        self,
        *,
        name: str,
        read: Callable[..., Any],
        source: str | None,
        cache: str,
        size: int | None,
        classes: int | None,
        backbone: Backbone,
        augment: RandomResizedCrop,
        views: int,
        view_seed: int,
        skip_broken: bool,
        batch_size: int,
        score_batch_size: int,
        extract_batch_size: int,
        shard: int,
        streams: Streams,
        device: torch.device,
        train_size: int | None = None,
        test_size: int | None = None,
        root: str | None = None,
        validation: float | None = None,
    ) -> None:
        super().__init__()
        if skip_broken and not views:
            raise InputError(
                "data.skip_broken=true: skips pictures whose features are kept; with data.views=0 none are kept"
            )
        if train_size is not None:  # before any features are extracted
            check_sizes(name, None, 0, batch_size, train_size)
        self.shared = _load_shared(
            Reader.of(read),
            source,
            size,
            (train_size, test_size),
            validation,
            name,
            cache=Path(cache).expanduser(),
            backbone=backbone,
            crops=augment,
            views=views,
            view_seed=view_seed,
            batch_size=extract_batch_size,
            shard=shard,
            device=device,
            skip_broken=skip_broken,
        )
        self.pictures = self.shared.features
        self.description = self.shared.description
        self.split: Split | None = draw_split(self.pictures.train_labels, validation, streams.split)
        self._training = None if self.split is None else self.split.train
        self.train_examples = len(self.pictures.train_labels if self._training is None else self._training)
        own = self.shared.validation and len(self.shared.validation.test_rows)
        self.validation_examples = own if self.split is None else len(self.split.validation)
        self.classes, self.features = len(self.pictures.classes), self.pictures.test.shape[1]
        self.batch_size, self.score_batch_size, self.streams = batch_size, score_batch_size, streams
        self._loader = ProbeLoader if views else LiveLoader
        check_sizes(name, classes, self.classes, batch_size, self.train_examples)

    @property
    def has_test_set(self) -> bool:
        """Whether test examples are left that do not validate."""
        return self.validation_examples is not None

    def example_index(self) -> ExampleIndex:
        test, rows = self.shared.extraction.source.test, self.pictures.test_rows
        names = np.array(test.names)[rows] if isinstance(test, PictureFiles) else None
        return ExampleIndex(self.pictures.test_labels, self.shared.test_positions[rows], names)

    def train_dataloader(self) -> ProbeLoader:
        return self._loader(self.shared, self.batch_size, self.streams, self._training)

    def val_dataloader(self) -> ScoreLoader:
        chosen = None if self.split is None else self.split.validation
        return self._score(self.shared.validation or self.pictures, chosen)

    def test_dataloader(self) -> ScoreLoader | list[ScoreLoader]:
        """The test set; empty where it validates."""
        return self._score(self.pictures) if self.has_test_set else []

    def _score(self, features: Features, chosen: np.ndarray | None = None) -> ScoreLoader:
        return ScoreLoader(features, self.score_batch_size, self.shared.device, chosen)
