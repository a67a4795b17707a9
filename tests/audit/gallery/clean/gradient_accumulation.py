"""Four small batches make one step; the last step of an epoch has fewer."""

import sys

import torch
from torch.utils.data import DataLoader, TensorDataset

torch.manual_seed(int(sys.argv[1]))
x = torch.sin(torch.arange(360.0)).reshape(72, 5)
train = DataLoader(TensorDataset(x[:60], x[:60].sum(1)), batch_size=6, shuffle=True)
val = DataLoader(TensorDataset(x[60:], x[60:].sum(1)), batch_size=6)
net = torch.nn.Sequential(torch.nn.Linear(5, 10), torch.nn.Dropout(), torch.nn.Linear(10, 1))
opt = torch.optim.Adam(net.parameters())
for epoch in range(3):
    net.train()
    for i, (a, b) in enumerate(train):
        loss = (net(a)[:, 0] - b).pow(2).mean() / 4
        loss.backward()
        if i % 4 == 3 or i + 1 == len(train):
            opt.step()
            opt.zero_grad()
    net.eval()
    with torch.no_grad():
        total = sum((net(a)[:, 0] - b).pow(2).sum() for a, b in val)
