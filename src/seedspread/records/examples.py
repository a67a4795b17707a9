"""What each seed predicted for each test example.

    results/<study>/examples/index.npz    the test examples, in the order in which they are scored
    results/<study>/examples/000003.npz   what seed 3 said of them: predicted labels, where asked for probabilities
                                          (N, classes), and of some modules scores (N,)

A label takes one byte up to 256 classes, else two; a probability is a float16. Right or wrong follows from both files.
"""

import io
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO
from zipfile import BadZipFile

import numpy as np

Array = np.ndarray
DAMAGED = (OSError, ValueError, EOFError, KeyError, TypeError, BadZipFile)  # of a missing, torn or foreign archive


@dataclass(frozen=True)
class ExampleIndex:
    """The test examples of a study: true labels (N,), positions (N,) in the test set as read, and names (N,) of files
    where the data have them."""

    labels: Array
    positions: Array
    names: Array | None = None

    @classmethod
    def read(cls, path: Path | BinaryIO) -> "ExampleIndex":
        """The index in the file `path`; raises one of DAMAGED where there is none."""
        with np.load(path, allow_pickle=False) as stored:
            return cls(stored["labels"], stored["positions"], stored.get("names"))

    def to_npz(self) -> bytes:
        """The contents of the index's file."""
        names = {} if self.names is None else {"names": self.names}
        return _pack(labels=_shrink(self.labels), positions=_shrink(self.positions), **names)

    def equals(self, other: "ExampleIndex") -> bool:
        ours, theirs = ((part.labels, part.positions, part.names) for part in (self, other))
        return all(
            a is b or (a is not None and b is not None and np.array_equal(a, b))
            for a, b in zip(ours, theirs, strict=True)
        )


def pack_examples(predictions: Array | None, classes: int, **more: Array) -> bytes:
    """The contents of a seed's file: its predicted labels (N,), of so many `classes`, and `more` by example."""
    labels = {} if predictions is None else {"predictions": _shrink(predictions, classes)}
    if "probabilities" in more:
        more["probabilities"] = more["probabilities"].astype(np.float16)
    return _pack(**labels, **more)


def read_examples(path: Path, *names: str) -> dict[str, Array]:
    """What is in a seed's file, by name, all by default; raises one of DAMAGED where it is not there."""
    with np.load(path, allow_pickle=False) as stored:
        return {name: stored[name] for name in names or stored.files}


def _shrink(labels: Array, classes: int = 0) -> Array:
    return labels.astype(np.min_scalar_type(max(int(labels.max(initial=0)), classes - 1)))


def _pack(**arrays: Any) -> bytes:
    buffer = io.BytesIO()
    np.savez(buffer, **arrays)
    return buffer.getvalue()
