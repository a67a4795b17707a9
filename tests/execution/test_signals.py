"""Interrupts, and terminals that go away."""

import os
import signal
import sys
import time
import weakref

import pytest

from seedspread.execution.scheduler import call
from seedspread.execution.signals import INTERRUPTED, handle_interrupts
from seedspread.execution.task import Task
from tests.training.inline import InlineExecutor

TASKS = [Task("tests.execution.test_signals:interrupt", i, f"task {i}") for i in range(3)]
ran = []


def interrupt(payload: int) -> None:
    """A task during which an interrupt comes whose exception Python drops."""
    ran.append(payload)
    INTERRUPTED.set()


def test_an_interrupt_that_python_drops_ends_the_plan_before_the_next_task():
    ran.clear()
    try:
        with pytest.raises(KeyboardInterrupt):
            call(InlineExecutor(), TASKS)
    finally:
        INTERRUPTED.clear()
    assert ran == [0]


class Interrupts:
    """Interrupts where it is deleted: in its `__del__`, or in the callback of a weak reference to it."""

    def __init__(self, weakly):
        self.reference = weakref.ref(self, lambda _: signal.raise_signal(signal.SIGTERM)) if weakly else None

    def __del__(self):
        if self.reference is None:
            signal.raise_signal(signal.SIGINT)


@pytest.mark.parametrize("weakly", [False, True])
def test_an_interrupt_that_python_drops_comes_again_a_moment_later_and_without_a_traceback(capsys, weakly):
    with handle_interrupts():
        thing = Interrupts(weakly)
        references = [thing.reference]
        del thing  # raised in there, Python would print a traceback and go on
        assert INTERRUPTED.is_set() and references
        with pytest.raises(KeyboardInterrupt):
            time.sleep(5)
    assert "Exception ignored" not in capsys.readouterr().err
    assert not INTERRUPTED.is_set()


def test_other_errors_that_python_drops_are_told_as_ever(monkeypatch):
    dropped = []
    monkeypatch.setattr(sys, "unraisablehook", dropped.append)
    with handle_interrupts():
        thing = Interrupts(weakly=False)
        thing.reference = weakref.ref(thing, lambda _: 1 / 0)
        references = [thing.reference]
        del thing
    assert [one.exc_type for one in dropped] == [ZeroDivisionError] and references


def test_what_an_interrupt_breaks_is_told_as_the_interrupt():
    """OmegaConf restores in `finally` what it had not saved yet when the interrupt came."""

    def restore(sign):
        try:
            if sign:
                signal.raise_signal(sign)
            saved = float("one")
        finally:
            print(saved)

    for sign in (signal.SIGINT, signal.SIGTERM):
        with pytest.raises(KeyboardInterrupt) as told, handle_interrupts():
            restore(sign)
        assert isinstance(told.value.__cause__, UnboundLocalError) and not INTERRUPTED.is_set()
    with pytest.raises(UnboundLocalError), handle_interrupts():
        restore(None)


def test_a_closed_terminal_interrupts_nothing_and_nohup_stays():
    for before in (signal.SIG_DFL, signal.SIG_IGN):
        handler = signal.signal(signal.SIGHUP, before)
        try:
            with handle_interrupts():
                os.kill(os.getpid(), signal.SIGHUP)
                assert not INTERRUPTED.is_set()
                assert (signal.getsignal(signal.SIGHUP) == signal.SIG_IGN) == (before == signal.SIG_IGN)
            assert signal.getsignal(signal.SIGHUP) == before
        finally:
            signal.signal(signal.SIGHUP, handler)
