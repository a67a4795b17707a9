"""Lightning's loop over the batches of an epoch, with many steps between two of its hooks.

Lightning calls some forty hooks a step, for most of which nothing is there: a seventh of a small seed's time. Where no
callback looks at single steps, `EpochLoop` takes a run of them itself, in Lightning's order of arithmetic and with its
counters kept, so that the bits, `global_step` and the checkpoints are those of the loop that it replaces.
"""

import time
from collections.abc import Iterable
from typing import Any, cast

import lightning as L
from lightning.pytorch.loops.evaluation_loop import _EvaluationLoop
from lightning.pytorch.loops.fetchers import _DataFetcher
from lightning.pytorch.loops.training_epoch_loop import _TrainingEpochLoop
from lightning.pytorch.plugins.precision import MixedPrecision, Precision
from lightning.pytorch.profilers import PassThroughProfiler
from lightning.pytorch.trainer import call
from lightning.pytorch.trainer.states import RunningStage, TrainerFn
from lightning.pytorch.utilities import GradClipAlgorithmType
from lightning.pytorch.utilities.exceptions import SIGTERMException
from lightning.pytorch.utilities.model_helpers import is_overridden

from seedspread.training.captured_step import captured_step, check_captured
from seedspread.training.module import Classifier

SECONDS = 30.0  # of a run of steps at most: a signal waits for its end
STEP_HOOKS = (
    "on_before_backward",
    "on_after_backward",
    "on_before_optimizer_step",
    "on_before_zero_grad",
    "on_train_batch_start",
    "on_train_batch_end",
)
SCORE_HOOKS = ("on_validation_batch_start", "on_validation_batch_end")
MODULE_HOOKS = (
    *STEP_HOOKS,
    *SCORE_HOOKS,
    *("backward", "optimizer_step", "optimizer_zero_grad", "lr_scheduler_step", "configure_gradient_clipping"),
    *("on_before_batch_transfer", "transfer_batch_to_device", "on_after_batch_transfer"),
)


class EpochLoop(_TrainingEpochLoop):
    """Takes the steps of an epoch in runs; the first of a fit is Lightning's own, and the last of a run calls hooks.

    So are all steps Lightning's where `find_observer` names something that looks at single steps.
    """

    def __init__(self, trainer: L.Trainer, captures: bool = False) -> None:
        own = trainer.fit_loop.epoch_loop
        super().__init__(trainer, own.min_steps, own.max_steps)
        self.val_loop: ScoringLoop = ScoringLoop(
            trainer, TrainerFn.FITTING, RunningStage.VALIDATING, verbose=False, inference_mode=False
        )
        self._captures, self._observer = captures, cast(str | None, None)
        self._has_begun = False
        self._checkpoints: list[Any] = []

    def advance(self, data_fetcher: _DataFetcher) -> None:
        if not self._has_begun:
            self._has_begun, self._observer = True, find_observer(self.trainer)
            self.val_loop.observer = find_observer(self.trainer, SCORE_HOOKS)
            if self._captures:
                check_captured(self.trainer.lightning_module, self._observer, self.trainer.accumulate_grad_batches)
            self._checkpoints = [c for c in self.trainer.callbacks if hasattr(c, "is_due")]  # type: ignore[attr-defined]
            super().advance(data_fetcher)
        elif self._observer is not None:
            super().advance(data_fetcher)
        else:
            self._take_run(data_fetcher)
            batch = next(data_fetcher)[0]
            self.batch_progress.is_last_batch = data_fetcher.done
            self._take_step(batch, ends_run=True)

    def teardown(self) -> None:
        super().teardown()
        self._has_begun = False

    def _take_run(self, data_fetcher: _DataFetcher) -> None:
        """Take the steps before the last of a run: of the epoch, before scoring or a checkpoint, or after `SECONDS`."""
        trainer: Any = self.trainer
        batches, done = trainer.num_training_batches, self.batch_idx + 2
        scored_every = min(batches, trainer.val_check_batch or batches)
        ends = time.monotonic() + SECONDS
        for _ in range(min(-done % scored_every, batches - done)):
            if self.max_steps != -1 and self.global_step + 1 >= self.max_steps:
                return
            if trainer.received_sigterm or time.monotonic() > ends or any(c.is_due() for c in self._checkpoints):
                return
            # After the last of a run Lightning counts.
            self._batches_that_stepped += self._take_step(next(data_fetcher)[0])

    def _take_step(self, batch: Any, ends_run: bool = False) -> bool:
        """One step as Lightning takes it, with its counters: forward, zero the gradient, backward, clip, update.

        Returns whether it updated the weights, and did not only add to the gradient.
        """
        trainer: Any = self.trainer
        module, optimizer, plugin = trainer.lightning_module, trainer.optimizers[0], trainer.precision_plugin
        progress, accumulate = self.automatic_optimization.optim_progress.optimizer, trainer.accumulate_grad_batches
        self.batch_progress.increment_ready()
        if ends_run:
            trainer._logger_connector.on_batch_start(batch)
            call._call_callback_hooks(trainer, "on_train_batch_start", batch, self.batch_idx)
        self.batch_progress.increment_started()
        if batch[0].device != trainer.strategy.root_device:  # the module's own costs a search
            batch = trainer.strategy.batch_to_device(batch)
        captured = captured_step(module, batch) if self._captures else None
        if captured is not None:
            loss = captured.set_gradients(module, batch, plugin.train_step_context)
        else:
            with plugin.train_step_context():
                loss = module.training_step(batch)
        if self.batch_idx % accumulate == 0:
            progress.zero_grad.increment_ready()
            progress.zero_grad.increment_started()
            if captured is None:
                optimizer.zero_grad()
            progress.zero_grad.increment_completed()
        if captured is None:
            (loss / accumulate if accumulate > 1 else loss).backward()
        updates = not self._should_accumulate()
        if updates:
            progress.step.increment_ready()
            if trainer.gradient_clip_val:
                algorithm = trainer.gradient_clip_algorithm or GradClipAlgorithmType.NORM
                plugin.clip_gradients(optimizer, trainer.gradient_clip_val, algorithm)
            optimizer.step()
            progress.step.increment_completed()
        self.batch_progress.increment_processed()
        if updates:
            self.update_lr_schedulers("step", update_plateau_schedulers=False)
        if ends_run:
            if self._num_ready_batches_reached():
                self.update_lr_schedulers("epoch", update_plateau_schedulers=False)
            outputs = {"loss": loss.detach()}
            call._call_callback_hooks(trainer, "on_train_batch_end", outputs, batch, self.batch_idx)
            trainer._logger_connector.on_batch_end()
        self.batch_progress.increment_completed()
        if ends_run:
            trainer._logger_connector.update_train_step_metrics()
        return updates


class ScoringLoop(_EvaluationLoop):
    """Scores batch after batch without hooks between them, where `find_observer` names nothing that looks at them."""

    observer: str | None = "a step of training"  # before which nothing is known of the callbacks

    def _evaluation_step(self, batch: Any, batch_idx: int, dataloader_idx: int, dataloader_iter: Any) -> None:
        if self.observer is not None:
            super()._evaluation_step(batch, batch_idx, dataloader_idx, dataloader_iter)
            return
        trainer: Any = self.trainer
        module = trainer.lightning_module
        self.batch_progress.increment_ready()
        self.batch_progress.increment_started()
        if batch[0].device != trainer.strategy.root_device:
            batch = trainer.strategy.batch_to_device(batch)
        with trainer.precision_plugin.val_step_context():
            module.validation_step(batch)
        self.batch_progress.increment_processed()
        self.batch_progress.increment_completed()
        self._has_run = True
        if not self.batch_progress.is_last_batch and trainer.received_sigterm:
            raise SIGTERMException


def find_observer(trainer: Any, hooks: Iterable[str] = STEP_HOOKS) -> str | None:
    """What needs each step of a fit for itself, by name; None where steps may be taken in runs.

    That is another module than the project's own, a callback with one of the `hooks` that does not say
    `every_step = False`, several processes, a scaled precision, a profiler, and schedules of scoring by other counts
    than those of an epoch.
    """
    module, plugin = trainer.lightning_module, trainer.precision_plugin
    if not isinstance(module, Classifier):
        return type(module).__name__
    for hook in MODULE_HOOKS:
        if is_overridden(hook, module, L.LightningModule):
            return f"{type(module).__name__}.{hook}"
    for callback in trainer.callbacks:
        for hook in hooks:
            if getattr(callback, "every_step", True) and is_overridden(hook, callback, L.Callback):
                return f"{type(callback).__name__}.{hook}"
    if trainer.world_size > 1 or len(trainer.optimizers) != 1:
        return "several processes or optimizers"
    scaled = isinstance(plugin, MixedPrecision) and plugin.scaler is not None
    if type(plugin) not in (Precision, MixedPrecision) or scaled:
        return f"trainer.precision={plugin.precision}"
    if not isinstance(trainer.profiler, PassThroughProfiler) or trainer._detect_anomaly:
        return "a profiler"
    counted = trainer.check_val_every_n_epoch is not None and trainer._val_check_time_interval is None
    whole = isinstance(trainer.num_training_batches, int) and (trainer.val_check_batch or 1) != float("inf")
    return None if counted and whole else "trainer.val_check_interval"
