"""Shows the progress of a long seed."""

import sys
import time

import lightning as L

from seedspread.records.digits import Digits
from seedspread.training.callbacks.seed_record import SeedRecord


class EpochLines(L.Callback):
    """One line, rewritten after each epoch in a terminal; elsewhere a new line every `every` seconds at most.

    A seed that takes less than `after` seconds prints none.
    """

    def __init__(self, after: float, every: float) -> None:
        self.after, self.every = after, every
        self._live = sys.stderr.isatty()
        self._started = self._last = 0.0
        self._shown = False

    def on_fit_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        self._started = self._last = time.monotonic()
        self._shown = False

    def on_train_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        now = time.monotonic()
        done, asked = trainer.current_epoch + 1, trainer.max_epochs
        callbacks: list[L.Callback] = trainer.callbacks  # type: ignore[attr-defined]
        recorder = next((callback for callback in callbacks if isinstance(callback, SeedRecord)), None)
        score = None if recorder is None else recorder.logged.last(recorder.study.metric.name)
        if recorder is None or score is None or now - self._started < self.after or done == asked:
            return
        if not self._live and now - self._last < self.every:
            return
        self._last, self._shown = now, True
        metric = recorder.study.metric
        shown = float(metric.shown(score))
        parts = [f"{metric.name} {Digits.of(metric, [shown]).value(shown)}"]
        if asked and asked > 0:
            parts = [f"epoch {done}/{asked}", *parts, f"{(now - self._started) / done * (asked - done):.0f} s left"]
        line = "  ".join(parts)
        print(f"\r{line}\033[K" if self._live else line, end="" if self._live else "\n", file=sys.stderr, flush=True)

    def on_fit_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        if self._live and self._shown:
            print("\r\033[K", end="", file=sys.stderr, flush=True)
