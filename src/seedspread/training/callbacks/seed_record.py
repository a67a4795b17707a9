"""Records a seed: what its module logs, how long it takes, and which bits it ends with."""

import math
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import lightning as L
import torch

from seedspread.config.errors import InputError
from seedspread.config.identity import find_differences
from seedspread.records.example_results import hash_results
from seedspread.records.record import Record, Status, finite_or_none
from seedspread.records.study import Study
from seedspread.training.example_results import read_example_results
from seedspread.training.metric_log import MetricLog
from seedspread.training.module import Classifier
from seedspread.training.seeded_loaders import count_stream_workers
from seedspread.training.weights_hash import weights_sha256

VALIDATIONS = 3  # without the study's metric, after which no more are waited for


class SeedRecord(L.Callback):
    """One record per seed: `header` (what was known before training), metrics, seconds, hashes.

    `started` is the `time.perf_counter()` at which work on the seed started. Seconds are wall time: train (steps),
    score (on the validation and the test set), setup (all the rest until the record is written). A resumed seed counts
    the time up to its checkpoint too. Of `together` seeds that train in one step each has an equal share. With
    `probabilities`, those that the module gives to each test example are needed.

    Training stops where a loss that was logged is not finite: the seed has diverged, as has one whose study's metric is
    not finite at the end.
    """

    def __init__(
        self,
        study: Study,
        header: dict[str, Any],
        started: float,
        together: int = 1,
        replaces: str | None = None,
        probabilities: bool = False,
    ) -> None:
        self.study, self.header, self.started, self.together = study, header, started, together
        self._replaces, self._probabilities = replaces, probabilities
        self.logged = MetricLog()
        self.diverged: str | None = None
        self._seconds = {"train": 0.0, "score": 0.0}
        self._before = {"setup": 0.0, "train": 0.0, "score": 0.0}
        self._since = started
        self._validations = 0
        self._has_trained = together > 1  # a checkpoint at its last epoch leaves nothing to train

    def add_time(self, part: str | None, module: L.LightningModule) -> None:
        """Add the time since the last call to `part`, or to none."""
        if module.device.type == "cuda":
            torch.cuda.synchronize()
        now = time.perf_counter()
        if part:
            self._seconds[part] += now - self._since
        self._since = now

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        self.add_time(None, pl_module)  # a run that resumes within an epoch does not start it

    def on_train_epoch_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        self.add_time(None, pl_module)

    def on_validation_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        self.add_time("train", pl_module)

    def on_validation_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        self.add_time("score", pl_module)
        if trainer.state.fn == "fit" and not trainer.sanity_checking:
            self._check_metric(VALIDATIONS)
            self._stop_where_diverged(trainer)

    def on_train_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        self._has_trained = True
        self.add_time("train", pl_module)
        self._stop_where_diverged(trainer)

    def on_fit_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        if workers := count_stream_workers(trainer):
            self.header["environment"] = {**self.header["environment"], "loader_workers": workers}
        self.logged.is_open = False  # what the test set gives is no point of a curve

    def on_test_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        self.add_time(None, pl_module)

    def on_test_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        self.add_time("score", pl_module)

    def _check_metric(self, validations: int) -> None:
        """Raise InputError where so many validations have not logged the study's metric: no seed would."""
        self._validations += 1
        if self._validations >= validations and self.logged.last(self.study.metric.name) is None:
            known = ", ".join(self.logged.metrics) or "nothing"
            raise InputError(f"metric.name={self.study.metric.name}: the module does not log it; it logs {known}")

    def _stop_where_diverged(self, trainer: L.Trainer) -> None:
        self.find_divergence()
        self.diverged = trainer.strategy.broadcast(self.diverged)  # one answer for all ranks
        trainer.should_stop |= self.diverged is not None

    def find_divergence(self) -> bool:
        """Whether a loss of the latest point is not finite, which `diverged` then says; other metrics may begin so."""
        point = self.logged.points[-1] if self.logged.points else {}
        for name, value in point.items():
            if not math.isfinite(value) and "loss" in name:
                self.diverged = f"the loss was not finite in epoch {point['epoch']:.0f}"
        return self.diverged is not None

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

    def on_save_checkpoint(self, trainer: L.Trainer, pl_module: L.LightningModule, checkpoint: dict[str, Any]) -> None:
        """Keep what was logged so far, and what this step logs: loggers get it once the step has ended."""
        log = MetricLog([dict(point) for point in self.logged.points])
        connector: Any = trainer._logger_connector
        within_a_step = connector._first_loop_iter is not None and not trainer.fit_loop._should_accumulate()
        if within_a_step and connector.should_update_logs and (values := connector.metrics["log"]):
            step = trainer.fit_loop.epoch_loop._batches_that_stepped
            log.log_metrics({**values, "epoch": trainer.current_epoch}, step)
        checkpoint["points"] = log.points

    def on_load_checkpoint(self, trainer: L.Trainer, pl_module: L.LightningModule, checkpoint: dict[str, Any]) -> None:
        self.logged.points = [dict(point) for point in checkpoint.get("points", [])]

    def write(self, module: L.LightningModule, tested: Mapping[str, float] | None) -> Record:
        """Write the record of a seed whose training has ended; `tested` are the metrics of the test set.

        They are empty where there is no test set, and None where it was not scored: then no examples are recorded.

        Raises InputError where the study's metric was never logged.
        """
        if not self._has_trained:
            raise InputError(f"{self.study.metric.name} was not scored: the checkpoint is at its last epoch")
        self._check_metric(0)
        last = self.logged.last(self.study.metric.name)
        if self.diverged is None and last is not None and not math.isfinite(last):
            self.diverged = f"the last {self.study.metric.name} was not finite"
        examples, index = ({}, None) if tested is None else read_example_results(module, self._probabilities)
        if index is not None:
            self.study.check_examples(index)
        count, sha256 = hash_results(examples)
        logged = self.logged.curves()
        logged["final"] |= {name: finite_or_none(float(value)) for name, value in (tested or {}).items()}
        record = Record(
            **self.header,
            status=Status.DIVERGED if self.diverged else Status.FINISHED,
            reason=self.diverged,
            test_examples=count,
            **logged,
            seconds={part: round(value / self.together, 4) for part, value in self._spent().items()},
            weights_sha256=weights_sha256(module.model if isinstance(module, Classifier) else module),
            predictions_sha256=sha256,
            ended=datetime.now(UTC).isoformat(timespec="seconds"),
        )
        self.study.write(record, examples.pop("predictions", None), self._replaces, **examples)
        return record
