"""The trace of one process: a file of JSON lines, each written as it comes, so that a killed program leaves its own."""

from __future__ import annotations

import contextlib
import json
import os
import sys
import threading
import time
from typing import Any

_ENCODER = json.JSONEncoder(separators=(",", ":"), check_circular=False)


class Writer:
    """Writes events; a process that is forked from this one writes a file of its own."""

    def __init__(self, folder: str) -> None:
        self.folder, self._file, self._pid, self._lock = folder, -1, 0, threading.RLock()

    def write(self, kind: str, *fields: Any) -> None:
        """Append one event."""
        line = _ENCODER.encode([kind, *fields]) + "\n"
        with contextlib.suppress(OSError), self._lock:
            if self._pid != os.getpid():
                self._open()
            os.write(self._file, line.encode())

    def _open(self) -> None:
        self._pid = os.getpid()
        name = f"{time.time_ns()}-{self._pid}.jsonl"
        self._file = os.open(os.path.join(self.folder, name), os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o666)
        start = {"pid": self._pid, "parent": os.getppid(), "python": sys.version.split()[0], "rank": find_rank()}
        os.write(self._file, (_ENCODER.encode(["start", start]) + "\n").encode())

    def forget_file(self) -> None:
        """In a child right after a fork: the lock may be held by a thread that is not here."""
        self._lock = threading.RLock()


def find_rank() -> int | None:
    """The rank of this process in a distributed run, as far as it is known."""
    torch = sys.modules.get("torch")
    distributed = getattr(torch, "distributed", None)
    try:
        if distributed is not None and distributed.is_available() and distributed.is_initialized():
            return int(distributed.get_rank())
        return int(os.environ["RANK"]) if "RANK" in os.environ else None
    except Exception:
        return None
