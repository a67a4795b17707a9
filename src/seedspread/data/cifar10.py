"""CIFAR-10 (Krizhevsky 2009): 50,000 pictures to train on, 10,000 to score, 32x32 colour, ten classes.

Read from `data.source` where it is set (torchvision's archive, a folder that holds it or its unpacked form, or class
folders of pictures), else from the cache folder, else downloaded.
"""

import hashlib
from pathlib import Path

import numpy as np
from torchvision.datasets import CIFAR10

from seedspread.config.errors import InputError
from seedspread.data.class_folders import read_class_folders
from seedspread.data.picture_cache import load_or_build
from seedspread.data.pictures import Pictures, PictureSet, build_picture_set

ARCHIVE = CIFAR10.filename
UNPACKED = CIFAR10.base_folder
# torchvision checks MD5; this is the SHA-256 of the same archive, as TensorFlow and Keras publish it.
SHA256 = "6d958be074577803d12ecdefd02955f39262c83c16fe9348329d7fe0b5c001ce"
THREE_WAYS = (
    f"\nSet data.source=PATH to {ARCHIVE} or to the folder {UNPACKED}; or to a folder or archive of "
    "train/<class>/*.jpg and test/<class>/*.jpg; or connect to the network to have it downloaded"
)


def read_cifar10(source: str | None, cache: Path, size: int) -> PictureSet:
    """CIFAR-10 from `source`, else from `cache`, else from the network. Raises InputError with all three ways."""
    if source is None:
        root = cache if _holds_original(cache) else _download(cache)
    else:
        path = Path(source).expanduser()
        if not path.exists():
            raise InputError(f"data.source={source}: no such file or folder.{THREE_WAYS}")
        root = path.parent if path.name in (ARCHIVE, UNPACKED) else path
        if not _holds_original(root):
            return read_class_folders(source, cache, size)
    return load_or_build(cache, "cifar10", "CIFAR-10, the original arrays", lambda: _from_original(root))


def _holds_original(folder: Path) -> bool:
    return (folder / ARCHIVE).is_file() or (folder / UNPACKED).is_dir()


def _download(cache: Path) -> Path:
    try:
        cache.mkdir(parents=True, exist_ok=True)
        CIFAR10(str(cache), download=True)
    except (OSError, RuntimeError) as error:
        (cache / ARCHIVE).unlink(missing_ok=True)
        raise InputError(f"CIFAR-10 is not in {cache} and could not be downloaded ({error}).{THREE_WAYS}") from error
    return cache


def _from_original(root: Path) -> PictureSet:
    archive = root / ARCHIVE
    if not (root / UNPACKED).is_dir() or archive.is_file():
        with archive.open("rb") as file:
            found = hashlib.file_digest(file, "sha256").hexdigest()
        if found != SHA256:
            raise InputError(
                f"{archive} is damaged: SHA-256 {found[:12]}..., expected {SHA256[:12]}...; remove it and try again"
            )
    try:
        # download=True unpacks the archive and checks each part; where both are there, it downloads nothing.
        parts = [CIFAR10(str(root), train=train, download=not (root / UNPACKED).is_dir()) for train in (True, False)]
    except (OSError, RuntimeError, EOFError) as error:
        raise InputError(f"{root / UNPACKED} is damaged ({error}); remove it and unpack it again") from error
    train, test = (Pictures(part.data, np.array(part.targets, np.int64)) for part in parts)
    return build_picture_set(train, test, tuple(parts[0].classes))
