"""Directories listed in another order: whatever depends on an order that no file system promises shows itself."""

from __future__ import annotations

import os
from typing import Any

from .calls import Patches


class _Entries:
    """The entries of os.scandir the other way round."""

    def __init__(self, entries: Any) -> None:
        self._entries = entries
        self._left = iter(list(entries)[::-1])

    def __iter__(self) -> _Entries:
        return self

    def __next__(self) -> Any:
        return next(self._left)

    def __enter__(self) -> _Entries:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self._entries.close()


def reverse_listings(calls: Patches) -> None:
    """Let os.listdir and os.scandir, and with them pathlib, glob and os.walk, list in reverse."""
    calls.replace(os, "listdir", lambda original: lambda *args, **kwargs: original(*args, **kwargs)[::-1])
    calls.replace(os, "scandir", lambda original: lambda *args, **kwargs: _Entries(original(*args, **kwargs)))
