"""Ctrl-C and SIGTERM as one interrupt, and which parent process a worker watches."""

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

SWEEP_PID = "SEEDSPREAD_SWEEP_PID"
INTERRUPTED = threading.Event()  # the process of a sweep received Ctrl-C or SIGTERM


def watch_parent() -> None:
    """Let workers that this process starts from now on end with it; see `watched_parent`."""
    os.environ[SWEEP_PID] = str(os.getpid())


def watched_parent() -> int | None:
    """The process id of the sweep, where it started this process as a worker; else None.

    Elsewhere the death of the parent is no reason to stop: a sweep that trains in its own process may outlive its
    shell, and a worker of Ray or Slurm may outlive the process that started it.
    """
    parent = os.getppid()
    return parent if os.environ.get(SWEEP_PID) == str(parent) else None


@contextmanager
def handle_interrupts() -> Iterator[None]:
    """Treat SIGTERM, which Slurm sends before it preempts a node, as Ctrl-C, and set INTERRUPTED on either.

    Python drops an exception raised within a `__del__`, so there the signal is sent again a moment later. The training
    loop also checks INTERRUPTED between seeds, in case the exception is lost elsewhere.
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
        INTERRUPTED.clear()  # what this process trains later was not interrupted
