"""The project's own LightningModule: any network that maps a batch to logits, with its loss, optimizer and schedule."""

import math
from collections.abc import Callable, Iterable
from typing import Any

import lightning as L
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LambdaLR, LRScheduler

from seedspread.training.schedules import WarmUp

METRICS = ("train/loss", "train/acc", "val/loss", "val/acc")
Batch = tuple[Tensor, Tensor]


class Classifier(L.LightningModule):
    """Trains `model` and scores it after every epoch.

    It logs train/loss, train/acc (on augmented pictures), val/loss (cross-entropy) and val/acc of each scored epoch;
    losses in nats, accuracies as fractions. Sums stay on the device; the host synchronises once an epoch, when it reads
    them. On a test set it logs test/loss (cross-entropy) and test/acc. `predictions` are the labels (examples,) of the
    last scoring, in the order of the set; with `keeps_probabilities`, `probabilities` (examples, classes) are the
    softmax of its logits in single precision, rounded to float16. A `model` with a method `set_epoch` gets the number
    of each epoch before it begins.
    """

    def __init__(
        self,
        model: nn.Module,
        loss: nn.Module,
        optimizer: Callable[[Iterable[nn.Parameter]], Optimizer],
        schedule: Callable[[Optimizer], LRScheduler] | WarmUp | None = None,
        keeps_probabilities: bool = False,
    ) -> None:
        super().__init__()
        self.model, self.loss = model, loss
        self.optimizer, self.schedule = optimizer, schedule
        self.keeps_probabilities = keeps_probabilities
        self.predictions: Tensor | None = None
        self.probabilities: Tensor | None = None
        self._scored: list[Tensor] = []
        self._said: list[Tensor] = []  # probabilities, where they are kept
        self._labels: list[Tensor] = []
        self._train_sums = torch.zeros(3)

    def forward(self, images: Tensor) -> Tensor:
        return self.model(images)

    def configure_optimizers(self) -> Any:
        optimizer = self.optimizer(self.model.parameters())
        if self.schedule is None:
            return optimizer
        if isinstance(self.schedule, WarmUp):
            scheduler: LRScheduler = LambdaLR(optimizer, self._step_factor(self.schedule))
            return {"optimizer": optimizer, "lr_scheduler": {"scheduler": scheduler, "interval": "step"}}
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": self.schedule(optimizer), "interval": "epoch"}}

    def _step_factor(self, schedule: WarmUp) -> Callable[[int], float]:
        """The factor of `schedule` as a function of the optimizer step."""
        # Not trainer.estimated_stepping_batches: in a resumed run it resets the position within the epoch.
        trainer: Any = self.trainer
        steps_an_epoch = math.ceil(len(trainer.datamodule.train_dataloader()) / trainer.accumulate_grad_batches)
        return lambda step: schedule.factor(step, steps_an_epoch * trainer.max_epochs, steps_an_epoch)

    def on_train_start(self) -> None:
        self._train_sums = self._train_sums.to(self.device)  # of a run that resumed within an epoch
        self._set_epoch()

    def _set_epoch(self) -> None:
        if callable(set_epoch := getattr(self.model, "set_epoch", None)):
            set_epoch(self.current_epoch)

    def on_train_epoch_start(self) -> None:
        self._set_epoch()
        # sum of losses, correct, seen
        self._train_sums = torch.zeros(
            3, dtype=torch.float64 if self.device.type == "cpu" else torch.float32, device=self.device
        )

    def training_step(self, batch: Batch) -> Tensor:
        images, labels = batch
        logits = self(images).float()
        loss = self.loss(logits, labels)
        with torch.no_grad():
            correct = (logits.argmax(1) == labels).sum()
            self._train_sums += torch.stack([loss * len(labels), correct, torch.full_like(loss, len(labels))])
        return loss

    def on_validation_epoch_start(self) -> None:
        self._scored, self._labels, self._said = [], [], []
        self._score_loss = torch.zeros((), device=self.device)

    def on_test_epoch_start(self) -> None:
        self.on_validation_epoch_start()

    def validation_step(self, batch: Batch) -> None:
        images, labels = batch
        logits = self(images).float()
        self._score_loss += F.cross_entropy(logits, labels, reduction="sum")
        self._scored.append(logits.argmax(1))
        self._labels.append(labels)
        if self.keeps_probabilities:
            self._said.append(logits.softmax(1).half())

    def test_step(self, batch: Batch) -> None:
        self.validation_step(batch)

    def _keep_results(self) -> Tensor:
        """Keep what this scoring gave; return the predicted labels."""
        self.predictions = torch.cat(self._scored)
        self.probabilities = torch.cat(self._said) if self._said else None
        return self.predictions

    def on_validation_epoch_end(self) -> None:
        predictions = self._keep_results()
        if self.trainer.state.fn != "fit" or self.trainer.sanity_checking:
            return
        correct = (predictions == torch.cat(self._labels)).sum()
        sums = torch.cat([self._sum_over_ranks(self._train_sums), self._score_loss[None], correct[None]])
        train_loss, train_correct, seen, val_loss, val_correct = sums.tolist()  # the one synchronisation of an epoch
        n = len(predictions)
        means = (train_loss / max(seen, 1), train_correct / max(seen, 1), val_loss / n, val_correct / n)
        metrics = dict(zip(METRICS, means, strict=True))
        # What callbacks monitor; by log_dict, which does more for each, it takes 4 % of a small seed.
        self.trainer.callback_metrics.update({name: torch.tensor(mean) for name, mean in metrics.items()})
        for logger in self.loggers:  # not by log_dict, which rounds to single precision
            logger.log_metrics({**metrics, "epoch": self.current_epoch}, self.global_step - 1)

    def on_test_epoch_end(self) -> None:
        predictions = self._keep_results()
        correct = (predictions == torch.cat(self._labels)).sum()
        sums = torch.stack([self._score_loss, correct]).double().cpu()  # Lightning takes a float in single precision
        self.log_dict(dict(zip(("test/loss", "test/acc"), sums / len(predictions), strict=True)))

    def example_results(self) -> dict[str, Tensor]:
        """What the last scoring gave: labels, and probabilities where they are kept.

        With true labels where the data do not tell them otherwise.
        """
        assert self.predictions is not None
        known = self._trainer is None or hasattr(getattr(self.trainer, "datamodule", None), "example_index")
        labels = {} if known else {"labels": torch.cat(self._labels)}
        probabilities = {} if self.probabilities is None else {"probabilities": self.probabilities}
        return {"predictions": self.predictions, **probabilities, **labels}

    def _sum_over_ranks(self, values: Tensor) -> Tensor:
        """The sum over all processes that train this seed together; each scores all examples itself."""
        return values if self.trainer.world_size == 1 else self.all_gather(values).sum(0)  # type: ignore[union-attr]

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        checkpoint["train_sums"] = self._sum_over_ranks(self._train_sums)

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        sums = checkpoint.get("train_sums", self._train_sums)
        self._train_sums = sums if self.global_rank == 0 else torch.zeros_like(sums)
