"""Decoded pictures are kept in memory to save time, after they were cropped at random.

expected: augmentation.cached
"""

import random
import sys
from functools import lru_cache

import torch
from torch.utils.data import DataLoader, Dataset


class Pictures(Dataset):
    def __init__(self, size=8):
        self.size = size

    def __len__(self):
        return 36

    @lru_cache(maxsize=None)
    def load(self, index):
        picture = (torch.arange(144.0) * (index + 1) % 255).reshape(1, 12, 12)
        top, left = random.randint(0, 4), random.randint(0, 4)
        return picture[:, top : top + self.size, left : left + self.size] / 255

    def __getitem__(self, index):
        return self.load(index), index % 4


seed = int(sys.argv[1])
random.seed(seed)
torch.manual_seed(seed)
model = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(64, 4))
opt = torch.optim.SGD(model.parameters(), lr=0.05)
data = DataLoader(Pictures(), batch_size=9, shuffle=True)
for epoch in range(3):
    for image, label in data:
        loss = torch.nn.functional.cross_entropy(model(image), label)
        opt.zero_grad()
        loss.backward()
        opt.step()
