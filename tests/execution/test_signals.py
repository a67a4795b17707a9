"""Interrupts."""

import signal
import time

import pytest

from seedspread.execution.signals import INTERRUPTED, handle_interrupts


def test_an_interrupt_that_python_drops_ends_the_sweep_before_the_next_seed(small):
    from seedspread.training.worker import train_seeds

    INTERRUPTED.set()
    try:
        with pytest.raises(KeyboardInterrupt):
            train_seeds(small(), [0, 1])
    finally:
        INTERRUPTED.clear()
    assert train_seeds(small(), [0]) == 0


def test_an_interrupt_within_a_del_comes_a_moment_later_and_without_a_traceback(capsys):
    class Thing:
        def __del__(self):
            signal.raise_signal(signal.SIGINT)

    with handle_interrupts():
        thing = Thing()
        del thing  # raised in there, Python would print a traceback and go on
        assert INTERRUPTED.is_set()
        with pytest.raises(KeyboardInterrupt):
            time.sleep(5)
    assert "Exception ignored" not in capsys.readouterr().err
