"""The pictures behind recorded test examples, without torch: from files, or from the cache of decoded pictures.

Nothing is downloaded, decoded anew as a whole or trained: a picture that is not found this way is not shown.
"""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from seedspread.config.errors import InputError
from seedspread.config.overrides import split_command
from seedspread.data.decoding import decode_picture
from seedspread.records.examples import ExampleIndex
from seedspread.records.record import Record
from seedspread.records.study import Study

CACHE = "data"  # the default of data.cache
LARGEST = 96  # pixels of the long side of a picture from a file


@dataclass(frozen=True)
class RecordedPictures:
    """Pictures (h, w, 3) uint8 of some test examples, None where one is not found, and the names of all classes."""

    pictures: list[np.ndarray | None]
    classes: tuple[str, ...]


def find_pictures(
    study: Study, record: Record, index: ExampleIndex, examples: Sequence[int]
) -> RecordedPictures | None:
    """The pictures of `examples`, positions in the index of a study; None where they are not at hand.

    Those in a cache are known by the fingerprint of the data in the record, those in files by their names below the
    place where the record's data were read.
    """
    if index.names is not None:
        return _from_files(record, index, examples)
    for folder in _caches(study, record):
        for path in sorted(folder.glob("*/manifest.json")):
            try:
                manifest = json.loads(path.read_text())
                if manifest["fingerprint"] != record.pictures_sha256:
                    continue
                images, labels = (np.load(path.with_name(f"test_{k}.npy"), mmap_mode="r") for k in ("images", "labels"))
                at = index.positions[list(examples)]
                if not np.array_equal(labels[at], index.labels[list(examples)]):
                    continue
                pictures: list[np.ndarray | None] = [_as_rgb(np.asarray(images[i])) for i in at]
                return RecordedPictures(pictures, tuple(manifest["classes"]))
            except (OSError, ValueError, KeyError, TypeError, IndexError):
                continue  # no entry of pictures, or a damaged one
    return None


def _caches(study: Study, record: Record) -> Iterator[Path]:
    """Where decoded pictures may lie: where the recorded command says, here, and beside the folder of results."""
    words = split_command(record.command) if record.command else []
    typed = [word.partition("=")[2].strip("'\"") for word in words if word.startswith("data.cache=")]
    places = (*map(Path, typed), Path(CACHE), study.folder.resolve().parent.parent / CACHE)
    return (place for place in dict.fromkeys(places) if place.is_dir())


def _from_files(record: Record, index: ExampleIndex, examples: Sequence[int]) -> RecordedPictures | None:
    if record.data_source is None or index.names is None:
        return None
    pictures: list[np.ndarray | None] = []
    for i in examples:
        path = Path(record.data_source) / str(index.names[i])
        try:
            picture = decode_picture(path, str(path))
            picture.thumbnail((LARGEST, LARGEST))
            pictures.append(np.asarray(picture))
        except (OSError, InputError):
            pictures.append(None)
    if all(picture is None for picture in pictures):
        return None
    return RecordedPictures(pictures, folder_names(index))


def folder_names(index: ExampleIndex) -> tuple[str, ...]:
    """The names of the classes, folders in the names of files; numbers for classes without an example."""
    names = [str(label) for label in range(int(index.labels.max(initial=0)) + 1)]
    classes, first = np.unique(index.labels, return_index=True)
    if index.names is not None:
        for label, at in zip(classes.tolist(), first.tolist(), strict=True):
            names[label] = Path(str(index.names[at])).parent.name or names[label]
    return tuple(names)


def _as_rgb(image: np.ndarray) -> np.ndarray:
    return image if image.shape[2] == 3 else np.repeat(image[..., :1], 3, axis=2)
