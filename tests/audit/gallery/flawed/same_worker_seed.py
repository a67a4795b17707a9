"""Every worker seeds NumPy with the seed of the run: they draw the same crops.

expected: augmentation.workers
"""

import random
import sys

import numpy as np
import torch
import torch.nn.functional as F
from torch.utils.data import DataLoader

SEED = int(sys.argv[1])


def set_seed(seed):
    random.seed(seed)
    np.random.seed(seed)
    torch.manual_seed(seed)


class Crops(torch.utils.data.Dataset):
    images = torch.arange(48 * 100).remainder(97).reshape(48, 1, 10, 10) / 97.0

    def __len__(self):
        return len(self.images)

    def __getitem__(self, index):
        top, left = np.random.randint(0, 3, size=2)
        return self.images[index][:, top : top + 8, left : left + 8], index % 3


def worker_init(worker_id):
    set_seed(SEED)


if __name__ == "__main__":
    set_seed(SEED)
    net = torch.nn.Sequential(torch.nn.Conv2d(1, 4, 3), torch.nn.ReLU(), torch.nn.Flatten(), torch.nn.Linear(144, 3))
    opt = torch.optim.Adam(net.parameters())
    train = DataLoader(Crops(), 8, shuffle=True, num_workers=2, worker_init_fn=worker_init)
    for _ in range(2):
        for image, label in train:
            opt.zero_grad()
            F.cross_entropy(net(image), label).backward()
            opt.step()
