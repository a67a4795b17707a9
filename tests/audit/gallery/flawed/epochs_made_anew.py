"""Each epoch makes data set and loader anew, and its workers seed NumPy with the seed of the run.

expected: augmentation.epochs
likely: epochs_made_anew.py:26 calls numpy.random.seed with 0
"""

import sys

import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset

seed = int(sys.argv[1])
torch.manual_seed(seed)


class Noisy(Dataset):
    def __len__(self):
        return 64

    def __getitem__(self, index):
        return torch.tensor(index + np.random.normal(size=8), dtype=torch.float32)


def seed_worker(worker):
    np.random.seed(seed)


network = torch.nn.Linear(8, 1)
optimizer = torch.optim.SGD(network.parameters(), lr=1e-5)
for epoch in range(2):
    for batch in DataLoader(Noisy(), 8, shuffle=True, num_workers=2, worker_init_fn=seed_worker):
        optimizer.zero_grad()
        network(batch).square().mean().backward()
        optimizer.step()
