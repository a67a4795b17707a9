"""What a trained module says of each test example: its hook `example_results`, checked, as arrays."""

import hashlib

import lightning as L
import numpy as np
import torch

from seedspread.config.errors import InputError
from seedspread.records.examples import ExampleIndex

NAMES = ("labels", "predictions", "probabilities", "scores")
TOLD = ("predictions", "scores", "probabilities")  # the first that is there is hashed
ROUNDING = 0.01  # by which probabilities in half precision may miss a sum of 1


def read_example_results(
    module: L.LightningModule, probabilities: bool = False
) -> tuple[dict[str, np.ndarray], ExampleIndex | None]:
    """What the hook of a module returns, as arrays, and the index that its `labels` make up.

    Probabilities (N,) or (N, 1) of the second of two classes become those of both. Where each row sums to 1, the most
    probable class is the prediction unless the module tells another; of several labels per example none is.

    Raises InputError for arrays of other names or of different lengths, for probabilities that are none, and where
    `probabilities` are needed and the module gives none.
    """
    hook, name = getattr(module, "example_results", None), f"{type(module).__name__}.example_results"
    given = {}
    if hook is not None:
        given = {key: _to_array(torch.as_tensor(value)) for key, value in hook().items()}
    if unknown := sorted(set(given) - set(NAMES)):
        raise InputError(f"{name}: {unknown[0]} is none of {', '.join(NAMES)}")
    if len({len(array) for array in given.values()}) > 1:
        sizes = ", ".join(f"{key}: {len(array)}" for key, array in given.items())
        raise InputError(f"{name}: arrays of different lengths ({sizes})")
    if probabilities and "probabilities" not in given:
        raise InputError(f"examples.probabilities=float16: {name} returns no probabilities; add them, or set null")
    labels = given.pop("labels", None)
    if "probabilities" in given:
        given |= _complete(given["probabilities"], given.get("predictions"), name)
    if labels is not None and labels.ndim == 1 and labels.dtype.kind in "iub":
        return given, ExampleIndex(labels.astype(np.int64), np.arange(len(labels)))
    return given, None


def _to_array(value: torch.Tensor) -> np.ndarray:
    value = value.detach().cpu()
    return np.asarray(value.float() if value.dtype == torch.bfloat16 else value)  # which NumPy does not have


def _complete(given: np.ndarray, predictions: np.ndarray | None, name: str) -> dict[str, np.ndarray]:
    low, high = np.nanmin(given, initial=0), np.nanmax(given, initial=1)  # nan: of a seed that diverged
    if low < 0 or high > 1 + ROUNDING:
        raise InputError(f"{name}: probabilities from {low:.3g} to {high:.3g}; for logits give their softmax")
    if given.ndim == 1 or given.shape[1:] == (1,):
        second = given.reshape(-1)
        given = np.stack([1 - second, second], axis=1)
    found = {"probabilities": given}
    if predictions is None and given.ndim == 2 and (np.abs(given.sum(axis=1, dtype=np.float32) - 1) < ROUNDING).all():
        found["predictions"] = given.argmax(axis=1)
    return found


def hash_results(given: dict[str, np.ndarray]) -> tuple[int | None, str | None]:
    """Of how many examples something is told, and the SHA-256 of it; None of both where nothing is.

    Labels are hashed as int64, all else as it is, little-endian.
    """
    told = next((given[name] for name in TOLD if name in given), None)
    if told is None:
        return None, None
    kind = "<i8" if told.dtype.kind in "iub" else told.dtype.newbyteorder("<")
    return len(told), hashlib.sha256(np.ascontiguousarray(told, dtype=kind).tobytes()).hexdigest()
