"""Pictures in class folders, in a directory or in a .tar, .tar.gz, .tar.xz or .zip archive.

    train/<class>/*.jpg and test/<class>/*.jpg     (or val, valid, validation for test)
    train/, val/ and test/, all with class folders val/ validates, test/ tests
    <class>/*.jpg                                  every fifth picture of a class is held out for scoring

All of it may lie in one more folder. Archives are read in memory and never unpacked to disk.
"""

import hashlib
import io
import sys
import tarfile
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath

import numpy as np
from PIL import Image
from rich.progress import track

from seedspread.config.errors import InputError
from seedspread.data.decoding import DECODING, ENDINGS, decode_picture
from seedspread.data.picture_cache import load_or_build
from seedspread.data.pictures import Pictures, PictureSet, build_picture_set

TEST_NAMES = ("test", "val", "valid", "validation")
HELD_OUT_EVERY = 5
LAYOUT = "train/<class>/*.jpg and test/<class>/*.jpg, or <class>/*.jpg"


def read_class_folders(source: str | None, cache: Path, size: int) -> PictureSet:
    """The pictures of `source`, a folder or an archive, each `size` x `size`: short side resized, centre cropped."""
    if source is None:
        raise InputError(f"data.source is not set: give a folder or archive that holds {LAYOUT}, data.source=PATH")
    path = Path(source).expanduser()
    if not path.exists():
        raise InputError(f"data.source={source}: no such file or folder; it should hold {LAYOUT}")

    def build() -> PictureSet:
        with _open_source(path) as (names, read):
            return _decode_parts(split_names(names, f"data.source={source}"), read, size)

    key = f"{_describe_files(path)}, size {size}, decoding {DECODING}"
    return load_or_build(cache, path.name.split(".")[0], key, build)


def _describe_files(path: Path) -> str:
    """A key that changes with the pictures: size and time of the archive, or of each picture in the folder."""
    files = [path / name for name in _pictures_under(path)] if path.is_dir() else [path]
    stats = [(str(file), file.stat().st_size, file.stat().st_mtime_ns) for file in files]
    return f"{path.resolve()} {hashlib.sha256(repr(stats).encode()).hexdigest()}"


def _pictures_under(folder: Path) -> list[str]:
    return sorted(p.relative_to(folder).as_posix() for p in folder.rglob("*") if _is_picture(p.name))


@contextmanager
def _open_source(path: Path) -> Iterator[tuple[list[str], Callable[[str], bytes]]]:
    """Yield the names of the picture files under `path`, and a function that reads one of them."""
    if path.is_dir():
        yield _pictures_under(path), lambda name: (path / name).read_bytes()
        return
    try:
        if zipfile.is_zipfile(path):
            with zipfile.ZipFile(path) as archive:
                yield _pictures_in(archive.namelist(), path), archive.read
        else:
            with tarfile.open(path) as archive:
                # Read in one pass: each step back in a compressed archive would decompress it from its start.
                contents = {m.name: _read_member(archive, m, path) for m in archive if not m.isdir()}
                yield _pictures_in(list(contents), path), contents.__getitem__
    except (tarfile.TarError, zipfile.BadZipFile, EOFError, OSError, ValueError) as error:
        raise InputError(
            f"data.source={path}: not a whole .tar, .tar.gz, .tar.xz or .zip archive ({type(error).__name__}); "
            "copy it again"
        ) from error


def _is_picture(name: str) -> bool:
    parts = PurePosixPath(name).parts
    hidden = parts[-1].startswith(".") or "__MACOSX" in parts  # macOS adds this folder to archives
    return not hidden and PurePosixPath(name).suffix.lower() in ENDINGS


def _read_member(archive: tarfile.TarFile, member: tarfile.TarInfo, path: Path) -> bytes:
    file = archive.extractfile(member) if member.isreg() else None
    if file is None:
        raise InputError(
            f"data.source={path}: {member.name} is a link or a device, not a picture; create the archive without it"
        )
    return file.read() if _is_picture(member.name) else b""


def _pictures_in(names: list[str], archive: Path) -> list[str]:
    unsafe = [name for name in names if name.startswith("/") or ".." in PurePosixPath(name).parts]
    if unsafe:
        raise InputError(
            f"data.source={archive}: unsafe path {unsafe[0]!r} in the archive; create it without this path"
        )
    return sorted(name for name in names if _is_picture(name))


def split_names(names: list[str], origin: str) -> dict[str, dict[str, list[str]]]:
    """Names by part ("train", "test"; "validation" where there are both val/ and test/) and class.

    Raises InputError, which begins with `origin`, for names without such folders, fewer than two classes, or a class
    without pictures in one of the parts.
    """
    parts: dict[str, dict[str, list[str]]] = {"train": {}, "test": {}, "validation": {}}
    loose: dict[str, list[str]] = {}
    for name in names:
        folders = PurePosixPath(name).parts[:-1]
        if len(folders) >= 2 and folders[-2] in ("train", *TEST_NAMES):
            part = folders[-2] if folders[-2] in ("train", "test") else "validation"
            parts[part].setdefault(folders[-1], []).append(name)
        elif folders:
            loose.setdefault(folders[-1], []).append(name)
    if not any(parts.values()):
        for label, files in loose.items():
            parts["test"][label] = files[HELD_OUT_EVERY - 1 :: HELD_OUT_EVERY]
            held_out = set(parts["test"][label])
            parts["train"][label] = [file for file in files if file not in held_out]
    if not parts["test"]:  # val/ alone is what scores
        parts["test"] = parts.pop("validation")
    elif not parts["validation"]:
        del parts["validation"]
    if not parts["train"] or not parts["test"]:
        raise InputError(f"{origin}: no pictures in {LAYOUT}")
    if len(parts["train"]) < 2:
        raise InputError(f"{origin}: {len(parts['train'])} class found, at least 2 are needed; it should hold {LAYOUT}")
    differing = sorted(set().union(*parts.values()) - set(parts["train"]).intersection(*parts.values()))
    if differing or not all(files for part in parts.values() for files in part.values()):
        lacking = differing or sorted(label for part in parts.values() for label in part if not part[label])
        raise InputError(
            f"{origin}: class {lacking[0]!r} has no pictures to train on or none to score; without train/ and "
            f"test/ a class needs at least {HELD_OUT_EVERY}"
        )
    return parts


def _decode_parts(parts: dict[str, dict[str, list[str]]], read: Callable[[str], bytes], size: int) -> PictureSet:
    classes = tuple(sorted(parts["train"]))
    decoded = {}
    for part in parts:
        # The first picture of every class, then the second of every class: consecutive pictures then belong to
        # different classes, as in the original CIFAR-10, and chunked augmentation draws once for such pictures.
        order = sorted(
            (place, label, name)
            for label, label_name in enumerate(classes)
            for place, name in enumerate(parts[part][label_name])
        )
        images = np.empty((len(order), size, size, 3), np.uint8)
        for i, (_, _, name) in enumerate(
            track(order, description=f"decoding {part}", transient=True, disable=not sys.stdout.isatty())
        ):
            images[i] = _decode_picture(name, read(name), size)
        decoded[part] = Pictures(images, np.array([label for _, label, _ in order], np.int64))
    return build_picture_set(classes=classes, **decoded)


def _decode_picture(name: str, data: bytes, size: int) -> np.ndarray:
    image = decode_picture(io.BytesIO(data), name)
    if image.size != (size, size):
        scale = size / min(image.size)
        image = image.resize(
            (max(size, round(image.width * scale)), max(size, round(image.height * scale))), Image.Resampling.BICUBIC
        )
        left, top = (image.width - size) // 2, (image.height - size) // 2
        image = image.crop((left, top, left + size, top + size))
    return np.asarray(image)
