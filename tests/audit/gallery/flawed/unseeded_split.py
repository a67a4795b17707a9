"""Training and validation examples are split before anything is seeded.

expected: split.unseeded
"""

import sys

import torch
from torch.utils.data import DataLoader, TensorDataset, random_split

full = TensorDataset(torch.sin(torch.arange(300.0)).reshape(60, 5), torch.arange(60) % 2)
train_set, val_set = random_split(full, [48, 12])


def seed_everything(seed):
    torch.manual_seed(seed)


class Model(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.layers = torch.nn.Sequential(torch.nn.Linear(5, 12), torch.nn.SiLU(), torch.nn.Linear(12, 2))

    def forward(self, x):
        return self.layers(x)


seed_everything(int(sys.argv[1]))
model = Model()
opt = torch.optim.AdamW(model.parameters(), lr=1e-2)
for epoch in range(3):
    model.train()
    for x, y in DataLoader(train_set, batch_size=16, shuffle=True):
        opt.zero_grad()
        torch.nn.functional.cross_entropy(model(x), y).backward()
        opt.step()
    model.eval()
    with torch.inference_mode():
        accuracy = sum((model(x).argmax(1) == y).sum() for x, y in DataLoader(val_set, batch_size=12))
