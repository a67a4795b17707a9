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


def weights_sha256(module: torch.nn.Module) -> str:
    """SHA-256 over names, types, shapes and bytes of all parameters and buffers, on any device, in any layout."""
    digest = hashlib.sha256()
    for name, tensor in sorted(module.state_dict().items()):
        tensor = tensor.detach().cpu().contiguous()
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
        digest.update(tensor.view(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()


def _finite(value: float) -> float | None:
    """`value`, or None where it is not finite: JSON has no NaN."""
    return value if math.isfinite(value) else None


class SeedRecord(L.Callback):
    """One record per seed: metrics, seconds, hashes, and `header`, the fields known before training begins.

    `started` is the `time.perf_counter()` at which work on the seed began. Seconds are wall time: train (steps), score
    (the passes over the test set), setup (all the rest up to the writing of the record); of a resumed seed they are
    those of all its parts, up to the checkpoint; of `together` seeds that train in one step each has its share.
    """

    def __init__(self, study: Study, header: dict[str, Any], started: float, together: int = 1) -> None:
        self.study, self.header, self.started, self.together = study, header, started, together
        self.record: Record | None = None
        self._seconds = {"train": 0.0, "score": 0.0}
        self._before = {"setup": 0.0, "train": 0.0, "score": 0.0}
        self._since = started

    def _book(self, part: str | None, module: L.LightningModule) -> None:
        if module.device.type == "cuda":
            torch.cuda.synchronize()
        now = time.perf_counter()
        if part:
            self._seconds[part] += now - self._since
        self._since = now

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        self._book(None, pl_module)  # no epoch starts where one is resumed

    def on_train_epoch_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        self._book(None, pl_module)

    def on_validation_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        self._book("train", pl_module)

    def on_validation_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        self._book("score", pl_module)

    def on_train_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        self._book("train", pl_module)

    def _spent(self) -> dict[str, float]:
        elapsed = time.perf_counter() - self.started
        here = {"setup": elapsed - sum(self._seconds.values()), **self._seconds}
        return {part: seconds + here[part] for part, seconds in self._before.items()}

    def state_dict(self) -> dict[str, Any]:
        """Whose the checkpoint is, where it was written, and the seconds spent so far."""
        known = {key: self.header[key] for key in ("seed", "config_digest", "data_sha256", "environment")}
        return {**known, "seconds": self._spent()}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self._before = state_dict.get("seconds", self._before)
        there, here = state_dict.get("environment"), self.header["environment"]
        if there is not None and there != here:
            self.header["resumed_with"] = {key: [old, new] for key, old, new in find_differences(there, here)}

    def on_fit_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        assert isinstance(pl_module, Classifier)
        history = pl_module.history
        diverged = pl_module.diverged_at
        ended_at = diverged if diverged is not None and self.together > 1 else trainer.current_epoch - 1
        if pl_module.predictions is None or history[-1]["epoch"] != ended_at:
            raise InputError(
                f"nothing was scored after epoch {trainer.current_epoch} of trainer.max_epochs={trainer.max_epochs}; "
                "is the checkpoint at its last epoch, or do limit_..._batches or check_val_every_n_epoch leave it out?"
            )
        predictions = pl_module.predictions.cpu().numpy()
        metrics = [key for key in history[-1] if key != "epoch"]
        self.record = Record(
            **self.header,
            status=Status.FINISHED if diverged is None else Status.DIVERGED,
            reason=None if diverged is None else f"the loss was not finite in epoch {diverged}",
            test_examples=len(predictions),
            epochs=[int(epoch["epoch"]) for epoch in history],
            # a seed that started without callbacks=gradient_norms has none of its first epochs
            curves={key: [_finite(epoch.get(key, math.nan)) for epoch in history] for key in metrics},
            final={key: _finite(history[-1][key]) for key in metrics},
            seconds={part: round(value / self.together, 4) for part, value in self._spent().items()},
            weights_sha256=weights_sha256(pl_module.model),
            predictions_sha256=hashlib.sha256(predictions.astype("<i8").tobytes()).hexdigest(),
            ended=datetime.now(UTC).isoformat(timespec="seconds"),
        )
        self.study.write(self.record, predictions)
