"""Labelled pictures as arrays, and their cache on disk.

Pictures are decoded once. The arrays are kept as .npy files that several processes map together, so that a second
process costs no second copy.
"""

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

    def balanced(self, size: int | None, classes: int, key: str) -> "Pictures":
        """The first size / classes pictures of each class, in the order of the set; all of them where `size` is None.

        `key` names the setting in the InputError raised where `size` cannot be had.
        """
        if size is None:
            return self
        chosen = balanced(self.labels, size, classes, key)
        return Pictures(np.ascontiguousarray(self.images[chosen]), self.labels[chosen])


def in_colour(image: Image.Image) -> Image.Image:
    """`image` as 8-bit RGB; 16-bit grey is scaled, where Pillow's own conversion would clip all above 255 to white."""
    if image.mode.startswith("I"):
        deep = np.asarray(image).astype(np.uint32)
        image = Image.fromarray(((deep + 128) // 257).astype(np.uint8))
    return image.convert("RGB")


def balanced(labels: np.ndarray, size: int, classes: int, key: str) -> np.ndarray:
    """Positions of the first size / classes of each class in `labels` (n,), in the order of the set.

    `key` names the setting in the InputError raised where `size` cannot be had.
    """
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
    """The pictures a study trains and scores on, and the SHA-256 of their bytes."""

    train: Pictures
    test: Pictures
    classes: tuple[str, ...]
    fingerprint: str


def picture_set(train: Pictures, test: Pictures, classes: tuple[str, ...]) -> PictureSet:
    """A PictureSet with its fingerprint, over pixels, labels, shapes and class names."""
    digest = hashlib.sha256(json.dumps(classes).encode())
    for array in (train.images, train.labels, test.images, test.labels):
        array = np.ascontiguousarray(array)
        digest.update(f"{array.dtype}{array.shape}".encode())
        digest.update(array.data)
    return PictureSet(train, test, classes, digest.hexdigest())
