"""Checkpoints of a long seed, from which the same command goes on after a kill, to the same bits."""

import math
import os
import time
from pathlib import Path
from typing import Any

import lightning as L

from seedspread.records.files import unwritable_error
from seedspread.training.seeding import generator_states, restore_generator_states


class Checkpoints(L.Callback):
    """Writes `place` every so many minutes and after every so many epochs, and removes it at the end.

    Between two steps of an epoch only, after an optimizer's step and where no scoring is due, so that there is one way
    to resume: "after an epoch" is after the first such step of the next; an epoch of one step has none. Lightning keeps
    weights, optimizer, schedule, progress and the loader's position; the states of the global generators come on top,
    in every checkpoint, Lightning's own included.
    """

    def __init__(self, place: Path, every_minutes: float | None, every_n_epochs: int | None, keep: bool) -> None:
        self.place, self.every_minutes, self.every_n_epochs, self.keep = place, every_minutes, every_n_epochs, keep
        self._last = time.monotonic()
        self._epoch_is_due = False
        self._states: dict[str, Any] | None = None

    def on_train_batch_start(
        self, trainer: L.Trainer, pl_module: L.LightningModule, batch: Any, batch_idx: int
    ) -> None:
        if self._states is not None:  # not earlier: what Lightning sets up draws as well
            restore_generator_states(self._states)
            self._states = None

    def on_train_batch_end(
        self, trainer: L.Trainer, pl_module: L.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        steps, scored_every = batch_idx + 1, trainer.val_check_batch or 0
        if trainer.is_last_batch or steps % trainer.accumulate_grad_batches:
            return  # gradients summed up so far are in no checkpoint
        if scored_every and math.isfinite(scored_every) and steps % int(scored_every) == 0:
            return
        overdue = self.every_minutes is not None and time.monotonic() - self._last >= 60 * self.every_minutes
        if self._epoch_is_due or overdue:
            self._write(trainer, self.place)
            self._last, self._epoch_is_due = time.monotonic(), False

    def on_train_epoch_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        n = self.every_n_epochs
        self._epoch_is_due = n is not None and trainer.current_epoch > 0 and trainer.current_epoch % n == 0

    def on_fit_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        if self.keep:
            self._write(trainer, self.place.with_suffix(".final.ckpt"))
        self.place.unlink(missing_ok=True)  # the record is written

    def _write(self, trainer: L.Trainer, place: Path) -> None:
        """Whole or not at all: Lightning's own draft lies in the system's temporary folder, on another disk maybe."""
        draft = place.with_name(f".{place.name}.{os.getpid()}.tmp")
        try:
            place.parent.mkdir(exist_ok=True)
            trainer.save_checkpoint(draft)
            draft.replace(place)
        except OSError as error:
            draft.unlink(missing_ok=True)
            raise unwritable_error(place.parent, error) from error

    def on_save_checkpoint(self, trainer: L.Trainer, pl_module: L.LightningModule, checkpoint: dict[str, Any]) -> None:
        checkpoint["generator_states"] = generator_states()

    def on_load_checkpoint(self, trainer: L.Trainer, pl_module: L.LightningModule, checkpoint: dict[str, Any]) -> None:
        self._states = checkpoint.get("generator_states")
