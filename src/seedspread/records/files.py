"""Files that are whole or absent: atomic writes, draft folders, and the error for a folder that cannot be written."""

import errno
import hashlib
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from seedspread.config.errors import InputError

LONGEST_NAME = 120


def check_writable(folder: Path) -> None:
    """Raise InputError where no study can be written into `folder`, before anything is trained."""
    try:
        (folder / "seeds").mkdir(parents=True, exist_ok=True)
        probe = folder / "seeds" / f".probe.{os.getpid()}"
        try:
            probe.write_bytes(bytes(4096))  # a full disk still creates empty files
        finally:
            probe.unlink(missing_ok=True)
    except OSError as error:
        raise unwritable_error(folder, error) from error


def combined_folder(results: Path, name: str) -> Path:
    """The folder of a report on several studies, beside theirs: `name`, shortened where it is long.

    Raises InputError where that is the folder of a study.
    """
    if len(name) > LONGEST_NAME:
        name = f"{name[:LONGEST_NAME]}-{hashlib.sha256(name.encode()).hexdigest()[:8]}"
    folder = results / name
    if (folder / "study.yaml").exists():
        raise InputError(f"{folder} is a study itself; rename its folder: a report on several studies goes there")
    return folder


def write_atomically(path: Path, data: bytes) -> None:
    """Write a file that is whole or absent, also after a crash or a power failure."""
    draft = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with draft.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        draft.replace(path)
        folder = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
    except OSError:
        draft.unlink(missing_ok=True)
        raise


@contextmanager
def draft_folder(folder: Path) -> Iterator[Path]:
    """A scratch folder whose files move into `folder` when the block ends without an exception; otherwise none does."""
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".draft-", dir=folder.parent) as scratch:
        yield Path(scratch)
        for path in Path(scratch).iterdir():
            path.replace(folder / path.name)


def unwritable_error(folder: Path, error: OSError) -> InputError:
    """What is wrong where `folder` cannot be written, and the fix that fits the cause."""
    elsewhere = "name another folder with results=PATH"
    fixes = {
        errno.ENOSPC: f"Free some space, or {elsewhere}; records already there are untouched",
        errno.EDQUOT: f"Free some of your quota, or {elsewhere}; records already there are untouched",
        errno.ENAMETOOLONG: "Choose a shorter study=NAME",
        errno.EACCES: f"Change its permissions, or {elsewhere}",
        errno.EPERM: f"Change its permissions, or {elsewhere}",
    }
    what = error.strerror or str(error)
    if error.errno in (errno.ENOTDIR, errno.EEXIST):
        place = Path(error.filename or folder)
        what = next((f"{path} is a file, not a folder" for path in (place, *place.parents) if path.is_file()), what)
    fix = fixes.get(error.errno or 0, f"{elsewhere[0].upper()}{elsewhere[1:]}")
    return InputError(f"cannot write to {folder}: {what}. {fix}")
