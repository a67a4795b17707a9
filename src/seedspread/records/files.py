"""Files that are whole or absent: atomic writes, draft folders, and what to say where a folder cannot be written."""

import hashlib
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from seedspread.config.errors import InputError


def check_writable(folder: Path) -> None:
    """Raise InputError where no study can be written into `folder`, before anything is trained."""
    try:
        (folder / "seeds").mkdir(parents=True, exist_ok=True)
        probe = folder / "seeds" / f".probe.{os.getpid()}"
        probe.write_text("")
        probe.unlink()
    except OSError as error:
        raise unwritable_error(folder, error) from error


LONGEST_NAME = 120


def combined_folder(results: Path, name: str) -> Path:
    """Where what is said of several studies goes, beside theirs: `name`, cut where it is long.

    Raises InputError where a study lies there.
    """
    if len(name) > LONGEST_NAME:
        name = f"{name[:LONGEST_NAME]}-{hashlib.sha256(name.encode()).hexdigest()[:8]}"
    folder = results / name
    if (folder / "study.yaml").exists():
        raise InputError(f"{folder} is a study itself; rename its folder, and what is said of several is written there")
    return folder


def write_atomically(path: Path, data: bytes) -> None:
    """Write a file so that it is there whole or not at all, after a crash or a power cut as well."""
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
    """A scratch folder whose files move into `folder` where the block ends well; where it does not, none of them."""
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".draft-", dir=folder.parent) as scratch:
        yield Path(scratch)
        for path in Path(scratch).iterdir():
            path.replace(folder / path.name)


def unwritable_error(folder: Path, error: OSError) -> InputError:
    """What to tell where a results folder cannot be written."""
    return InputError(
        f"cannot write to {folder}: {error.strerror or error}. Free some space, or name another folder with "
        "results=PATH; records already there are untouched"
    )
