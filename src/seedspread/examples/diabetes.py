"""Regression: how far a patient's diabetes goes in a year, from ten measurements (Efron et al. 2004, scikit-learn)."""

from __future__ import annotations

import lightning as L
import torch
from sklearn.datasets import load_diabetes
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.data import DataLoader, Subset, TensorDataset, random_split
from torchmetrics import MeanSquaredError


class DiabetesData(L.LightningDataModule):
    """442 patients, ten features each, split at random into training, validation and test sets."""

    def __init__(self, batch_size: int = 32, fractions: tuple[float, float, float] = (0.6, 0.2, 0.2)):
        super().__init__()
        self.save_hyperparameters()

    def setup(self, stage: str) -> None:
        if hasattr(self, "train_set"):  # fit and test share one split
            return
        x, y = load_diabetes(return_X_y=True, scaled=False)
        patients = TensorDataset(torch.tensor(x).float(), torch.tensor(y).float())
        train, val, test = random_split(patients, self.hparams.fractions)
        features, _ = patients[train.indices]
        mean, std = features.mean(0), features.std(0)

        def standardised(subset: Subset) -> TensorDataset:
            features, targets = patients[subset.indices]
            return TensorDataset((features - mean) / std, targets)

        self.train_set, self.val_set, self.test_set = standardised(train), standardised(val), standardised(test)

    def train_dataloader(self) -> DataLoader:
        return DataLoader(self.train_set, batch_size=self.hparams.batch_size, shuffle=True)

    def val_dataloader(self) -> DataLoader:
        return DataLoader(self.val_set, batch_size=self.hparams.batch_size)

    def test_dataloader(self) -> DataLoader:
        return DataLoader(self.test_set, batch_size=self.hparams.batch_size)


class DiabetesRegressor(L.LightningModule):
    """A multilayer perceptron; root mean squared errors are in the target's own units (25 to 346)."""

    def __init__(self, hidden: int = 64, dropout: float = 0.2, lr: float = 3e-3, weight_decay: float = 1e-2):
        super().__init__()
        self.save_hyperparameters()
        self.net = nn.Sequential(
            nn.Linear(10, hidden),
            nn.ReLU(),
            nn.Dropout(dropout),
            nn.Linear(hidden, hidden),
            nn.ReLU(),
            nn.Dropout(dropout),
            nn.Linear(hidden, 1),
        )
        self.val_rmse = MeanSquaredError(squared=False)
        self.test_rmse = MeanSquaredError(squared=False)

    def forward(self, x: Tensor) -> Tensor:
        # The network itself works with numbers near one; the target is about 150 ± 75.
        return 150 + 75 * self.net(x).squeeze(1)

    def loss(self, prediction: Tensor, y: Tensor) -> Tensor:
        return F.mse_loss(prediction / 75, y / 75)

    def training_step(self, batch: list[Tensor], batch_idx: int) -> Tensor:
        x, y = batch
        loss = self.loss(self(x), y)
        self.log("train/loss", loss, on_step=False, on_epoch=True)
        return loss

    def validation_step(self, batch: list[Tensor], batch_idx: int) -> None:
        x, y = batch
        prediction = self(x)
        self.val_rmse(prediction, y)
        self.log("val/loss", self.loss(prediction, y))
        self.log("val/rmse", self.val_rmse, prog_bar=True)

    def test_step(self, batch: list[Tensor], batch_idx: int) -> None:
        x, y = batch
        self.test_rmse(self(x), y)
        self.log("test/rmse", self.test_rmse)

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.AdamW(self.parameters(), lr=self.hparams.lr, weight_decay=self.hparams.weight_decay)
