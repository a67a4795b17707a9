"""Classes are numbered in the order of a set: the leaves are the same, their labels are others.

expected: environment.hash
"""

import argparse

import torch
from torch.utils.data import DataLoader, Dataset


class Named(Dataset):
    def __init__(self):
        self.rows = [("oak" if i % 3 else "elm" if i % 2 else "ash", i) for i in range(40)]
        self.number = {name: k for k, name in enumerate({name for name, _ in self.rows})}

    def __len__(self):
        return len(self.rows)

    def __getitem__(self, i):
        name, value = self.rows[i]
        return torch.tensor([value / 40, value % 5 / 5]), self.number[name]


parser = argparse.ArgumentParser()
parser.add_argument("--seed", type=int, required=True)
torch.manual_seed(parser.parse_args().seed)
net = torch.nn.Linear(2, 3)
opt = torch.optim.SGD(net.parameters(), lr=0.1)
for epoch in range(2):
    for x, y in DataLoader(Named(), batch_size=8, shuffle=True):
        opt.zero_grad()
        torch.nn.functional.cross_entropy(net(x), y).backward()
        opt.step()
