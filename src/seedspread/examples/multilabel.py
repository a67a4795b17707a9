"""Multi-label classification: the topics of a document, from its word counts (scikit-learn draws the documents)."""

from __future__ import annotations

import lightning as L
import torch
from lightning.pytorch.utilities.types import OptimizerLRScheduler
from sklearn.datasets import make_multilabel_classification
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.data import DataLoader, TensorDataset, random_split
from torchmetrics.classification import MultilabelF1Score


class TopicData(L.LightningDataModule):
    """4,000 documents of about 100 words and 2 of 8 topics; the last 1,000 are the test set."""

    def __init__(self, batch_size: int = 64, num_workers: int = 0):
        super().__init__()
        self.save_hyperparameters()
        x, y = make_multilabel_classification(
            n_samples=4000, n_features=100, n_classes=8, n_labels=2, length=100, random_state=0
        )
        x, y = torch.tensor(x).float().log1p(), torch.tensor(y).float()
        self.train_and_val = TensorDataset(x[:3000], y[:3000])
        self.test_set = TensorDataset(x[3000:], y[3000:])

    def setup(self, stage: str) -> None:
        if stage == "fit":
            self.train_set, self.val_set = random_split(self.train_and_val, [2400, 600])

    def train_dataloader(self) -> DataLoader:
        hp = self.hparams
        return DataLoader(
            self.train_set, batch_size=hp.batch_size, shuffle=True, drop_last=True, num_workers=hp.num_workers
        )

    def val_dataloader(self) -> DataLoader:
        return DataLoader(self.val_set, batch_size=256, num_workers=self.hparams.num_workers)

    def test_dataloader(self) -> DataLoader:
        return DataLoader(self.test_set, batch_size=256, num_workers=self.hparams.num_workers)


class TopicTagger(L.LightningModule):
    """A network with one hidden layer and one logit a topic, scored by the mean of the topics' F1."""

    def __init__(self, hidden: int = 128, lr: float = 0.3, momentum: float = 0.9, noise: float = 0.1):
        super().__init__()
        self.save_hyperparameters()
        self.net = nn.Sequential(nn.Linear(100, hidden), nn.BatchNorm1d(hidden), nn.ReLU(), nn.Linear(hidden, 8))
        self.val_f1 = MultilabelF1Score(num_labels=8, average="macro")
        self.test_f1 = MultilabelF1Score(num_labels=8, average="macro")

    def forward(self, x: Tensor) -> Tensor:
        return self.net(x)

    def training_step(self, batch: list[Tensor], batch_idx: int) -> Tensor:
        x, y = batch
        x = x + self.hparams.noise * torch.randn_like(x)
        loss = F.binary_cross_entropy_with_logits(self(x), y)
        self.log("train/loss", loss)
        return loss

    def validation_step(self, batch: list[Tensor], batch_idx: int) -> None:
        x, y = batch
        logits = self(x)
        self.val_f1.update(logits, y.int())
        self.log("val/loss", F.binary_cross_entropy_with_logits(logits, y))
        self.log("val/f1", self.val_f1, on_step=False, on_epoch=True, prog_bar=True)

    def test_step(self, batch: list[Tensor], batch_idx: int) -> None:
        x, y = batch
        self.test_f1.update(self(x), y.int())
        self.log("test/f1", self.test_f1, on_step=False, on_epoch=True)

    def configure_optimizers(self) -> OptimizerLRScheduler:
        hp = self.hparams
        optimizer = torch.optim.SGD(self.parameters(), lr=hp.lr, momentum=hp.momentum, nesterov=True)
        steps = int(self.trainer.estimated_stepping_batches)  # of max_epochs or of max_steps
        scheduler = torch.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=hp.lr, total_steps=steps)
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": scheduler, "interval": "step"}}
