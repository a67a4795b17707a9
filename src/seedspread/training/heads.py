"""Linear probes of many seeds trained in one step: one matrix product for all heads, each on its own batch.

Faster on a GPU, which a single head does not fill; on a CPU seeds train one after the other. Each head has the draws,
the loss, the optimizer's arithmetic and the record that it has alone.
"""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any

import lightning as L
import numpy as np
import torch
from omegaconf import DictConfig
from torch import Tensor
from torch.nn import functional as F

from seedspread.config.errors import InputError
from seedspread.data.feature_data import FeatureData, ProbeLoader, ScoreLoader
from seedspread.execution.leases import Worker
from seedspread.models.linear_probe import LinearProbe, ProbeStack
from seedspread.records.study import Study
from seedspread.training.build import build_run
from seedspread.training.callbacks.seed_record import SeedRecord
from seedspread.training.module import METRICS, Batch, Classifier
from seedspread.training.run import fit


def train_stack(cfg: DictConfig, study: Study, seeds: Sequence[int], leases: Worker, stamps: Mapping[int, str]) -> None:
    """As `train_seed`, for several seeds in one step, with a record each."""
    started = time.perf_counter()
    classifiers, data, headers, devices = zip(*(build_run(cfg, study, seed) for seed in seeds), strict=True)
    recorders = [
        SeedRecord(study, {**header, "stacked": len(seeds)}, started, len(seeds), stamps[seed])
        for seed, header in zip(seeds, headers, strict=True)
    ]
    stack = StackedClassifier(classifiers, recorders)
    fit(cfg, stack, StackedData(data), [StackClock(recorders)], devices[0], leases=leases, recorders=recorders)
    for recorder, classifier, tested in zip(recorders, classifiers, stack.tested, strict=True):
        recorder.write(classifier, None if recorder.diverged and data[0].has_test_set else tested)


class StackedData(L.LightningDataModule):
    """Stacked batches of several seeds: features (seeds, n, d), labels (seeds, n); one copy of those to score."""

    def __init__(self, data: Sequence[FeatureData]) -> None:
        super().__init__()
        self.data = data

    def train_dataloader(self) -> "StackedLoader":
        return StackedLoader([data.train_dataloader() for data in self.data])

    def val_dataloader(self) -> "ScoreLoader | StackedScores":
        if self.data[0].split is None:
            return self.data[0].val_dataloader()
        return StackedScores([data.val_dataloader() for data in self.data])

    def test_dataloader(self) -> ScoreLoader | list[ScoreLoader]:
        return self.data[0].test_dataloader()

    @property
    def has_test_set(self) -> bool:
        return self.data[0].has_test_set


class StackedLoader:
    """Gathers the features of all seeds at once."""

    def __init__(self, loaders: Sequence[ProbeLoader]) -> None:
        self.loaders = loaders
        self.sampler = self

    def set_epoch(self, epoch: int) -> None:
        for loader in self.loaders:
            loader.sampler.set_epoch(epoch)

    def __len__(self) -> int:
        return len(self.loaders[0])

    def __iter__(self) -> Iterator[Batch]:
        pictures, views = (np.stack(part) for part in zip(*(loader.draw() for loader in self.loaders), strict=True))
        first, *_ = self.loaders
        return map(first.shared.open_epoch(pictures, views), first.slices())


class StackedScores:
    """The validation examples of all seeds, each with its own, as many for each."""

    def __init__(self, loaders: Sequence[ScoreLoader]) -> None:
        self.loaders = loaders

    def __len__(self) -> int:
        return len(self.loaders[0])

    def __iter__(self) -> Iterator[Batch]:
        for batches in zip(*self.loaders, strict=True):
            features, labels = (torch.stack(part) for part in zip(*batches, strict=True))
            yield features, labels


class StackedClassifier(Classifier):
    """Several classifiers with linear heads as one; each ends with its own log, predictions and weights.

    A head whose loss is not finite keeps the weights of that epoch; the others continue. Raises InputError for other
    networks than linear heads.
    """

    def __init__(self, classifiers: Sequence[Classifier], recorders: Sequence[SeedRecord]) -> None:
        first = classifiers[0]
        heads: Any = [classifier.model for classifier in classifiers]
        if not all(isinstance(head, LinearProbe) for head in heads):
            raise InputError("stack: only the heads of model=linear_probe train in one step; set stack=1")
        super().__init__(ProbeStack(heads), first.loss, first.optimizer, first.schedule, first.keeps_probabilities)
        self.classifiers, self.recorders = list(classifiers), list(recorders)
        self.tested: list[dict[str, float]] = [{} for _ in recorders]

    def on_train_epoch_start(self) -> None:
        super().on_train_epoch_start()
        self._train_sums = self._train_sums.expand(len(self.classifiers), -1).clone()

    def training_step(self, batch: Batch) -> Tensor:
        features, labels = batch
        logits = self(features).float()
        losses = losses_of_heads(self.loss, logits, labels)
        with torch.no_grad():
            correct, seen = (logits.argmax(2) == labels).sum(1), torch.full_like(losses, labels.shape[1])
            self._train_sums += torch.stack([losses * labels.shape[1], correct, seen], 1)
        return losses.sum()

    def on_validation_epoch_start(self) -> None:
        super().on_validation_epoch_start()
        self._score_loss = torch.zeros(len(self.classifiers), device=self.device)

    def validation_step(self, batch: Batch) -> None:
        features, labels = batch
        logits = self(features).float()
        labels = labels.expand(logits.shape[:2])
        self._score_loss += losses_of_heads(partial(F.cross_entropy, reduction="sum"), logits, labels)
        self._scored.append(logits.argmax(2))
        self._labels.append(labels)
        if self.keeps_probabilities:
            self._said.append(logits.softmax(2).half())

    def _keep_results_of(self, i: int, predictions: Tensor) -> None:
        """Give classifier `i` what its head said in the last scoring; `predictions` (seeds, examples)."""
        self.classifiers[i].predictions = predictions[i]
        if self._said:
            self.classifiers[i].probabilities = torch.cat([said[i] for said in self._said])

    def on_validation_epoch_end(self) -> None:
        predictions = torch.cat(self._scored, 1)
        correct = (predictions == torch.cat(self._labels, 1)).sum(1)
        sums = torch.cat([self._train_sums, self._score_loss[:, None], correct[:, None]], 1)
        n = predictions.shape[1]
        for i, (recorder, row) in enumerate(zip(self.recorders, sums.tolist(), strict=True)):
            if recorder.diverged is not None:
                continue
            train_loss, train_correct, seen, val_loss, val_correct = row
            means = (train_loss / max(seen, 1), train_correct / max(seen, 1), val_loss / n, val_correct / n)
            metrics = {"epoch": self.current_epoch, **dict(zip(METRICS, means, strict=True))}
            recorder.logged.log_metrics(metrics, self.trainer.global_step - 1)
            self._keep_results_of(i, predictions)
            if recorder.find_divergence():
                self._keep_weights(i)
        if all(recorder.diverged is not None for recorder in self.recorders):
            self.trainer.should_stop = True

    def on_test_epoch_end(self) -> None:
        predictions = torch.cat(self._scored, 1)
        correct = (predictions == torch.cat(self._labels, 1)).sum(1)
        for i, (loss, right) in enumerate(zip(self._score_loss.tolist(), correct.tolist(), strict=True)):
            n = predictions.shape[1]
            self.tested[i] = {"test/loss": loss / n, "test/acc": right / n}
            self._keep_results_of(i, predictions)

    def on_train_end(self) -> None:
        for i, recorder in enumerate(self.recorders):
            if recorder.diverged is None:
                self._keep_weights(i)

    def _keep_weights(self, i: int) -> None:
        """Copy the weights of head `i` into its own classifier."""
        assert isinstance(self.model, ProbeStack)
        head: Any = self.classifiers[i].model
        self.model.copy_to(head, i)


def losses_of_heads(loss: Callable[[Tensor, Tensor], Tensor], logits: Tensor, labels: Tensor) -> Tensor:
    """The losses (heads,) of logits (heads, n, classes) and labels (heads, n), in few operations.

    By torch.vmap where it takes `loss`, else head by head. The gradients are the same bits; the value may differ in
    its last bit, since means are summed in another order.
    """
    try:
        return torch.vmap(loss)(logits, labels)
    except RuntimeError:  # a loss that reads its values, or draws
        return torch.stack([*map(loss, logits, labels)])


class StackClock(L.Callback):
    """Counts the seconds of each seed of a stack."""

    def __init__(self, recorders: Sequence[SeedRecord]) -> None:
        self.recorders = recorders

    def _add_time(self, part: str | None, module: L.LightningModule) -> None:
        for recorder in self.recorders:
            recorder.add_time(part, module)

    def on_train_epoch_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        self._add_time(None, pl_module)

    def on_validation_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        self._add_time("train", pl_module)

    def on_validation_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        self._add_time("score", pl_module)

    def on_train_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        self._add_time("train", pl_module)
