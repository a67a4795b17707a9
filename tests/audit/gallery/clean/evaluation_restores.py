"""Validation takes random crops, the same each time, and gives the generator back as it was."""

import sys

import torch
from torch.utils.data import DataLoader, Dataset


class Crops(Dataset):
    def __init__(self, n, phase):
        self.x = torch.sin(phase + torch.arange(n * 12.0)).reshape(n, 12)

    def __len__(self):
        return len(self.x)

    def __getitem__(self, i):
        start = int(torch.randint(0, 5, ()))
        return self.x[i, start : start + 8], self.x[i].sum()


def evaluate(net, loader):
    net.eval()
    with torch.no_grad(), torch.random.fork_rng():
        torch.random.manual_seed(0)
        error = sum((net(x).flatten() - y).abs().sum().item() for x, y in loader)
    net.train()
    return error


torch.random.manual_seed(int(sys.argv[1]))
train, valid = DataLoader(Crops(48, 0.0), 12, shuffle=True), DataLoader(Crops(16, 1.0), 8)
net = torch.nn.Sequential(torch.nn.Linear(8, 16), torch.nn.ReLU(), torch.nn.Dropout(0.1), torch.nn.Linear(16, 1))
opt = torch.optim.Adam(net.parameters(), 1e-2)
for epoch in range(3):
    for x, y in train:
        loss = (net(x).flatten() - y).pow(2).mean()
        opt.zero_grad()
        loss.backward()
        opt.step()
    print(epoch, evaluate(net, valid))
