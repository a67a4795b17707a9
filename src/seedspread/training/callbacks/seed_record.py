"""Writes the record of a seed when its training ends."""

import hashlib
import math
import time
from datetime import UTC, datetime
from typing import Any

import lightning as L
import torch

from seedspread.config.errors import InputError
from seedspread.config.identity import find_differences
from seedspread.records.record import Record, Status
from seedspread.records.study import Study
from seedspread.training.module import Classifier
from seedspread.training.weights_hash import weights_sha256


def _finite(value: float) -> float | None:
    """`value`, or None for NaN and infinity, which JSON does not have."""
    return value if math.isfinite(value) else None


class SeedRecord(L.Callback):
    """One record per seed: `header` (what was known before training), metrics, seconds, hashes.

    `started` is the `time.perf_counter()` at which work on the seed started. Seconds are wall time: train (steps),
    score (evaluation on the test set), setup (all the rest until the record is written). A resumed seed counts the
    time up to its checkpoint too. Of `together` seeds that train in one step each has an equal share.
    """

    def __init__(
        self, study: Study, header: dict[str, Any], started: float, together: int = 1, replaces: str | None = None
    ) -> None:
        self.study, self.header, self.started, self.together = study, header, started, together
        self._replaces = replaces
        self.record: Record | None = None
        self._seconds = {"train": 0.0, "score": 0.0}
        self._before = {"setup": 0.0, "train": 0.0, "score": 0.0}
        self._since = started

    def _add_time(self, part: str | None, module: L.LightningModule) -> None:
        """Add the time since the last call to `part`, or to none."""
        if module.device.type == "cuda":
            torch.cuda.synchronize()
        now = time.perf_counter()
        if part:
            self._seconds[part] += now - self._since
        self._since = now

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        self._add_time(None, pl_module)  # a run that resumes within an epoch does not start it

    def on_train_epoch_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        self._add_time(None, pl_module)

    def on_validation_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        self._add_time("train", pl_module)

    def on_validation_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        self._add_time("score", pl_module)

    def on_train_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        self._add_time("train", pl_module)

    def _spent(self) -> dict[str, float]:
        elapsed = time.perf_counter() - self.started
        here = {"setup": elapsed - sum(self._seconds.values()), **self._seconds}
        return {part: seconds + here[part] for part, seconds in self._before.items()}

    def state_dict(self) -> dict[str, Any]:
        """Seed, study, data and machine of the checkpoint, and the seconds spent so far."""
        known = {key: self.header[key] for key in ("seed", "config_digest", "data_sha256", "environment")}
        return {**known, "seconds": self._spent()}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self._before = state_dict.get("seconds", self._before)
        before, now = state_dict.get("environment"), self.header["environment"]
        if before is not None and before != now:
            self.header["resumed_with"] = {key: [old, new] for key, old, new in find_differences(before, now)}

    def on_fit_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        assert isinstance(pl_module, Classifier)
        history = pl_module.history
        diverged = pl_module.diverged_at
        last_epoch = diverged if diverged is not None and self.together > 1 else trainer.current_epoch - 1
        if pl_module.predictions is None or history[-1]["epoch"] != last_epoch:
            raise InputError(
                f"the last epoch was not scored ({trainer.current_epoch} of trainer.max_epochs={trainer.max_epochs}); "
                "is the checkpoint at its last epoch, or is scoring skipped by limit_..._batches or "
                "check_val_every_n_epoch?"
            )
        predictions = pl_module.predictions.cpu().numpy()
        metrics = [key for key in history[-1] if key != "epoch"]
        self.record = Record(
            **self.header,
            status=Status.FINISHED if diverged is None else Status.DIVERGED,
            reason=None if diverged is None else f"the loss was not finite in epoch {diverged}",
            test_examples=len(predictions),
            epochs=[int(epoch["epoch"]) for epoch in history],
            # a seed that started without callbacks=gradient_norms has no norms of its first epochs
            curves={key: [_finite(epoch.get(key, math.nan)) for epoch in history] for key in metrics},
            final={key: _finite(history[-1][key]) for key in metrics},
            seconds={part: round(value / self.together, 4) for part, value in self._spent().items()},
            weights_sha256=weights_sha256(pl_module.model),
            predictions_sha256=hashlib.sha256(predictions.astype("<i8").tobytes()).hexdigest(),
            ended=datetime.now(UTC).isoformat(timespec="seconds"),
        )
        self.study.write(self.record, predictions, self._replaces)
