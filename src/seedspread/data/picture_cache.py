"""Decoded pictures on disk: arrays that several processes map together."""

import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import numpy as np
from filelock import FileLock

from seedspread.config.errors import InputError
from seedspread.data.pictures import Pictures, PictureSet, build_picture_set

_PARTS = ("train", "test", "validation")  # the last where the pictures have a validation set of their own
_KINDS = ("images", "labels")


def load_or_build(folder: Path, name: str, source: str, build: Callable[[], PictureSet]) -> PictureSet:
    """The pictures of `source` from `folder`; `build` decodes them the first time.

    `source` describes what the pictures are made from (paths, sizes, times, settings): another description makes
    another entry. An entry is written to a temporary folder and renamed, so it is complete or absent. Of several
    processes one builds it, and the others wait. A damaged entry is built again. Raises InputError where the folder
    cannot be written to, before anything is built.
    """
    entry = folder / f"{name}-{hashlib.sha256(source.encode()).hexdigest()[:12]}"
    if (found := load_entry(entry)) is not None:
        return found
    with _lock(folder, entry.name):
        if (found := load_entry(entry)) is not None:
            return found
        made = build()
        try:
            store_entry(made, entry, source)
        except OSError as error:
            raise unkept_error("decoded pictures", folder, error) from error
        return load_entry(entry) or made


@contextmanager
def _lock(folder: Path, name: str) -> Iterator[None]:
    """Within the block no other process is in it for `name`; an empty `folder` is removed again at the end."""
    lock = FileLock(folder / f".{name}.lock")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock.acquire()
    except OSError as error:
        raise unkept_error("decoded pictures", folder, error) from error
    try:
        yield
    finally:
        Path(lock.lock_file).unlink(missing_ok=True)  # who waits for it finds the entry, or builds it as well
        lock.release()
        with suppress(OSError):
            folder.rmdir()


def check_room(folder: Path, needed: int, what: str) -> None:
    """Raise InputError, which begins with `what`, where `needed` bytes exceed the memory or the space at `folder`."""
    gib, memory = needed / 2**30, os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    if needed > memory:
        raise InputError(
            f"{what} take {gib:.1f} GiB, and this machine has {memory / 2**30:.1f} GiB of memory; set a smaller "
            "data.size, or use data=picture_files, which decodes in every epoch"
        )
    if needed > (free := shutil.disk_usage(folder).free):
        raise InputError(
            f"{what} take {gib:.1f} GiB, and {folder} has {free / 2**30:.1f} GiB free; set another folder with "
            "data.cache=PATH, or a smaller data.size"
        )


def unkept_error(what: str, folder: Path, error: OSError) -> InputError:
    """What is wrong where `what` cannot be written to the cache `folder`, and the fix."""
    why = "it is a file" if isinstance(error, FileExistsError) else error.strerror or error
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
