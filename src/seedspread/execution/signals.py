"""Ctrl-C and SIGTERM as one interrupt; a terminal that goes away ends nothing."""

import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager

INTERRUPTED = threading.Event()  # this process received Ctrl-C or SIGTERM


@contextmanager
def handle_interrupts() -> Iterator[None]:
    """Treat SIGTERM, which Slurm sends before it preempts a node, as Ctrl-C, and set INTERRUPTED on either.

    Python drops an exception raised within a `__del__` or the callback of a weak reference: then the signal is sent
    again a moment later. The scheduler also checks INTERRUPTED, in case the exception is lost elsewhere. An error after
    it is what the interrupt broke (`was_interrupted`) and raised as the interrupt. SIGHUP, which comes when a terminal
    closes, only ends the output there.
    """
    INTERRUPTED.clear()
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def interrupt(*_: object) -> None:
        INTERRUPTED.set()
        raise KeyboardInterrupt

    def interrupt_again() -> None:
        if INTERRUPTED.is_set():  # else the block has ended meanwhile
            os.kill(os.getpid(), signal.SIGINT)

    def catch_dropped(dropped: "sys.UnraisableHookArgs") -> None:
        if dropped.exc_type is KeyboardInterrupt:
            threading.Timer(0.05, interrupt_again).start()
        else:
            hook(dropped)

    before = {sign: signal.signal(sign, interrupt) for sign in (signal.SIGTERM, signal.SIGINT)}
    if signal.getsignal(signal.SIGHUP) != signal.SIG_IGN:  # nohup's
        before[signal.SIGHUP] = signal.signal(signal.SIGHUP, lambda *_: None)
    hook, sys.unraisablehook = sys.unraisablehook, catch_dropped
    try:
        yield
    except Exception as error:
        if INTERRUPTED.is_set():
            raise KeyboardInterrupt from error
        raise
    finally:
        sys.unraisablehook = hook
        for sign, handler in before.items():
            signal.signal(sign, handler)
        INTERRUPTED.clear()  # what this process trains later was not interrupted


def say(line: str) -> None:
    """Print a line; where the terminal or the pipe was closed, print nothing from now on."""
    try:
        print(line, flush=True)
    except OSError:
        silence = os.open(os.devnull, os.O_WRONLY)
        for stream in (sys.stdout, sys.stderr):
            os.dup2(silence, stream.fileno())
        os.close(silence)


@contextmanager
def ignore_terminal_signals() -> Iterator[None]:
    """Processes started within the block ignore Ctrl-C and a closed terminal: the one that starts them ends them."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {sign: signal.signal(sign, signal.SIG_IGN) for sign in (signal.SIGINT, signal.SIGHUP)}
    try:
        yield
    finally:
        for sign, handler in before.items():
            signal.signal(sign, handler)
