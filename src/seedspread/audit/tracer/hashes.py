"""Hashes of tensors, arrays and nests of them: 32 bits of CRC, 8 hex digits, the same on every machine.

Two values that differ have equal hashes once in four billion comparisons. Large tensors are summed, on their device,
as integers into rows of 512 before: exact, and ten times as fast.
"""

from __future__ import annotations

import base64
import contextlib
import importlib
import struct
import sys
from collections.abc import Iterable, Sequence
from typing import Any
from zlib import crc32

UNKNOWN = "?"  # what cannot be hashed
_FOLDED = 512  # integers of 64 bits
_LARGE = 16 * 8 * _FOLDED  # bytes from which tensors are folded
_DEEPEST = 8  # nests within nests


def hash_value(value: Any) -> str:
    """The hash of tensors, arrays, numbers, texts, pictures, and of lists, dicts and objects of them."""
    try:
        with outside_transforms():
            return f"{_feed(value, 0, 0):08x}"
    except Exception:  # a program is never stopped by what the tracer cannot read
        return UNKNOWN


def hash_all(values: Iterable[Any]) -> str:
    """One hash of several tensors, in their order; None among them counts."""
    try:
        crc = 0
        with outside_transforms():
            for value in values:
                crc = _feed(value, crc, 0)
        return f"{crc:08x}"
    except Exception:
        return UNKNOWN


def hash_rows(values: Iterable[Any]) -> list[int] | None:
    """A hash per example of a batch: of row i of all tensors that have as many rows as the first; None without any."""
    with contextlib.suppress(Exception), outside_transforms():
        found: list[int] | None = None
        for tensor in _find_tensors(values, 0):
            if len(tensor.shape) and (found is None or len(found) == tensor.shape[0]):
                rows = _rows_of(tensor)
                found = rows if found is None else _join(found, rows)
        return found
    return None


def _join(ones: list[int], others: list[int]) -> list[int]:
    """A hash of each pair of hashes."""
    return [(a * 0x9E3779B1 + b) & 0xFFFFFFFF for a, b in zip(ones, others)]


def hash_examples(data: Any) -> list[int] | None:
    """A hash per example of a list of them; of a batch that was made whole, of its rows.

    An example's hash is the same in any batch: of its parts, one after the other, each by itself.
    """
    if not isinstance(data, list):
        return hash_rows([data])
    try:
        if not set(map(type, data)) <= {tuple, list} or len(set(map(len, data))) > 1:
            return _hash_parts(data)
        found = [0] * len(data)
        for parts in zip(*data):
            found = _join(found, _hash_parts(parts))
        return found
    except Exception:
        return None


def _hash_parts(parts: Sequence[Any]) -> list[int]:
    """A hash of each; tensors of one shape are read at once, which takes a tenth of the time."""
    torch = sys.modules.get("torch")
    if torch is not None and set(map(type, parts)) == {torch.Tensor}:
        if len({(part.shape, part.dtype) for part in parts}) == 1:
            return _rows_of(torch.stack(list(parts)))
        return [crc32(_bytes_of(part).cpu().numpy()) for part in parts]
    return [_feed(part, 0, 0) for part in parts]


def pack_rows(rows: list[int] | None) -> str:
    """Hashes as text, 5.3 characters each."""
    return base64.b64encode(struct.pack(f"<{len(rows)}I", *rows)).decode() if rows else ""


def is_tensor(value: Any) -> bool:
    """Whether `value` is a tensor of torch, where torch is imported."""
    torch = sys.modules.get("torch")
    return torch is not None and isinstance(value, getattr(torch, "Tensor", ()))


def is_constant(tensor: Any) -> bool:
    """Whether all numbers of a tensor are the same, as a bias begins."""
    try:
        return bool((tensor.detach() == tensor.detach().reshape(-1)[0]).all())
    except Exception:
        return False


def _rows_of(tensor: Any) -> list[int]:
    tensor = _unwrap(tensor)
    count, view = tensor.shape[0], memoryview(_bytes_of(tensor).cpu().numpy())
    size = len(view) // count if count else 0
    return [crc32(view[i * size : (i + 1) * size]) for i in range(count)]


def _feed(value: Any, crc: int, depth: int) -> int:
    """Go on with a checksum; raises for what cannot be read."""
    if is_tensor(value):
        return _feed_tensor(value, crc)
    if value is None or isinstance(value, (bool, int, float, complex, str)):
        return crc32(repr(value).encode(), crc)
    if isinstance(value, (bytes, bytearray, memoryview)):
        return crc32(value, crc)
    if hasattr(value, "dtype") and hasattr(value, "tobytes"):  # NumPy
        return crc32(value.tobytes(), crc) if str(value.dtype) != "object" else _feed(value.tolist(), crc, depth)
    if hasattr(value, "tobytes") and hasattr(value, "mode"):  # a picture of PIL
        return crc32(value.tobytes(), crc)
    if depth >= _DEEPEST:
        raise TypeError
    if isinstance(value, dict) or hasattr(value, "items"):
        for key, part in value.items():
            crc = _feed(part, crc32(repr(key).encode(), crc), depth + 1)
        return crc
    if isinstance(value, (set, frozenset)):
        raise TypeError
    if isinstance(value, (list, tuple)):
        for part in value:
            crc = _feed(part, crc, depth + 1)
        return crc32(str(len(value)).encode(), crc)
    if hasattr(value, "__dict__"):
        return _feed(vars(value), crc, depth + 1)
    raise TypeError


def outside_transforms() -> contextlib.AbstractContextManager[Any]:
    """Within the block tensors are plain ones: vmap and grad of torch.func would wrap the result of each operation."""
    torch = sys.modules.get("torch")
    if torch is None or torch._C._functorch.peek_interpreter_stack() is None:
        return contextlib.nullcontext()
    layers: Any = importlib.import_module("torch._functorch.pyfunctorch")
    found: contextlib.AbstractContextManager[Any] = layers.temporarily_clear_interpreter_stack()
    return found


def _feed_tensor(tensor: Any, crc: int) -> int:
    flat = _bytes_of(_unwrap(tensor))
    if flat.numel() >= _LARGE:
        torch = sys.modules["torch"]
        whole = flat.numel() // (8 * _FOLDED) * (8 * _FOLDED)
        folded = flat[:whole].view(torch.int64).reshape(-1, _FOLDED).sum(0).view(torch.uint8).cpu()
        crc = crc32(folded.numpy(), crc)
        flat = flat[whole:]
    return crc32(flat.cpu().numpy(), crc)


def _unwrap(tensor: Any) -> Any:
    """The tensor within those that vmap and grad of torch.func put around it."""
    functorch = sys.modules["torch"]._C._functorch
    while functorch.is_functorch_wrapped_tensor(tensor):
        tensor = functorch.get_unwrapped(tensor)
    return tensor


def _bytes_of(tensor: Any) -> Any:
    """The bytes of a tensor as a flat one of uint8, on its device."""
    torch = sys.modules["torch"]
    tensor = tensor.detach()
    if hasattr(tensor, "to_local"):  # of a DTensor, this rank's part
        tensor = tensor.to_local()
    if tensor.layout != torch.strided:
        tensor = tensor.coalesce().values() if tensor.layout == torch.sparse_coo else tensor.values()
    if tensor.is_conj() or tensor.is_neg():
        tensor = tensor.resolve_conj().resolve_neg()
    return tensor.reshape(-1).contiguous().view(torch.uint8)


def _find_tensors(value: Any, depth: int) -> Iterable[Any]:
    if is_tensor(value):
        yield value
    elif isinstance(value, dict) or hasattr(value, "items"):
        for part in value.values():
            yield from _find_tensors(part, depth + 1)
    elif isinstance(value, (list, tuple)) and depth < _DEEPEST:
        for part in value:
            yield from _find_tensors(part, depth + 1)
