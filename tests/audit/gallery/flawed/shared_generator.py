"""One torch.Generator orders the training set and draws the validation's crops.

expected: evaluation.shared
"""

import sys

import torch
from torch.utils.data import DataLoader, TensorDataset

seed = int(sys.argv[1])
torch.manual_seed(seed)
g = torch.Generator()
g.manual_seed(seed)

x = torch.sin(torch.arange(512.0)).reshape(64, 8)
y = (x.sum(1) > 0).float()
train = DataLoader(TensorDataset(x[:48], y[:48]), batch_size=12, shuffle=True, generator=g)
valid = DataLoader(TensorDataset(x[48:], y[48:]), batch_size=8, shuffle=True, generator=g)
net = torch.nn.Sequential(torch.nn.Linear(8, 8), torch.nn.ReLU(), torch.nn.Linear(8, 1))
opt = torch.optim.SGD(net.parameters(), 0.1)


def run(loader, training):
    net.train(training)
    for a, b in loader:
        with torch.set_grad_enabled(training):
            loss = torch.nn.functional.binary_cross_entropy_with_logits(net(a).flatten(), b)
        if training:
            opt.zero_grad()
            loss.backward()
            opt.step()


for epoch in range(3):
    run(train, True)
    run(valid, False)
