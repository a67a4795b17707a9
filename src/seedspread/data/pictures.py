"""Labelled pictures as arrays, and their fingerprint."""

import hashlib
import json
from dataclasses import dataclass

import numpy as np
from PIL import Image

from seedspread.config.errors import InputError


@dataclass(frozen=True)
class Pictures:
    """Images (n, height, width, channels) uint8 and labels (n,) int64."""

    images: np.ndarray
    labels: np.ndarray

    def __len__(self) -> int:
        return len(self.labels)

    def balanced_subset(self, size: int | None, classes: int, key: str) -> "Pictures":
        """The first size / classes pictures of each class, in the order of the set; all of them where `size` is None.

        Raises InputError, which names the setting `key`, where `size` is no multiple of `classes` or too large.
        """
        if size is None:
            return self
        chosen = balanced_indices(self.labels, size, classes, key)
        return Pictures(np.ascontiguousarray(self.images[chosen]), self.labels[chosen])

    def load(self, index: int) -> Image.Image:
        """The picture, as RGB."""
        image = np.asarray(self.images[index])
        return Image.fromarray(image if image.shape[2] == 3 else np.repeat(image, 3, axis=2))


def check_sizes(name: str, classes: int | None, found: int, batch_size: int, pictures: int) -> None:
    """Raise InputError where the data do not have the classes that are set, or fewer `pictures` than a batch."""
    if classes not in (None, found):
        raise InputError(f"data.classes={classes}: {name} has {found} classes")
    if batch_size > pictures:
        raise InputError(
            f"data.batch_size={batch_size}: {name} has {pictures} pictures to train on; choose 1 to {pictures}"
        )


def balanced_indices(labels: np.ndarray, size: int | None, classes: int, key: str) -> np.ndarray:
    """Indices (size,) of the first size / classes of each class in `labels` (n,), ascending; all for None.

    Raises InputError, which names the setting `key`, where `size` is no multiple of `classes` or too large.
    """
    if size is None:
        return np.arange(len(labels))
    each = size // classes if isinstance(size, int) else 0
    if each < 1 or each * classes != size:
        raise InputError(f"{key}={size}: a balanced subset needs a multiple of the {classes} classes")
    short = [c for c in range(classes) if np.count_nonzero(labels == c) < each]
    if short:
        have = min(np.count_nonzero(labels == c) for c in short)
        raise InputError(f"{key}={size}: the smallest class has {have} pictures; ask for at most {have * classes}")
    return np.sort(np.concatenate([np.flatnonzero(labels == c)[:each] for c in range(classes)]))


@dataclass(frozen=True)
class PictureSet:
    """The pictures a study trains and scores on, and the SHA-256 of their bytes.

    `validation` is None where the data have no validation set of their own.
    """

    train: Pictures
    test: Pictures
    classes: tuple[str, ...]
    fingerprint: str
    validation: Pictures | None = None


def build_picture_set(
    train: Pictures, test: Pictures, classes: tuple[str, ...], validation: Pictures | None = None
) -> PictureSet:
    """A PictureSet with its fingerprint, over pixels, labels, shapes and class names."""
    digest = hashlib.sha256(json.dumps(classes).encode())
    for part in (train, test, *([validation] if validation else [])):
        for array in map(np.ascontiguousarray, (part.images, part.labels)):
            digest.update(f"{array.dtype}{array.shape}".encode())
            digest.update(array.data)
    return PictureSet(train, test, classes, digest.hexdigest(), validation)
