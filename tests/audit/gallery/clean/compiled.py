"""torch.compile, with a backend that needs no compiler."""

import sys

import torch

torch.manual_seed(int(sys.argv[1]))
net = torch.nn.Sequential(torch.nn.Linear(6, 12), torch.nn.ReLU(), torch.nn.Linear(12, 3))
fast = torch.compile(net, backend="aot_eager")
opt = torch.optim.SGD(net.parameters(), lr=0.1)
x, y = torch.cos(torch.arange(288.0)).reshape(48, 6), torch.arange(48) % 3
for epoch in range(2):
    for chosen in torch.randperm(48).split(12):
        opt.zero_grad()
        torch.nn.functional.cross_entropy(fast(x[chosen]), y[chosen]).backward()
        opt.step()
