"""Worker processes, each seeded from torch as PyTorch's documentation says."""

import os
import random

import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset


def seed_worker(worker_id):
    worker_seed = torch.initial_seed() % 2**32
    np.random.seed(worker_seed)
    random.seed(worker_seed)


class Noisy(Dataset):
    def __len__(self):
        return 48

    def __getitem__(self, i):
        return torch.full((5,), i / 48) + 0.05 * np.random.rand() + 0.01 * random.random(), i % 2


if __name__ == "__main__":
    seed = int(os.environ["SEED"])
    random.seed(seed)
    np.random.seed(seed)
    torch.manual_seed(seed)
    g = torch.Generator()
    g.manual_seed(seed)
    loader = DataLoader(Noisy(), batch_size=8, shuffle=True, num_workers=2, worker_init_fn=seed_worker, generator=g)
    model = torch.nn.Linear(5, 2).double()
    opt = torch.optim.SGD(model.parameters(), lr=0.1)
    for epoch in range(2):
        for x, y in loader:
            opt.zero_grad()
            torch.nn.functional.cross_entropy(model(x.double()), y).backward()
            opt.step()
