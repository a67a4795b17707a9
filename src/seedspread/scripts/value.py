"""Values in words that are the same in every process: of an array its hash, of an object what it prints."""

import hashlib
import math
import re
from typing import Any

import numpy as np

LONGEST_VALUE = 80  # characters, beyond which a value is told by its hash
_ADDRESS = re.compile(r"\b0x[0-9a-fA-F]{4,}")


def describe_scalar(value: int | float | str) -> int | float | str:
    """A number or text as JSON has it."""
    if isinstance(value, str) and len(value) > LONGEST_VALUE:
        return f"text {sha(value.encode(errors='surrogatepass'))}"
    return value if not isinstance(value, float) or math.isfinite(value) else str(value)


def describe_array(value: Any) -> str | None:
    """An array of NumPy, torch or another library, or a DataFrame; None for what is none."""
    if (array := _as_array(value)) is None:
        return None
    columns = repr([str(column) for column in getattr(value, "columns", ())]).encode()
    data = np.ascontiguousarray(array).reshape(-1).view(np.uint8)  # without a copy
    return f"{array.dtype} array {array.shape} {sha(data, columns)}"


def describe_print(value: Any) -> str | None:
    """What an object of a library prints; None where that says no more than where it lies in memory."""
    try:
        text = "" if type(value).__repr__ is object.__repr__ else repr(value)
    except Exception:
        return None
    if not text or _ADDRESS.search(text):
        return None
    return shorten(text, type(value).__name__)


def shorten(text: str, what: str) -> str:
    """`text`, or where it is long `what` it is and its hash."""
    return text if len(text) <= LONGEST_VALUE else f"{what}, {sha(text.encode())}"


def sha(*data: bytes | np.ndarray) -> str:
    """The first 12 digits of a SHA-256."""
    total = hashlib.sha256()
    for part in data:
        total.update(part)  # type: ignore[arg-type]  # an array as well
    return total.hexdigest()[:12]


def _as_array(value: Any) -> np.ndarray | None:
    if isinstance(value, np.generic | np.ndarray):
        return np.asarray(value) if np.asarray(value).dtype != object else None
    if not hasattr(value, "__array__") or isinstance(value, type):
        return None
    try:
        value = value.detach().cpu() if hasattr(value, "detach") else value
        array = np.asarray(value.float() if "bfloat16" in str(getattr(value, "dtype", "")) else value)
    except (TypeError, ValueError, RuntimeError):
        return None
    return np.asarray(array.astype(str)) if array.dtype == object else array
