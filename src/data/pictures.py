"""Labelled pictures as arrays, and their cache on disk.

Pictures are decoded once. The arrays are kept as .npy files that several processes map together, so that a second
process costs no second copy.
"""

import hashlib
import json
import shutil
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from src.errors import InputError

_PARTS = ("train_images", "train_labels", "test_images", "test_labels")


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


def cached(folder: Path, name: str, source: str, build: Callable[[], PictureSet]) -> PictureSet:
    """The pictures of `source` from `folder`, made with `build` the first time.

    `source` describes what the pictures were made from (paths, sizes, times, settings): another description makes
    another entry. An entry is written beside its place and renamed, so it is whole or absent; where two processes
    build it at once, the second finds the first's. A damaged entry is built again.
    """
    entry = folder / f"{name}-{hashlib.sha256(source.encode()).hexdigest()[:12]}"
    if (found := _load(entry)) is not None:
        return found
    made = build()
    try:
        _store(made, entry, source)
    except OSError as error:
        raise InputError(
            f"cannot keep the decoded pictures in {folder}: {error.strerror or error}; mend that, or name another "
            "folder with data.cache=PATH"
        ) from error
    return _load(entry) or made


def _load(entry: Path) -> PictureSet | None:
    try:
        manifest = json.loads((entry / "manifest.json").read_text())
        # Copy-on-write maps: torch takes them without a copy, and nothing written to them reaches the disk.
        arrays = [np.load(entry / f"{part}.npy", mmap_mode="c") for part in _PARTS]
        if [list(array.shape) for array in arrays] != manifest["shapes"]:
            return None
        train, test = Pictures(arrays[0], np.array(arrays[1])), Pictures(arrays[2], np.array(arrays[3]))
        # Records vouch for this fingerprint: taken again from the bytes, once per process.
        found = picture_set(train, test, tuple(manifest["classes"]))
        return found if found.fingerprint == manifest["fingerprint"] else None
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _store(pictures: PictureSet, entry: Path, source: str) -> None:
    entry.parent.mkdir(parents=True, exist_ok=True)
    draft = Path(tempfile.mkdtemp(dir=entry.parent, prefix=f".{entry.name}."))
    try:
        arrays = (pictures.train.images, pictures.train.labels, pictures.test.images, pictures.test.labels)
        for part, array in zip(_PARTS, arrays, strict=True):
            np.save(draft / f"{part}.npy", array)
        manifest = {
            "source": source,
            "classes": pictures.classes,
            "fingerprint": pictures.fingerprint,
            "shapes": [array.shape for array in arrays],
        }
        (draft / "manifest.json").write_text(json.dumps(manifest, indent=2))
        if entry.exists() and _load(entry) is None:
            shutil.rmtree(entry)
        try:
            draft.rename(entry)
        except OSError:
            if _load(entry) is None:
                raise
    finally:
        shutil.rmtree(draft, ignore_errors=True)
