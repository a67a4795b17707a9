"""Linear probes of many seeds trained in one step: one product for all heads, each on its own batch.

Worth it on a GPU, which one head leaves idle; on a CPU the seeds train one after the other. Each head has the draws,
the loss, the arithmetic of the optimizer and the record that it has alone.
"""

import math
import time
import traceback
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack
from typing import Any

import lightning as L
import numpy as np
import torch
from omegaconf import DictConfig
from torch import Tensor
from torch.nn import functional as F

from seedspread.config.errors import InputError, find_input_error
from seedspread.config.schema import whole_number
from seedspread.data.feature_data import FeatureData, ProbeLoader, ScoreLoader
from seedspread.execution.failures import FailureStreak
from seedspread.execution.plan import equal_chunks
from seedspread.execution.signals import INTERRUPTED
from seedspread.models.linear_probe import LinearProbe, ProbeStack
from seedspread.records.claims import claim_seed, request_stop, stop_reason
from seedspread.records.study import Study, record_failure
from seedspread.training.build import build_run, describe_run
from seedspread.training.callbacks.seed_record import SeedRecord
from seedspread.training.hardware import collect_garbage
from seedspread.training.module import METRICS, Batch, Classifier
from seedspread.training.run import fit

SEEDS_IN_A_STACK = 64  # on a GPU


def stack_size(cfg: DictConfig) -> int:
    """How many seeds of a settled config train in one step; InputError where `stack` cannot be had."""
    probe = cfg.get("backbone") is not None and cfg.data.views != 0
    plain = (
        probe
        and not cfg.logger
        and not cfg.checkpoint.keep
        and not cfg.trainer.enable_checkpointing
        and cfg.ckpt_path is None
    )
    clip = cfg.trainer.get("gradient_clip_val")
    jointly = f"trainer.gradient_clip_val={clip}" if clip is not None else None
    if "gradient_norms" in (cfg.callbacks or {}):
        jointly = jointly or "callbacks=gradient_norms"
    if cfg.stack == "auto":
        return SEEDS_IN_A_STACK if plain and not jointly and cfg.trainer.accelerator == "gpu" else 1
    if (size := whole_number(cfg, "stack")) > 1 and not plain:
        raise InputError(
            f"stack={size}: for linear probes on kept features, without a logger or checkpoints that stay; stack=1"
        )
    if size > 1 and jointly:
        raise InputError(f"stack={size}: {jointly} would take the gradient of all heads of a step as one; stack=1")
    return size


STACKS_BETWEEN_COLLECTIONS = 5


def train_stacks(cfg: DictConfig, study: Study, seeds: Iterable[int], size: int) -> int:
    """What `train_seeds` does, `size` seeds at a time. A stack that fails is a failure of each of its seeds."""
    failed, streak = 0, FailureStreak()
    for place, wanted in enumerate(equal_chunks(list(seeds), size)):
        if INTERRUPTED.is_set():
            raise KeyboardInterrupt
        if stop_reason(study.folder):
            break
        chunk = [seed for seed in wanted if cfg.overwrite or not study.is_done(seed)]
        if not chunk:
            continue  # trained meanwhile by someone else
        with ExitStack() as claims:
            for seed in chunk:
                claims.enter_context(claim_seed(study.folder, seed))
            try:
                train_stack(cfg, study, chunk)
                streak.add(None)
            except Exception as error:
                if (for_all_seeds := find_input_error(error)) is not None:
                    raise for_all_seeds from None
                reason, trace = " ".join(f"{type(error).__name__}: {error}".split()), traceback.format_exc()
                for seed in chunk:
                    record_failure(study, seed, reason, trace, describe_run(cfg, study, seed))
                failed += len(chunk)
                if streak.add(reason) >= cfg.fail_fast:
                    request_stop(study.folder, f"{streak.length} stacks of seeds in a row failed: {reason}")
        if place % STACKS_BETWEEN_COLLECTIONS == 0:
            collect_garbage()
    return failed


def train_stack(cfg: DictConfig, study: Study, seeds: Sequence[int]) -> None:
    """Train `seeds` of an opened study side by side and write a record of each."""
    started = time.perf_counter()
    begun_seeds = [build_run(cfg, study, seed) for seed in seeds]
    classifiers, data, headers, devices = zip(*begun_seeds, strict=True)
    recorders = [SeedRecord(study, {**header, "stacked": len(seeds)}, started, len(seeds)) for header in headers]
    fit(cfg, StackedClassifier(classifiers), StackedData(data), [StackRecord(recorders)], devices[0])


class StackedData(L.LightningDataModule):
    """The batches of several seeds side by side: features (seeds, n, d), labels (seeds, n); those to score once."""

    def __init__(self, data: Sequence[FeatureData]) -> None:
        super().__init__()
        self.data = data

    def train_dataloader(self) -> "StackedLoader":
        return StackedLoader([data.train_dataloader() for data in self.data])

    def val_dataloader(self) -> ScoreLoader:
        return self.data[0].val_dataloader()


class StackedLoader:
    """One gather for all seeds."""

    def __init__(self, loaders: Sequence[ProbeLoader]) -> None:
        self.loaders = loaders
        self.sampler = self

    def set_epoch(self, epoch: int) -> None:
        for loader in self.loaders:
            loader.sampler.set_epoch(epoch)

    def __len__(self) -> int:
        return len(self.loaders[0])

    def __iter__(self) -> Iterator[Batch]:
        shared = self.loaders[0].shared
        for batches in zip(*(loader.batches() for loader in self.loaders), strict=True):
            pictures, views = (np.stack(part) for part in zip(*batches, strict=True))
            yield shared.gather(pictures, views), shared.train_labels[torch.from_numpy(pictures)]


class StackedClassifier(Classifier):
    """Several classifiers with linear heads as one; each has its history, its predictions and its weights at the end.

    A head whose loss is not finite keeps the weights it has then, and the others go on.
    """

    def __init__(self, classifiers: Sequence[Classifier]) -> None:
        first = classifiers[0]
        heads: Any = [classifier.model for classifier in classifiers]
        if not all(isinstance(head, LinearProbe) for head in heads):
            raise InputError("stack: only the heads of model=linear_probe train in one step; say stack=1")
        super().__init__(ProbeStack(heads).to(heads[0].weight.device), first.loss, first.optimizer, first.schedule)
        self.classifiers = list(classifiers)

    def on_train_epoch_start(self) -> None:
        super().on_train_epoch_start()
        self._train_sums = self._train_sums.expand(len(self.classifiers), -1).clone()

    def training_step(self, batch: Batch) -> Tensor:
        features, labels = batch
        logits = self(features).float()
        losses = torch.stack([self.loss(*pair) for pair in zip(logits, labels, strict=True)])
        with torch.no_grad():
            right, seen = (logits.argmax(2) == labels).sum(1), torch.full_like(losses, labels.shape[1])
            self._train_sums += torch.stack([losses * labels.shape[1], right, seen], 1)
        return losses.sum()

    def on_validation_epoch_start(self) -> None:
        super().on_validation_epoch_start()
        self._val_loss = torch.zeros(len(self.classifiers), device=self.device)

    def validation_step(self, batch: Batch) -> None:
        features, labels = batch
        logits = self(features).float()
        self._val_loss += torch.stack([F.cross_entropy(head, labels, reduction="sum") for head in logits])
        self._scored.append(logits.argmax(2))
        self._labels.append(labels)

    def on_validation_epoch_end(self) -> None:
        predictions = torch.cat(self._scored, 1)
        right = (predictions == torch.cat(self._labels)).sum(1)
        sums = torch.cat([self._train_sums, self._val_loss[:, None], right[:, None]], 1)
        n = predictions.shape[1]
        for place, (classifier, row) in enumerate(zip(self.classifiers, sums.tolist(), strict=True)):
            if classifier.diverged_at is not None:
                continue
            train_loss, train_right, seen, val_loss, val_right = row
            means = (train_loss / max(seen, 1), train_right / max(seen, 1), val_loss / n, val_right / n)
            classifier.history.append({"epoch": self.current_epoch, **dict(zip(METRICS, means, strict=True))})
            classifier.predictions = predictions[place]
            if not (math.isfinite(means[0]) and math.isfinite(means[2])):
                classifier.diverged_at = self.current_epoch
                self._keep(place)
        if all(classifier.diverged_at is not None for classifier in self.classifiers):
            self.trainer.should_stop = True

    def on_train_end(self) -> None:
        for place, classifier in enumerate(self.classifiers):
            if classifier.diverged_at is None:
                self._keep(place)

    def _keep(self, place: int) -> None:
        assert isinstance(self.model, ProbeStack)
        head: Any = self.classifiers[place].model
        self.model.copy_to(head, place)


class StackRecord(L.Callback):
    """The record of each seed of a stack."""

    def __init__(self, recorders: Sequence[SeedRecord]) -> None:
        self.recorders = recorders

    def on_train_epoch_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        for recorder in self.recorders:
            recorder.on_train_epoch_start(trainer, pl_module)

    def on_validation_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        for recorder in self.recorders:
            recorder.on_validation_start(trainer, pl_module)

    def on_validation_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        for recorder in self.recorders:
            recorder.on_validation_end(trainer, pl_module)

    def on_train_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        for recorder in self.recorders:
            recorder.on_train_epoch_end(trainer, pl_module)

    def on_fit_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        assert isinstance(pl_module, StackedClassifier)
        for recorder, classifier in zip(self.recorders, pl_module.classifiers, strict=True):
            recorder.on_fit_end(trainer, classifier)
