"""Picture files in a .zip or .tar archive, compressed or not: read in memory, never unpacked to disk."""

import lzma
import stat
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from seedspread.config.errors import InputError
from seedspread.data.listing import Listing, is_picture, list_archive


@contextmanager
def open_archive(path: Path, origin: str) -> Iterator[tuple[Listing, Callable[[str], bytes]]]:
    """Yield what is in the archive `path`, and a function that reads one of its pictures.

    Raises InputError, which begins with `origin`, for a torn or encrypted archive, and for links in it.
    """
    with ExitStack() as stack:
        with _explain_errors(origin):
            if zipfile.is_zipfile(path):
                listing, read = _list_zip(stack.enter_context(zipfile.ZipFile(path)), origin)
            else:
                with tarfile.open(path) as archive:
                    listing, read = _list_tar(archive, origin)

        def read_explained(name: str) -> bytes:
            with _explain_errors(origin):
                return read(name)

        yield listing, read_explained


def _list_zip(archive: zipfile.ZipFile, origin: str) -> tuple[Listing, Callable[[str], bytes]]:
    files: dict[str, zipfile.ZipInfo] = {}
    folders = []
    for entry in archive.infolist():
        name = _plain_path(entry.filename.replace("\\", "/"))  # some programs of Windows write backslashes
        if entry.is_dir():
            folders.append(name)
        elif stat.S_ISLNK(entry.external_attr >> 16):  # the mode, where a Unix system wrote it
            raise _link_error(name, origin, "zip without -y")
        else:
            files[name] = entry
    sizes = {name: entry.file_size for name, entry in files.items()}
    return list_archive(sizes, folders, origin), lambda name: archive.read(files[name])


def _list_tar(archive: tarfile.TarFile, origin: str) -> tuple[Listing, Callable[[str], bytes]]:
    # Read in one pass: each step back in a compressed archive would decompress it from its start.
    contents: dict[str, bytes] = {}
    sizes: dict[str, int] = {}
    folders = []
    for entry in archive:
        name = _plain_path(entry.name)
        if entry.isdir():
            folders.append(name)
        elif entry.islnk() and _plain_path(entry.linkname) in sizes:  # the same file once more
            earlier = _plain_path(entry.linkname)
            sizes[name] = sizes[earlier]
            contents[name] = contents[earlier]
        elif not entry.isreg():
            raise _link_error(name, origin, "tar -h")
        else:
            sizes[name] = entry.size
            file = archive.extractfile(entry) if is_picture(name) else None
            contents[name] = file.read() if file else b""
    return list_archive(sizes, folders, origin), contents.__getitem__


def _plain_path(name: str) -> str:
    """`name` without steps that lead nowhere: ./a//b/ is a/b."""
    top = "/" if name.startswith("/") else ""  # which list_archive refuses
    return top + "/".join(step for step in name.split("/") if step not in ("", "."))


def _link_error(name: str, origin: str, command: str) -> InputError:
    return InputError(
        f"{origin}: {name} is a link or a device, not a picture; create the archive of the files themselves ({command})"
    )


@contextmanager
def _explain_errors(origin: str) -> Iterator[None]:
    try:
        yield
    except (tarfile.TarError, zipfile.BadZipFile, EOFError, OSError, ValueError, zlib.error, lzma.LZMAError) as error:
        raise InputError(
            f"{origin}: not a whole .tar, .tar.gz, .tar.xz or .zip archive ({type(error).__name__}); name a folder or "
            "an archive, or copy it again"
        ) from error
    except RuntimeError as error:  # encrypted, or compressed by a method that zipfile lacks
        raise InputError(f"{origin}: {str(error).strip()}; create the archive again, without encryption") from error
