"""Which files appear in a folder, as the kernel reports it."""

import ctypes
import os
import struct
from collections import Counter
from pathlib import Path

IN_MOVED_TO, IN_CREATE, IN_Q_OVERFLOW = 0x80, 0x100, 0x4000


class Writes:
    """Counts from now on how often each name appears in `folder`, by creation, link or rename; drafts are left out."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        libc = ctypes.CDLL(None, use_errno=True)
        self._events = libc.inotify_init1(os.O_NONBLOCK)
        if self._events < 0 or libc.inotify_add_watch(self._events, bytes(folder), IN_MOVED_TO | IN_CREATE) < 0:
            raise OSError(ctypes.get_errno(), "inotify")

    def close(self) -> Counter[str]:
        """End the watch; the count of each name."""
        found: Counter[str] = Counter()
        try:
            while events := os.read(self._events, 1 << 16):
                while events:
                    _, mask, _, length = struct.unpack_from("iIII", events)
                    assert not mask & IN_Q_OVERFLOW, "more events than the kernel keeps"
                    found[events[16 : 16 + length].rstrip(b"\0").decode()] += 1
                    events = events[16 + length :]
        except BlockingIOError:
            pass  # no more of them
        finally:
            os.close(self._events)
        return Counter({name: count for name, count in found.items() if not name.startswith(".")})
