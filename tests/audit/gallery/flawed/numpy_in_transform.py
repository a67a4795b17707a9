"""torch is seeded; the transform draws from NumPy, which is not.

expected: augmentation.unseeded
"""

import argparse

import numpy as np
import torch
from torch import nn
from torch.utils.data import DataLoader, Dataset


class Jitter:
    def __call__(self, x):
        return x + 0.1 * np.random.randn(*x.shape).astype("float32")


class Waves(Dataset):
    def __init__(self, n=64, transform=None):
        t = np.linspace(0, 6, 16, dtype="float32")
        self.x = np.stack([np.sin(t * (1 + i % 4)) + i / 100 for i in range(n)]).astype("float32")
        self.y = np.arange(n) % 4
        self.transform = transform

    def __len__(self):
        return len(self.y)

    def __getitem__(self, i):
        x = self.x[i]
        if self.transform:
            x = self.transform(x)
        return x, self.y[i]


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    torch.manual_seed(args.seed)
    loader = DataLoader(Waves(transform=Jitter()), batch_size=16, shuffle=True)
    model = nn.Sequential(nn.Linear(16, 32), nn.ReLU(), nn.Linear(32, 4))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    for epoch in range(3):
        for x, y in loader:
            loss = nn.functional.cross_entropy(model(x), y)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        print(epoch, loss.item())


if __name__ == "__main__":
    main()
