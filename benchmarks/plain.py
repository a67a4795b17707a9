"""The rival: the paper's recipe as a plain fp32 PyTorch loop, written the obvious way; random pictures for both."""

import time
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from src.data.pictures import Pictures, PictureSet, picture_set


def random_pictures(source: str | None, cache: Path, size: int) -> PictureSet:
    """5,000 and 1,000 pictures of noise in CIFAR-10's shape: a step costs the same on them."""
    rng = np.random.default_rng(0)
    train, test = (
        Pictures(rng.integers(0, 256, (n, size, size, 3), np.uint8), np.arange(n) % 10) for n in (5000, 1000)
    )
    return picture_set(train, test, tuple("abcdefghij"))


def plain_resnet9(width: int) -> nn.Module:
    def conv(inputs: int, outputs: int) -> list[nn.Module]:
        return [nn.Conv2d(inputs, outputs, 3, padding=1, bias=False), nn.BatchNorm2d(outputs), nn.CELU(0.1)]

    class Residual(nn.Module):
        def __init__(self, channels: int) -> None:
            super().__init__()
            self.body = nn.Sequential(*conv(channels, channels), *conv(channels, channels))

        def forward(self, x: Tensor) -> Tensor:
            return x + self.body(x)

    w = width
    return nn.Sequential(
        *conv(3, w), nn.MaxPool2d(2), *conv(w, 2 * w), nn.MaxPool2d(2), Residual(2 * w),
        *conv(2 * w, 4 * w), nn.MaxPool2d(2), *conv(4 * w, 4 * w), nn.MaxPool2d(2), Residual(4 * w),
        nn.AdaptiveMaxPool2d(1), nn.Flatten(), nn.Linear(4 * w, 10, bias=False),
    )  # fmt: skip


def train_plainly(width: int, batch: int, steps: int, epochs: int, threads: int = 1) -> list[float]:
    """Train on random pictures; seconds a step, one number an epoch of `steps` steps."""
    torch.set_num_threads(threads)
    torch.manual_seed(0)
    pictures = random_pictures(None, Path(), 32).train
    images = torch.from_numpy(pictures.images).permute(0, 3, 1, 2).float() / 255
    mean, std = torch.tensor([0.4914, 0.4822, 0.4465]), torch.tensor([0.2023, 0.1994, 0.2010])
    images = (images - mean[:, None, None]) / std[:, None, None]
    labels = torch.from_numpy(pictures.labels)
    model = plain_resnet9(width)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.002, momentum=0.9, nesterov=True, weight_decay=1e-3)
    seconds = []
    for _ in range(epochs):
        began = time.perf_counter()
        varied = torch.cat([_varied(chunk) for chunk in images.split(500)])
        order = torch.randperm(len(images))
        for step in range(steps):
            chosen = order[step * batch : (step + 1) * batch]
            logits = 0.1 * model(varied[chosen])
            target = labels[chosen]
            loss = F.cross_entropy(logits, target) + 2 * F.cross_entropy(logits, target, label_smoothing=0.2)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        seconds.append((time.perf_counter() - began) / steps)
    return seconds


def _varied(chunk: Tensor) -> Tensor:
    y, x, top, left = (int(torch.randint(0, n, ())) for n in (9, 9, 25, 25))
    chunk = F.pad(chunk, (4, 4, 4, 4))[:, :, y : y + 32, x : x + 32].clone()
    if torch.rand(()) < 0.5:
        chunk = chunk.flip(3)
    chunk[:, :, top : top + 8, left : left + 8] = 0
    return chunk
