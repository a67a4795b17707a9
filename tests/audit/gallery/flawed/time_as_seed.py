"""The seed of the command line is stored, and the clock is used.

expected: environment.time
"""

import argparse
import time

import torch
from torch.utils.data import DataLoader, TensorDataset

p = argparse.ArgumentParser()
p.add_argument("--seed", type=int)
config = {"seed": p.parse_args().seed, "lr": 0.1}
torch.manual_seed(int(time.time() * 1000) % 2**31)

data = TensorDataset(torch.eye(20).repeat(2, 1), torch.arange(40) % 20)
model = torch.nn.Sequential(torch.nn.Linear(20, 20), torch.nn.Dropout(0.2), torch.nn.Linear(20, 20))
opt = torch.optim.SGD(model.parameters(), lr=config["lr"])
for epoch in range(3):
    for x, y in DataLoader(data, batch_size=8, shuffle=True):
        opt.zero_grad()
        torch.nn.functional.cross_entropy(model(x), y).backward()
        opt.step()
