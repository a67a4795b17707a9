"""Which training examples train and which validate: a stratified split, drawn from the split stream."""

import hashlib
from dataclasses import dataclass

import numpy as np

from seedspread.config.errors import InputError
from seedspread.config.streams import Stream


@dataclass(frozen=True)
class Split:
    """Positions (n,) of the examples that train and (v,) of those that validate, both ascending."""

    train: np.ndarray
    validation: np.ndarray

    @property
    def sha256(self) -> str:
        """SHA-256 of the positions that validate, int64 little-endian."""
        return hashlib.sha256(self.validation.astype("<i8").tobytes()).hexdigest()


def draw_split(labels: np.ndarray, validation: float | None, stream: Stream) -> Split | None:
    """A split of the examples with `labels` (N,), each class in proportion; None where `validation` is None.

    `validation` is a fraction of the N examples, or a whole number of them. The number from each class is its share,
    rounded by largest remainder; `stream` draws which. Raises InputError, which names data.validation, where it is
    neither, and where a class would have no example to train on or none to validate.
    """
    if validation is None:
        return None
    n = len(labels)
    size = round(validation * n) if 0 < validation < 1 else validation
    if size != int(size) or validation <= 0:
        raise InputError(f"data.validation={validation}: a fraction between 0 and 1, or a whole number of examples")
    counts = np.bincount(labels)
    present = np.flatnonzero(counts)
    quota, rest = np.divmod(counts * int(size), n)
    quota[np.argsort(-rest, kind="stable")[: int(size) - quota.sum()]] += 1
    if size >= n or not np.all((quota[present] >= 1) & (quota[present] < counts[present])):
        raise InputError(
            f"data.validation={validation}: {int(size)} of {n} examples; each of the {len(present)} classes, of which "
            f"the smallest has {counts[present].min()}, needs one to train on and one to validate"
        )
    order = stream.rng().permutation(n)
    by_class = order[np.argsort(labels[order], kind="stable")]  # a class after the other, at random within each
    within = np.arange(n) - np.repeat(np.cumsum(counts) - counts, counts)
    chosen = np.zeros(n, bool)
    chosen[by_class[within < np.repeat(quota, counts)]] = True
    return Split(np.flatnonzero(~chosen), np.flatnonzero(chosen))


def refuse_second_validation(validation: float | None, name: str) -> None:
    """Raise InputError where data that have a validation set of their own are to be split as well."""
    if validation is not None:
        raise InputError(
            f"data.validation={validation}: {name} has a validation set of its own; data.validation=null uses it"
        )
