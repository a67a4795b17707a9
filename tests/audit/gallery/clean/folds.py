"""Cross-validation that seeds each fold alike: each has a network and a loader of its own.

Noise is seeded for each evaluation, and torch's state is then as it was before.
"""

import argparse
import random

import numpy as np
import torch
from sklearn.model_selection import KFold
from torch import nn
from torch.utils.data import DataLoader, TensorDataset


def set_seed(seed):
    random.seed(seed)
    np.random.seed(seed)
    torch.manual_seed(seed)


p = argparse.ArgumentParser()
p.add_argument("--seed", type=int)
seed = p.parse_args().seed
X = torch.sin(torch.arange(120 * 6.0)).reshape(120, 6)
Y = (X.sum(1) > 0).long()
for train, valid in KFold(3, shuffle=True, random_state=seed).split(X):
    set_seed(seed)
    loaders = [DataLoader(TensorDataset(X[i], Y[i]), 16, shuffle=i is train) for i in (train, valid)]
    model = nn.Sequential(nn.Linear(6, 8), nn.ReLU(), nn.Dropout(0.1), nn.Linear(8, 2))
    opt = torch.optim.Adam(model.parameters(), 1e-2)
    for epoch in range(2):
        model.train()
        for x, y in loaders[0]:
            loss = nn.functional.cross_entropy(model(x + 0.1 * torch.randn_like(x)), y)
            opt.zero_grad()
            loss.backward()
            opt.step()
        model.eval()
        with torch.random.fork_rng(), torch.no_grad():
            torch.manual_seed(42)
            for x, y in loaders[1]:
                model(x + 0.1 * torch.randn_like(x))
