"""Decoded pictures on disk: arrays that several processes map together."""

import errno
import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np

from seedspread.config.errors import InputError
from seedspread.data.pictures import Pictures, PictureSet, build_picture_set

_PARTS = ("train", "test", "validation")  # the last where the pictures have a validation set of their own
_KINDS = ("images", "labels")


def load_or_build(folder: Path, name: str, source: str, build: Callable[[], PictureSet]) -> PictureSet:
    """The pictures of `source` from `folder`; `build` decodes them the first time.

    `source` describes what the pictures are made from (paths, sizes, times, settings): another description makes
    another entry. An entry is written to a temporary folder and renamed, so it is complete or absent; of two processes
    that build it at once, the second uses the first's. A damaged entry is built again. Raises InputError where the
    folder cannot be written to.
    """
    entry = folder / f"{name}-{hashlib.sha256(source.encode()).hexdigest()[:12]}"
    if (found := load_entry(entry)) is not None:
        return found
    _check_writable(folder)
    made = build()
    try:
        store_entry(made, entry, source)
    except OSError as error:
        raise unkept_error("decoded pictures", folder, error) from error
    return load_entry(entry) or made


def check_room(folder: Path, needed: int, what: str) -> None:
    """Raise InputError, which begins with `what`, where `needed` bytes exceed the memory or the space at `folder`."""
    gib, memory = needed / 2**30, os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    if needed > memory:
        raise InputError(
            f"{what} take {gib:.1f} GiB, and this machine has {memory / 2**30:.1f} GiB of memory; set a smaller "
            "data.size, or use data=picture_files, which decodes in every epoch"
        )
    if needed > (free := shutil.disk_usage(_existing(folder)).free):
        raise InputError(
            f"{what} take {gib:.1f} GiB, and {folder} has {free / 2**30:.1f} GiB free; set another folder with "
            "data.cache=PATH, or a smaller data.size"
        )


def _check_writable(folder: Path) -> None:
    """Raise InputError where an entry could not be written to `folder`, before hours of decoding show it."""
    there = _existing(folder)
    if not there.is_dir():
        raise unkept_error("decoded pictures", folder, NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR)))
    if not os.access(there, os.W_OK | os.X_OK):
        raise unkept_error("decoded pictures", folder, PermissionError(errno.EACCES, os.strerror(errno.EACCES)))


def _existing(folder: Path) -> Path:
    """`folder`, or the nearest folder above it that exists."""
    return next(path for path in (folder, *folder.absolute().parents) if path.exists())


def unkept_error(what: str, folder: Path, error: OSError) -> InputError:
    """What is wrong where `what` cannot be written to the cache `folder`, and the fix."""
    why = error.strerror or error
    return InputError(
        f"cannot keep the {what} in {folder}: {why}; fix that, or set another folder with data.cache=PATH"
    )


def load_entry(entry: Path) -> PictureSet | None:
    """The pictures in `entry`; None where it is absent or damaged."""
    try:
        manifest = json.loads((entry / "manifest.json").read_text())
        # Copy-on-write maps: torch uses them without a copy, and writes to them do not reach the disk.
        names = manifest["parts"]  # absent in entries of version 0.1, which took validation pictures for test pictures
        arrays = [np.load(entry / f"{name}_{kind}.npy", mmap_mode="c") for name in names for kind in _KINDS]
        if [list(array.shape) for array in arrays] != manifest["shapes"]:
            return None
        parts = {n: Pictures(x, np.array(y)) for n, x, y in zip(names, arrays[::2], arrays[1::2], strict=True)}
        # Records hold this fingerprint: computed from the bytes again, once per process.
        found = build_picture_set(classes=tuple(manifest["classes"]), **parts)
        return found if found.fingerprint == manifest["fingerprint"] else None
    except (OSError, ValueError, KeyError, TypeError):
        return None


def store_entry(pictures: PictureSet, entry: Path, source: str) -> None:
    """Write `pictures` to `entry`, which becomes complete in one step; an OSError passes."""
    entry.parent.mkdir(parents=True, exist_ok=True)
    draft = Path(tempfile.mkdtemp(dir=entry.parent, prefix=f".{entry.name}."))
    try:
        parts = {name: part for name in _PARTS if (part := getattr(pictures, name)) is not None}
        arrays = {f"{name}_{kind}": getattr(part, kind) for name, part in parts.items() for kind in _KINDS}
        for name, array in arrays.items():
            np.save(draft / f"{name}.npy", array)
        manifest = {
            "parts": list(parts),
            "source": source,
            "classes": pictures.classes,
            "fingerprint": pictures.fingerprint,
            "shapes": [array.shape for array in arrays.values()],
        }
        (draft / "manifest.json").write_text(json.dumps(manifest, indent=2))
        if entry.exists() and load_entry(entry) is None:
            shutil.rmtree(entry)
        try:
            draft.rename(entry)
        except OSError:
            if load_entry(entry) is None:
                raise
    finally:
        shutil.rmtree(draft, ignore_errors=True)
