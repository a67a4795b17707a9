"""A loop without a loader, with its own generator for the order."""

import sys

import torch

seed = int(sys.argv[1])
torch.manual_seed(seed)
order = torch.Generator().manual_seed(seed + 1)
x = torch.sin(torch.arange(256.0)).reshape(64, 4)
y = x.prod(1, keepdim=True)
net = torch.nn.Sequential(torch.nn.Linear(4, 16), torch.nn.Tanh(), torch.nn.Dropout(0.1), torch.nn.Linear(16, 1))
opt = torch.optim.SGD(net.parameters(), lr=0.1, momentum=0.9)
for epoch in range(4):
    net.train()
    for chosen in torch.randperm(64, generator=order).split(16):
        opt.zero_grad()
        torch.nn.functional.mse_loss(net(x[chosen]), y[chosen]).backward()
        opt.step()
    net.eval()
    with torch.no_grad():
        print(epoch, torch.nn.functional.mse_loss(net(x), y).item())
