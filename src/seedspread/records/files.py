"""Files that are whole or absent: atomic writes, draft folders, and the error for a folder that cannot be written."""

import errno
import hashlib
import os
import platform
import tempfile
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from seedspread.config.errors import InputError

LONGEST_NAME = 120


def check_writable(folder: Path, inside: str = "seeds", key: str = "results") -> None:
    """Raise InputError where nothing can be written into `folder` / `inside`, before anything is trained."""
    try:
        (folder / inside).mkdir(parents=True, exist_ok=True)
        probe = unique_draft(folder / inside / "probe")
        try:
            probe.write_bytes(bytes(4096))  # a full disk still creates empty files
        finally:
            probe.unlink(missing_ok=True)
    except OSError as error:
        raise unwritable_error(folder, error, key) from error


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


def unique_draft(path: Path) -> Path:
    """A name beside `path` that nobody else takes, on whichever machine: `path` is written there first."""
    return path.with_name(f".{path.name}.{platform.node()[:32]}.{uuid.uuid4().hex[:12]}.tmp")


def write_atomically(path: Path, data: bytes) -> None:
    """Write a file that is whole or absent, also after a crash or a power failure."""
    with _durable_draft(path, data) as draft:
        draft.replace(path)


def publish(path: Path, data: bytes) -> bool:
    """As `write_atomically`, but only where there is no such file: of several writers one succeeds."""
    with _durable_draft(path, data) as draft:
        return claim_name(draft, path)


def create_whole(path: Path, data: bytes) -> bool:
    """As `publish`, for a file that need not survive a power failure."""
    draft = unique_draft(path)
    try:
        draft.write_bytes(data)
        return claim_name(draft, path)
    finally:
        draft.unlink(missing_ok=True)


@contextmanager
def _durable_draft(path: Path, data: bytes) -> Iterator[Path]:
    """A draft of `path` that is on the disk, and the folder too once the block has put it into its place."""
    draft = unique_draft(path)
    try:
        with draft.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        yield draft
        folder = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
    finally:
        draft.unlink(missing_ok=True)


def claim_name(draft: Path, path: Path) -> bool:
    """Give the file `draft` the name `path`, beside its own where there are links; False where that is taken.

    NFS may lose the answer of a link that succeeded: what counts is how many names the draft has. Without links (FAT,
    some network drives) a rename has to do, which cannot tell two writers of one instant apart.
    """
    try:
        os.link(draft, path)
    except FileExistsError:
        return draft.stat().st_nlink == 2
    except OSError as error:
        if draft.stat().st_nlink == 2:
            return True
        if error.errno not in (errno.EPERM, errno.ENOTSUP, errno.EMLINK, errno.ENOSYS):
            raise
        if path.exists():
            return False
        draft.replace(path)
    return True


@contextmanager
def draft_folder(folder: Path) -> Iterator[Path]:
    """A scratch folder whose files move into `folder` when the block ends without an exception; otherwise none does."""
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".draft-", dir=folder.parent) as scratch:
        yield Path(scratch)
        for path in Path(scratch).iterdir():
            path.replace(folder / path.name)


def unwritable_error(folder: Path, error: OSError, key: str = "results") -> InputError:
    """What is wrong where `folder` cannot be written, and the fix that fits the cause; `key` names another folder."""
    elsewhere = f"name another folder with {key}=PATH"
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
