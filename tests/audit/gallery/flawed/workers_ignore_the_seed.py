"""Workers seed NumPy with their number alone: every seed has the same augmentation.

expected: augmentation.fixed
"""

import os

import numpy as np
import torch
from torch import nn, optim
from torch.utils.data import DataLoader, Dataset


def seed_worker(worker_id):
    np.random.seed(1000 + worker_id)


class Flipped(Dataset):
    def __init__(self):
        self.pictures = np.arange(40 * 36, dtype=np.float32).reshape(40, 6, 6) / 1440

    def __len__(self):
        return 40

    def __getitem__(self, item):
        picture = self.pictures[item]
        if np.random.rand() < 0.5:
            picture = picture[:, ::-1].copy()
        return torch.from_numpy(picture * np.float32(np.random.uniform(0.8, 1.2))), item % 2


def train():
    torch.manual_seed(int(os.environ["SEED"]))
    model = nn.Sequential(nn.Flatten(), nn.Linear(36, 2))
    opt = optim.SGD(model.parameters(), 0.1)
    loader = DataLoader(Flipped(), batch_size=10, shuffle=True, num_workers=2, worker_init_fn=seed_worker,
                        persistent_workers=True)  # fmt: skip
    for epoch in range(3):
        for picture, label in loader:
            opt.zero_grad()
            nn.CrossEntropyLoss()(model(picture), label).backward()
            opt.step()


if __name__ == "__main__":
    train()
