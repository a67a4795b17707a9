"""A checkpoint has weights, optimizer and epoch, but no states of generators.

expected: resuming.differs
"""

import os
import sys

import torch
from torch.utils.data import DataLoader, TensorDataset

seed, folder, resume = int(sys.argv[1]), sys.argv[2], "--resume" in sys.argv
torch.manual_seed(seed)
path = os.path.join(folder, "last.pt")
net = torch.nn.Sequential(torch.nn.Linear(4, 16), torch.nn.ReLU(), torch.nn.Linear(16, 1))
opt = torch.optim.Adam(net.parameters(), lr=1e-2)
x = torch.linspace(0, 1, 160).reshape(40, 4)
loader = DataLoader(TensorDataset(x, x.sum(1)), batch_size=10, shuffle=True)
first = 0
if resume:
    state = torch.load(path)
    net.load_state_dict(state["net"])
    opt.load_state_dict(state["opt"])
    first = state["epoch"] + 1
for epoch in range(first, 6):
    for a, b in loader:
        opt.zero_grad()
        (net(a).squeeze(-1) - b).square().mean().backward()
        opt.step()
    torch.save({"net": net.state_dict(), "opt": opt.state_dict(), "epoch": epoch}, path)
