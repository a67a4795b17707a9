"""What somebody's code says of each test example, checked and made alike before it is recorded.

Arrays by name: `labels` (N,), the true ones, `predictions` (N,), `probabilities` (N, classes) and `scores` (N,).
"""

import hashlib
from collections.abc import Mapping

import numpy as np

from seedspread.config.errors import InputError
from seedspread.records.examples import ExampleIndex

NAMES = ("labels", "predictions", "probabilities", "scores")
HASHED = ("predictions", "scores", "probabilities")  # the first that is there
ROUNDING = 0.01  # by which probabilities in half precision may miss a sum of 1

Array = np.ndarray


def check_results(given: Mapping[str, Array], where: str) -> tuple[dict[str, Array], ExampleIndex | None]:
    """These arrays without `labels`, and the index of test examples that the labels make up; `where` names the giver.

    Probabilities (N,) or (N, 1) of the second of two classes become those of both. Where each row sums to 1, the most
    probable class is the prediction unless `predictions` are given; of several labels per example none is. Labels that
    are no numbers of classes make up no index. Raises InputError for other names, arrays of different lengths and
    probabilities that are none.
    """
    found = dict(given)
    if unknown := sorted(set(found) - set(NAMES)):
        raise InputError(f"{where}: {unknown[0]} is none of {', '.join(NAMES)}")
    if len({len(array) for array in found.values()}) > 1:
        sizes = ", ".join(f"{name}: {len(array)}" for name, array in found.items())
        raise InputError(f"{where}: arrays of different lengths ({sizes})")
    labels = found.pop("labels", None)
    if "probabilities" in found:
        found["probabilities"] = rows = _check_probabilities(found["probabilities"], where)
        one_class = rows.ndim == 2 and (np.abs(rows.sum(axis=1, dtype=np.float32) - 1) < ROUNDING).all()
        if one_class and "predictions" not in found:
            found["predictions"] = rows.argmax(axis=1)
    if labels is not None and labels.ndim == 1 and labels.dtype.kind in "iub":
        return found, ExampleIndex(labels.astype(np.int64), np.arange(len(labels)))
    return found, None


def _check_probabilities(given: Array, where: str) -> Array:
    low, high = np.nanmin(given, initial=0), np.nanmax(given, initial=1)  # nan: of a seed that diverged
    if low < 0 or high > 1 + ROUNDING:
        raise InputError(f"{where}: probabilities from {low:.3g} to {high:.3g}; for logits give their softmax")
    if given.ndim > 1 and given.shape[1:] != (1,):
        return given
    second = given.reshape(-1)
    return np.stack([1 - second, second], axis=1)


def hash_results(given: Mapping[str, Array]) -> tuple[int | None, str | None]:
    """How many examples there are results of, and the SHA-256 of these; None of both where there are none.

    Labels are hashed as int64, all else as it is, little-endian.
    """
    results = next((given[name] for name in HASHED if name in given), None)
    if results is None:
        return None, None
    kind = "<i8" if results.dtype.kind in "iub" else results.dtype.newbyteorder("<")
    return len(results), hashlib.sha256(np.ascontiguousarray(results, dtype=kind).tobytes()).hexdigest()
