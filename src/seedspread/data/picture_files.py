"""Pictures that do not fit into one array: a list of files and labels, decoded on demand.

    train/<wnid>/*.JPEG and val/<wnid>/*.JPEG      ImageNet (Russakovsky et al. 2015)
    train/<class>/*.jpg and test/<class>/*.jpg     any other folder of seedspread.data.class_layout

Nothing is cached here, and the fingerprint covers names and sizes alone: ImageNet's 1.3 million files hold 150 GB, and
listing them takes seconds.
"""

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from seedspread.config.errors import InputError
from seedspread.data.class_layout import find_layout
from seedspread.data.decoding import decode_picture
from seedspread.data.listing import list_folder
from seedspread.data.pictures import Pictures, PictureSet, balanced_indices

EXPECTED = "train/<wnid>/*.JPEG and val/<wnid>/*.JPEG, a folder for each class"


@dataclass(frozen=True)
class PictureFiles:
    """Files under `root`, and their labels (n,) int64."""

    root: Path
    names: tuple[str, ...]
    labels: np.ndarray

    def __len__(self) -> int:
        return len(self.names)

    def balanced_subset(self, size: int | None, classes: int, key: str) -> "PictureFiles":
        """As Pictures.balanced_subset."""
        if size is None:
            return self
        chosen = balanced_indices(self.labels, size, classes, key)
        return PictureFiles(self.root, tuple(self.names[i] for i in chosen), self.labels[chosen])

    def load(self, index: int) -> Image.Image:
        """The decoded picture, as RGB; raises BrokenPicture."""
        path = self.root / self.names[index]
        return decode_picture(path, path)


@dataclass(frozen=True)
class PictureSource:
    """Pictures to train on and pictures to score, and the SHA-256 of their names and sizes, or of their bytes.

    `validation` is None where the data have no validation set of their own.
    """

    train: PictureFiles | Pictures
    test: PictureFiles | Pictures
    classes: tuple[str, ...]
    fingerprint: str
    validation: PictureFiles | Pictures | None = None


def build_source(pictures: PictureSet | PictureSource, train_size: int | None, test_size: int | None) -> PictureSource:
    """`pictures` as a PictureSource, or a fixed balanced subset of them."""
    classes = len(pictures.classes)
    return PictureSource(
        pictures.train.balanced_subset(train_size, classes, "data.train_size"),
        pictures.test.balanced_subset(test_size, classes, "data.test_size"),
        pictures.classes,
        f"{pictures.fingerprint} {train_size} {test_size}",
        pictures.validation,
    )


def read_picture_files(source: str | None, cache: Path, size: int) -> PictureSource:
    """The pictures in the folder `source`; `cache` and `size` are of the signature that all readers share, and unused.

    What is left out is printed. Raises InputError for a folder of another layout.
    """
    if source is None:
        raise InputError(f"data.root is not set: data.root=PATH is the folder that holds {EXPECTED}")
    root, origin = Path(source).expanduser(), f"data.root={source}"
    if root.is_file():
        raise InputError(f"{origin}: a file; unpack it, or use data=class_folders data.source={source}")
    if not root.is_dir():
        raise InputError(f"{origin}: no such folder; it should hold {EXPECTED}")
    listing = list_folder(root, origin)
    layout = find_layout(listing)
    for line in layout.left_out:
        print(line, flush=True)
    classes = tuple(sorted(layout.parts["train"]))
    digest = hashlib.sha256(json.dumps(classes).encode())
    lists = {}
    for part, paths in layout.parts.items():
        rows = [(path, label) for label, name in enumerate(classes) for path in paths[name]]
        digest.update("".join(f"{path} {listing.pictures[path]} {label}\n" for path, label in rows).encode())
        names, labels = zip(*rows, strict=True)
        lists[part] = PictureFiles(root, names, np.array(labels, np.int64))
    return PictureSource(classes=classes, fingerprint=digest.hexdigest(), **lists)
