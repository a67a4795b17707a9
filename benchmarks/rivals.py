"""The rivals: an experiment's recipe as a plain fp32 PyTorch loop, and through stock Lightning with torchvision's
transforms, each written the obvious way. Both take their settings from the experiment's config."""

import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

import lightning as L
import numpy as np
import torch
from hydra.utils import instantiate
from omegaconf import DictConfig
from PIL import Image
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.data import DataLoader, Dataset
from torchvision import transforms

from seedspread.data.augment import Augmentation
from seedspread.data.pictures import Pictures, PictureSet, build_picture_set


def random_pictures(source: str | None, cache: Path, size: int) -> PictureSet:
    """Noise in CIFAR-10's shape, which costs as much as pictures; `source` is TRAINxTEST, 5000x1000 by default."""
    rng = np.random.default_rng(0)
    train, test = (
        Pictures(rng.integers(0, 256, (n, size, size, 3), np.uint8), np.arange(n) % 10)
        for n in (int(part) for part in (source or "5000x1000").split("x"))
    )
    return build_picture_set(train, test, tuple("abcdefghij"))


@dataclass(frozen=True, eq=False)
class Recipe:
    """What a rival needs of a config: pictures as they are read, sizes, and the settings of a run."""

    pictures: PictureSet
    mean: list[float]
    std: list[float]
    augment: Augmentation
    width: int
    batch: int
    epochs: int
    factor: Callable[[int], float]
    lr: float
    weight_decay: float

    @classmethod
    def of(cls, cfg: DictConfig) -> "Recipe":
        read = instantiate(cfg.data.read)
        pictures = (read.func if hasattr(read, "func") else read)(cfg.data.source, Path(cfg.data.cache), cfg.data.size)
        sizes = ((pictures.train, cfg.data.train_size), (pictures.test, cfg.data.test_size))
        train, test = (part.balanced_subset(size, 10, "size") for part, size in sizes)
        return cls(
            PictureSet(train, test, pictures.classes, ""), list(cfg.data.mean), list(cfg.data.std),
            instantiate(cfg.data.augment), cfg.model.width, cfg.data.batch_size, cfg.trainer.max_epochs,
            instantiate(cfg.schedule.lr_lambda), cfg.optimizer.lr, cfg.optimizer.weight_decay,
        )  # fmt: skip

    def short(self) -> "Recipe":
        """One epoch of two batches, to warm up."""
        train, test = (
            Pictures(part.images[: 2 * self.batch], part.labels[: 2 * self.batch])
            for part in (self.pictures.train, self.pictures.test)
        )
        return replace(self, epochs=1, pictures=replace(self.pictures, train=train, test=test))

    def optimizer(self, model: nn.Module) -> torch.optim.Optimizer:
        return torch.optim.SGD(model.parameters(), self.lr, momentum=0.9, nesterov=True, weight_decay=self.weight_decay)


def resnet9(channels: int, width: int) -> nn.Module:
    def conv(inputs: int, outputs: int) -> list[nn.Module]:
        return [nn.Conv2d(inputs, outputs, 3, padding=1, bias=False), nn.BatchNorm2d(outputs), nn.CELU(0.1)]

    class Residual(nn.Module):
        def __init__(self, channels: int) -> None:
            super().__init__()
            self.body = nn.Sequential(*conv(channels, channels), *conv(channels, channels))

        def forward(self, x: Tensor) -> Tensor:
            return x + self.body(x)

    def pool() -> nn.Module:
        return nn.MaxPool2d(2, ceil_mode=True)

    w = width
    return nn.Sequential(
        *conv(channels, w), pool(), *conv(w, 2 * w), pool(), Residual(2 * w), *conv(2 * w, 4 * w), pool(),
        *conv(4 * w, 4 * w), pool(), Residual(4 * w), nn.AdaptiveMaxPool2d(1), nn.Flatten(),
        nn.Linear(4 * w, 10, bias=False),
    )  # fmt: skip


def objective(logits: Tensor, labels: Tensor) -> Tensor:
    return F.cross_entropy(logits, labels) + 2 * F.cross_entropy(logits, labels, label_smoothing=0.2)


@cache
def resident(recipe: Recipe, device: str) -> list[tuple[Tensor, Tensor]]:
    """Normalised pictures and labels to train on and to score, made once a process, as ours are."""
    return [
        (_normalised(part.images, recipe).to(device), torch.from_numpy(part.labels).to(device))
        for part in (recipe.pictures.train, recipe.pictures.test)
    ]


def plain(recipe: Recipe, seed: int, device: str, trained: list[float] | None = None) -> tuple[float, float]:
    """One seed by a plain loop: seconds, and the accuracy at its end; `trained` gets an epoch's training seconds."""
    began = time.perf_counter()
    torch.manual_seed(seed)
    (images, labels), (test_images, test_labels) = resident(recipe, device)
    model = resnet9(images.shape[1], recipe.width).to(device)
    optimizer = recipe.optimizer(model)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, recipe.factor)
    accuracy = 0.0
    for _ in range(recipe.epochs):
        epoch_began = time.perf_counter()
        model.train()
        if recipe.augment.granularity == "image":
            varied = _varied_each(images, recipe.augment)
        else:
            varied = torch.cat([_varied(chunk, recipe.augment) for chunk in images.split(recipe.augment.chunk)])
        order = torch.randperm(len(images), device=device)
        for step in range(len(images) // recipe.batch):
            chosen = order[step * recipe.batch : (step + 1) * recipe.batch]
            loss = objective(0.1 * model(varied[chosen]), labels[chosen])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        schedule.step()
        if device == "cuda":
            torch.cuda.synchronize()
        if trained is not None:
            trained.append(time.perf_counter() - epoch_began)
        model.eval()
        with torch.no_grad():
            right = sum(
                (model(pictures).argmax(1) == truth).sum().item()
                for pictures, truth in zip(test_images.split(500), test_labels.split(500), strict=True)
            )
        accuracy = right / len(test_labels)
    return time.perf_counter() - began, accuracy


def _normalised(images: np.ndarray, recipe: Recipe) -> Tensor:
    floats = torch.from_numpy(images).permute(0, 3, 1, 2).float() / 255
    mean, std = (torch.tensor(values)[:, None, None] for values in (recipe.mean, recipe.std))
    return (floats - mean) / std


def _varied(chunk: Tensor, augment: Augmentation) -> Tensor:
    """By one draw for all."""
    size, pad, cut = chunk.shape[3], augment.padding, augment.cutout
    y, x, top, left = (int(torch.randint(0, n, ())) for n in (*2 * [2 * pad + 1], *2 * [size - cut + 1]))
    chunk = F.pad(chunk, (pad, pad, pad, pad))[:, :, y : y + size, x : x + size].clone()
    if augment.flip and torch.rand(()) < 0.5:
        chunk = chunk.flip(3)
    chunk[:, :, top : top + cut, left : left + cut] = 0
    return chunk


def _varied_each(images: Tensor, augment: Augmentation) -> Tensor:
    """By a draw for each picture, without a loop over them, which small pictures would spend half their time in."""
    n, channels, size, _ = images.shape
    pad, cut, along = augment.padding, augment.cutout, torch.arange(size, device=images.device)
    ends = (*2 * [2 * pad + 1], *2 * [size - cut + 1], 2)
    y, x, top, left, flip = (torch.randint(0, end, (n, 1), device=images.device) for end in ends)
    rows, columns = y + along, x + along
    if augment.flip:
        columns = torch.where(flip == 1, columns.flip(1), columns)
    picture, channel = (torch.arange(k, device=images.device) for k in (n, channels))
    padded = F.pad(images, (pad, pad, pad, pad))
    rows, columns = rows[:, None, :, None], columns[:, None, None]
    varied = padded[picture[:, None, None, None], channel[:, None, None], rows, columns]
    cut_rows, cut_columns = ((along >= begin) & (along < begin + cut) for begin in (top, left))
    return varied.masked_fill_(cut_rows[:, None, :, None] & cut_columns[:, None, None], 0)


class PictureDataset(Dataset):
    def __init__(self, pictures: Pictures, transform: Callable[[Image.Image], Tensor]) -> None:
        self.pictures, self.transform = pictures, transform

    def __len__(self) -> int:
        return len(self.pictures)

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        return self.transform(Image.fromarray(self.pictures.images[index].squeeze())), int(self.pictures.labels[index])


class StockModule(L.LightningModule):
    def __init__(self, recipe: Recipe) -> None:
        super().__init__()
        self.recipe = recipe
        self.model = resnet9(recipe.pictures.train.images.shape[3], recipe.width)

    def training_step(self, batch: tuple[Tensor, Tensor]) -> Tensor:
        images, labels = batch
        loss = objective(0.1 * self.model(images), labels)
        self.log("train/loss", loss)
        return loss

    def validation_step(self, batch: tuple[Tensor, Tensor]) -> None:
        images, labels = batch
        self.log("val/acc", (self.model(images).argmax(1) == labels).float().mean(), on_epoch=True)

    def configure_optimizers(self) -> tuple[list, list]:
        optimizer = self.recipe.optimizer(self)
        return [optimizer], [torch.optim.lr_scheduler.LambdaLR(optimizer, self.recipe.factor)]


def stock_lightning(recipe: Recipe, seed: int, device: str) -> tuple[float, float]:
    """One seed through Lightning as its guide has it: seconds, and the accuracy at its end.

    torchvision draws for each picture, also where the recipe draws once for many.
    """
    began = time.perf_counter()
    L.seed_everything(seed, verbose=False)
    size, augment = recipe.pictures.train.images.shape[1], recipe.augment
    tensors = [transforms.ToTensor(), transforms.Normalize(recipe.mean, recipe.std)]
    area = (augment.cutout / size) ** 2
    varied = [
        transforms.RandomCrop(size, padding=augment.padding),
        *([transforms.RandomHorizontalFlip()] if augment.flip else []),
        *tensors,
        transforms.RandomErasing(p=1, scale=(area, area), ratio=(1, 1)),
    ]
    train, test = (
        PictureDataset(part, transforms.Compose(steps))
        for part, steps in ((recipe.pictures.train, varied), (recipe.pictures.test, tensors))
    )
    gpu = device == "cuda"
    workers: dict[str, Any] = {"num_workers": 8, "persistent_workers": True, "pin_memory": True} if gpu else {}
    with tempfile.TemporaryDirectory() as logs:
        trainer = L.Trainer(
            max_epochs=recipe.epochs, accelerator="gpu" if gpu else "cpu", devices=1,
            default_root_dir=logs, enable_progress_bar=False, enable_model_summary=False,
        )  # fmt: skip
        trainer.fit(
            StockModule(recipe),
            DataLoader(train, recipe.batch, shuffle=True, drop_last=True, **workers),
            DataLoader(test, 500, **workers),
        )
    return time.perf_counter() - began, float(trainer.callback_metrics["val/acc"])
