"""A training script as timm's: random_seed, augmentation by torch, mixing of pictures, an average of weights."""

import argparse
import copy
import random

import numpy as np
import torch
from torch import nn


def random_seed(seed=42, rank=0):
    torch.manual_seed(seed + rank)
    np.random.seed(seed + rank)
    random.seed(seed + rank)


class Pictures(torch.utils.data.Dataset):
    def __init__(self, training):
        self.training = training
        self.x = torch.cos(torch.arange(64 * 48.0)).reshape(64, 3, 4, 4)

    def __len__(self):
        return 64 if self.training else 16

    def __getitem__(self, i):
        x = self.x[i]
        if self.training and random.random() < 0.5:
            x = x.flip(-1)
        return x, i % 5


class Mixup:
    def __call__(self, x, y):
        lam = float(np.random.beta(0.8, 0.8))
        perm = torch.randperm(len(x))
        y = nn.functional.one_hot(y, 5).float()
        return lam * x + (1 - lam) * x[perm], lam * y + (1 - lam) * y[perm]


def train_one_epoch(model, ema, loader, optimizer, loss_fn, mixup):
    model.train()
    for x, y in loader:
        x, y = mixup(x, y)
        loss = loss_fn(model(x), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        with torch.no_grad():
            for a, b in zip(ema.parameters(), model.parameters()):
                a.lerp_(b, 0.1)


@torch.inference_mode()
def validate(model, loader):
    model.eval()
    return sum((model(x).argmax(-1) == y).sum().item() for x, y in loader)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--seed", type=int, default=42)
    args = parser.parse_args()
    random_seed(args.seed)
    model = nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), nn.BatchNorm2d(8), nn.ReLU(), nn.AdaptiveAvgPool2d(1),
                          nn.Flatten(), nn.Linear(8, 5))  # fmt: skip
    ema = copy.deepcopy(model)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9, nesterov=True)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, 3)
    train = torch.utils.data.DataLoader(Pictures(True), 16, shuffle=True, drop_last=True)
    val = torch.utils.data.DataLoader(Pictures(False), 8)
    for epoch in range(3):
        train_one_epoch(model, ema, train, optimizer, nn.BCEWithLogitsLoss(), Mixup())
        schedule.step()
        print(epoch, validate(model, val), validate(ema, val))


if __name__ == "__main__":
    main()
