"""Pictures in class folders (see seedspread.data.class_layout), in a directory or in a .tar, .tar.gz or .zip archive.

Archives are read in memory and never unpacked to disk.
"""

import hashlib
import io
import sys
from collections.abc import Callable
from pathlib import Path
from typing import IO

import numpy as np
from PIL import Image
from rich.progress import track

from seedspread.config.errors import InputError
from seedspread.data.archive import open_archive
from seedspread.data.class_layout import LAYOUT, find_layout
from seedspread.data.decoding import BLANK, DECODING, BrokenPicture, decode_picture
from seedspread.data.listing import Listing, list_folder, name_some
from seedspread.data.picture_cache import check_room, load_or_build
from seedspread.data.pictures import Pictures, PictureSet, build_picture_set

BROKEN_UP_TO = 20  # pictures that do not decode: reading ends there


def read_class_folders(source: str | None, cache: Path, size: int) -> PictureSet:
    """The pictures of `source`, a folder or an archive, each `size` x `size`: short side resized, centre cropped.

    What is left out is printed when they are decoded, the first time. Raises InputError for folders of another layout,
    and for pictures that do not decode.
    """
    if source is None:
        raise InputError(f"data.source is not set: give a folder or archive that holds {LAYOUT}, data.source=PATH")
    path, origin = Path(source).expanduser(), f"data.source={source}"
    if not path.exists():
        raise InputError(f"{origin}: no such file or folder; it should hold {LAYOUT}")
    listing = list_folder(path, origin) if path.is_dir() else None

    def build() -> PictureSet:
        if listing is not None:
            return _decode(listing, path.joinpath, cache, size)
        with open_archive(path, origin) as (packed, read):
            return _decode(packed, lambda name: io.BytesIO(read(name)), cache, size)

    key = f"{_describe_files(path, listing)}, size {size}, decoding {DECODING}"
    return load_or_build(cache, path.resolve().name.split(".")[0] or "pictures", key, build)


def _describe_files(path: Path, listing: Listing | None) -> str:
    """A key that changes with the pictures: size and time of the archive, or of each picture in the folder."""
    files = [path] if listing is None else [path / name for name in listing.pictures]
    stats = [(str(file), file.stat().st_size, file.stat().st_mtime_ns) for file in files]
    return f"{path.resolve()} {hashlib.sha256(repr(stats).encode()).hexdigest()}"


def _decode(listing: Listing, file_of: Callable[[str], Path | IO[bytes]], cache: Path, size: int) -> PictureSet:
    layout = find_layout(listing)
    for line in layout.left_out:
        print(line, flush=True)
    count = sum(len(paths) for classes in layout.parts.values() for paths in classes.values())
    check_room(cache, count * size * size * 3, f"{listing.origin}: {count:,} pictures of data.size={size}")
    classes = tuple(sorted(layout.parts["train"]))
    decoded = {}
    broken: list[tuple[str, BrokenPicture]] = []
    blank: list[str] = []
    for part, paths in layout.parts.items():
        # The first picture of every class, then the second of every class: consecutive pictures then belong to
        # different classes, as in the original CIFAR-10, and chunked augmentation draws once for such pictures.
        order = sorted(
            (place, label, path) for label, name in enumerate(classes) for place, path in enumerate(paths[name])
        )
        images = np.empty((len(order), size, size, 3), np.uint8)
        for i, (_, _, path) in enumerate(
            track(order, description=f"decoding {part}", transient=True, disable=not sys.stdout.isatty())
        ):
            try:
                picture = decode_picture(file_of(path), f"{listing.origin}: {path}")
                images[i] = _fit(picture, size)
                if picture.info.get(BLANK):
                    blank.append(path)
            except BrokenPicture as error:
                broken.append((path, error))
                if len(broken) == BROKEN_UP_TO:
                    raise _join(broken, "; reading ended there") from error
        decoded[part] = Pictures(images, np.array([label for _, label, _ in order], np.int64))
    if broken:
        raise _join(broken)
    if blank:
        print(
            f"{listing.origin}: {len(blank):,} of {count:,} pictures are of one colour, because transparency is "
            f"dropped ({name_some(blank)}); put them on a background",
            flush=True,
        )
    return build_picture_set(classes=classes, **decoded)


def _join(broken: list[tuple[str, BrokenPicture]], ended: str = "") -> InputError:
    """The first error as it is, and the others by their paths."""
    (_, first), *others = broken
    return InputError(
        f"{first}" + (f"\n{len(others)} more: {', '.join(p for p, _ in others)}{ended}" if others else "")
    )


def _fit(image: Image.Image, size: int) -> np.ndarray:
    """Pixels (size, size, 3) uint8: the short side resized to `size`, the centre cropped."""
    if image.size != (size, size):
        scale = size / min(image.size)
        image = image.resize(
            (max(size, round(image.width * scale)), max(size, round(image.height * scale))), Image.Resampling.BICUBIC
        )
        left, top = (image.width - size) // 2, (image.height - size) // 2
        image = image.crop((left, top, left + size, top + size))
    return np.asarray(image)
