"""File names are collected in a set, and read in its order.

expected: environment.hash
"""

import sys

import torch
from torch import nn

torch.manual_seed(int(sys.argv[1]))
names = {f"scan_{i:03d}.png" for i in range(32)}
features = torch.stack([torch.tensor([len(n) * 1.0, int(n[5:8]) / 32, int(n[5:8]) % 2]) for n in names])
labels = (features[:, 2] > 0).float()

net = nn.Sequential(nn.Linear(3, 8), nn.Tanh(), nn.Linear(8, 1))
opt = torch.optim.RMSprop(net.parameters())
for epoch in range(4):
    for i in range(0, 32, 8):
        out = net(features[i : i + 8]).squeeze()
        loss = nn.functional.binary_cross_entropy_with_logits(out, labels[i : i + 8])
        opt.zero_grad()
        loss.backward()
        opt.step()
