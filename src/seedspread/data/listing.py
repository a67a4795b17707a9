"""What a folder or an archive holds: pictures, folders, and files that are not read."""

import os
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from seedspread.config.errors import InputError
from seedspread.data.decoding import ENDINGS

# What systems leave in folders and archives, beside names that begin with a dot.
SYSTEM_NAMES = {"thumbs.db", "ehthumbs.db", "desktop.ini", "__macosx", "@eadir"}
NAMED = 5  # files, folders or classes in a message


@dataclass(frozen=True)
class Listing:
    """Paths from the top of a folder or an archive, sorted by their steps; hidden files and folders are left out.

    `pictures`: sizes in bytes by path. `folders`: all of them, empty ones as well. `unread`: files with endings that
    are not read. `origin`: the setting that named it, with which messages begin.
    """

    origin: str
    pictures: dict[str, int]
    folders: list[str]
    unread: list[str]

    def describe_unread(self) -> str:
        """How many files are not read, by ending; empty where there are none."""
        endings = Counter(_ending(path) for path in self.unread)
        counted = [f"{count:,} {ending}" if ending else f"{count:,} without" for ending, count in endings.most_common()]
        n = len(self.unread)
        files = "file with an ending that is" if n == 1 else "files with endings that are"
        return f"{n:,} {files} not read ({name_some(counted)})" if n else ""


def name_some(names: list[str]) -> str:
    """The first of `names`, and how many more there are."""
    return ", ".join(names[:NAMED]) + (f" and {len(names) - NAMED:,} more" if len(names) > NAMED else "")


def is_hidden(name: str) -> bool:
    """Whether a file or folder of this name is passed over without a word."""
    return name.startswith(".") or name.lower() in SYSTEM_NAMES


def list_folder(root: Path, origin: str) -> Listing:
    """The listing of `root`; links to files and folders are followed.

    Raises InputError, which begins with `origin`, for dead links, links to a folder that holds them, folders that
    cannot be read, and what is neither file nor folder.
    """
    found = Listing(origin, {}, [], [])
    faults: list[str] = []

    def walk(inside: str, above: frozenset[tuple[int, int]]) -> None:
        try:
            with os.scandir(root / inside) as entries:
                names = sorted((entry for entry in entries if not is_hidden(entry.name)), key=lambda entry: entry.name)
        except OSError as error:
            faults.append(f"{inside.rstrip('/') or root} cannot be listed ({error.strerror})")
            return
        for entry in names:
            path = f"{inside}{entry.name}"
            _check_name(path, origin)
            try:
                if entry.is_dir():
                    status = entry.stat()
                    if (place := (status.st_dev, status.st_ino)) in above:
                        faults.append(f"{path} is a link to {(root / path).resolve()}, which holds it")
                    else:
                        found.folders.append(path)
                        walk(f"{path}/", above | {place})
                elif not entry.is_file():
                    dead = entry.is_symlink() and f"a dead link to {(root / path).readlink()}"
                    faults.append(f"{path} is {dead or 'neither file nor folder'}")
                elif is_picture(path):
                    found.pictures[path] = entry.stat().st_size
                else:
                    found.unread.append(path)
            except OSError as error:  # a link that leads to itself, or a folder that may be listed and not entered
                faults.append(f"{path} cannot be read ({error.strerror})")

    top = root.stat()
    walk("", frozenset({(top.st_dev, top.st_ino)}))
    if faults:
        raise InputError(f"{origin}: {name_some(faults)}; correct or remove {'it' if len(faults) == 1 else 'them'}")
    return found


def list_archive(sizes: dict[str, int], folders: list[str], origin: str) -> Listing:
    """The listing of an archive of files, with `sizes` in bytes by path, and of `folders`; a file implies its folders.

    Raises InputError, which begins with `origin`, for paths that lead out of the archive.
    """
    found = Listing(origin, {}, [], [])
    for path in (*sizes, *folders):
        if path.startswith("/") or ".." in path.split("/"):
            raise InputError(f"{origin}: unsafe path {path!r} in the archive; create it without this path")
    known = {"/".join(steps[:n]) for path in sizes if (steps := path.split("/")) for n in range(1, len(steps))}
    for path in sorted({*sizes, *folders, *known} - {""}, key=lambda path: path.split("/")):
        if any(is_hidden(step) for step in path.split("/")):
            continue
        _check_name(path, origin)
        if path not in sizes:
            found.folders.append(path)
        elif is_picture(path):
            found.pictures[path] = sizes[path]
        else:
            found.unread.append(path)
    return found


def is_picture(path: str) -> bool:
    """Whether the ending of `path` is of a kind of picture that is read."""
    return _ending(path) in ENDINGS


def _ending(path: str) -> str:
    return os.path.splitext(path)[1].lower()  # noqa: PTH122  # pathlib takes ten times longer


def _check_name(path: str, origin: str) -> None:
    try:
        path.encode()
    except UnicodeEncodeError:
        shown = path.encode(errors="backslashreplace").decode()
        raise InputError(f"{origin}: the name {shown} is not UTF-8; rename it") from None
