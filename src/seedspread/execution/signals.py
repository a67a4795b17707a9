"""Ctrl-C, SIGTERM, and a parent process that is gone."""

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

SWEEP_PID = "SEEDSPREAD_SWEEP_PID"
INTERRUPTED = threading.Event()  # Ctrl-C or SIGTERM came to the process of a sweep


def watch_parent() -> None:
    """Have workers that this process starts from here on end with it; see `watched_parent`."""
    os.environ[SWEEP_PID] = str(os.getpid())


def watched_parent() -> int | None:
    """The process of the sweep, where this process is a worker that it started itself; else None.

    A seed that trains in the sweep's own process outlives its shell, and a worker of Ray or Slurm outlives what
    started it there: for neither is the end of the parent process a reason to stop.
    """
    parent = os.getppid()
    return parent if os.environ.get(SWEEP_PID) == str(parent) else None


@contextmanager
def handle_interrupts() -> Iterator[None]:
    """Take SIGTERM, which Slurm sends before it takes a node away, for Ctrl-C, and remember either.

    Python drops an exception that is raised within a `__del__`, so there the signal is sent once more a moment later;
    where it is lost for another reason, who trains here looks at INTERRUPTED between seeds.
    """
    INTERRUPTED.clear()
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def interrupt(sign: int, frame: FrameType | None) -> None:
        INTERRUPTED.set()
        while frame:
            if frame.f_code.co_name == "__del__":
                threading.Timer(0.05, os.kill, (os.getpid(), sign)).start()
                return
            frame = frame.f_back
        raise KeyboardInterrupt

    before = {sign: signal.signal(sign, interrupt) for sign in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield
    finally:
        for sign, handler in before.items():
            signal.signal(sign, handler)
