"""Pictures that do not fit into one array: a list of files and labels, decoded on demand.

    train/<wnid>/*.JPEG and val/<wnid>/*.JPEG      ImageNet (Russakovsky et al. 2015)
    train/<class>/*.jpg and test/<class>/*.jpg     any other folder that seedspread.data.class_folders reads

Nothing is cached here, and the fingerprint covers names and sizes alone: ImageNet's 1.3 million files hold 150 GB, and
listing them takes seconds.
"""

import hashlib
import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from seedspread.config.errors import InputError
from seedspread.data.class_folders import TEST_NAMES, split_names
from seedspread.data.decoding import ENDINGS, decode_picture
from seedspread.data.pictures import Pictures, PictureSet, balanced_indices

EXPECTED = "train/<wnid>/*.JPEG and val/<wnid>/*.JPEG, a folder for each class"
SORT = (
    "sort val/ with LOC_val_solution.csv of the archive: cd val && tail -n +2 PATH/LOC_val_solution.csv | "
    "while IFS=', ' read f c _; do mkdir -p $c && mv $f.JPEG $c/; done"
)


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

    Raises InputError, which shows the expected layout, for a folder that has another one.
    """
    if source is None:
        raise InputError(f"data.root is not set: data.root=PATH is the folder that holds {EXPECTED}")
    root = Path(source).expanduser()
    if not root.is_dir():
        raise InputError(f"data.root={source}: no such folder; it should hold {EXPECTED}")
    found = dict(_pictures_under(root))
    sorted_parts = {part for part in TEST_NAMES for name in found if Path(name).parent.parent == Path(part)}
    if sorted_parts:  # ImageNet's own archive has a test/ without labels beside a sorted val/
        found = {name: size for name, size in found.items() if Path(name).parent.name not in TEST_NAMES}
    for part in ("train", *TEST_NAMES):
        if any(Path(name).parent == Path(part) for name in found):
            fix = SORT if part == "val" else f"sort them into {part}/<class>/"
            raise InputError(
                f"data.root={source}: pictures lie in {part}/ without a class folder; expected: {EXPECTED}.\n{fix}"
            )
    if not found:
        raise InputError(f"data.root={source}: no pictures in it; it should hold {EXPECTED}")
    parts = split_names(list(found), f"data.root={source} (expected: {EXPECTED})")
    classes = tuple(sorted(parts["train"]))
    digest = hashlib.sha256(json.dumps(classes).encode())
    lists = {}
    for part in parts:
        rows = [(name, label) for label, kind in enumerate(classes) for name in parts[part][kind]]
        digest.update("".join(f"{name} {found[name]} {label}\n" for name, label in rows).encode())
        names, labels = zip(*rows, strict=True)
        lists[part] = PictureFiles(root, names, np.array(labels, np.int64))
    return PictureSource(classes=classes, fingerprint=digest.hexdigest(), **lists)


def _pictures_under(root: Path, inside: str = "") -> Iterator[tuple[str, int]]:
    """Names and sizes in bytes of the picture files below `root`, sorted by name."""
    with os.scandir(root / inside) as listing:
        entries = sorted(listing, key=lambda entry: entry.name)
    for entry in entries:
        if entry.name.startswith("."):
            continue
        if entry.is_dir():
            yield from _pictures_under(root, f"{inside}{entry.name}/")
        elif os.path.splitext(entry.name)[1].lower() in ENDINGS:  # noqa: PTH122  # pathlib takes ten times longer
            yield f"{inside}{entry.name}", entry.stat().st_size
