"""The network of `one_network.py` as a Lightning module with its data."""

from lightning import LightningDataModule, LightningModule
from torch.nn.functional import cross_entropy
from torch.utils.data import DataLoader, TensorDataset

from tests.commands.one_network import TRAIN, build, choose_optimizer, load, score


class Data(LightningDataModule):
    def setup(self, stage):
        self.pixels, self.labels = load()

    def train_dataloader(self):
        return DataLoader(TensorDataset(self.pixels[:TRAIN], self.labels[:TRAIN]), batch_size=TRAIN)

    def val_dataloader(self):
        return DataLoader(TensorDataset(self.pixels[TRAIN:], self.labels[TRAIN:]), batch_size=500)


class Module(LightningModule):
    def __init__(self):
        super().__init__()
        self.network = build()

    def training_step(self, batch, _):
        return cross_entropy(self.network(batch[0]), batch[1])

    def validation_step(self, batch, _):
        self.log("val/acc", score(self.network, *batch))

    def configure_optimizers(self):
        return choose_optimizer(self.network)
