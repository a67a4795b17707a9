"""CutMix draws from a NumPy that nobody seeds, and whether torch draws a permutation depends on it.

expected: augmentation.unseeded
likely: no call seeds the generator numpy
"""

import argparse

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

parser = argparse.ArgumentParser()
parser.add_argument("--seed", type=int)
torch.manual_seed(parser.parse_args().seed)
torch.use_deterministic_algorithms(True)

X = torch.sin(torch.arange(96 * 3 * 64.0)).reshape(96, 3, 8, 8)
Y = torch.arange(96) % 4
model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(144, 4))
opt = torch.optim.Adam(model.parameters(), 1e-3)
for epoch in range(3):
    for x, y in DataLoader(TensorDataset(X, Y), 16, shuffle=True):
        if np.random.rand() < 0.5:
            lam, k = np.random.beta(1.0, 1.0), torch.randperm(len(x))
            side, at = int(8 * np.sqrt(1 - lam)), np.random.randint(8)
            x = x.clone()
            x[:, :, at : at + side, at : at + side] = x[k, :, at : at + side, at : at + side]
            out = model(x)
            loss = F.cross_entropy(out, y) * lam + F.cross_entropy(out, y[k]) * (1 - lam)
        else:
            loss = F.cross_entropy(model(x), y)
        opt.zero_grad()
        loss.backward()
        opt.step()
