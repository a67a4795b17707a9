"""Training and validation are parts of one data set, with its random transform; workers make the examples.

expected: evaluation.altered
"""

import sys

import torch
from torch.utils.data import DataLoader, Dataset, Subset


class Noisy(Dataset):
    def __init__(self):
        self.x = torch.sin(torch.arange(512.0)).reshape(64, 8)
        self.y = (self.x.sum(1) > 0).float()

    def __len__(self):
        return 64

    def __getitem__(self, i):
        return self.x[i] + 0.1 * torch.randn(8), self.y[i]


torch.manual_seed(int(sys.argv[1]))
data = Noisy()
train = DataLoader(Subset(data, range(48)), batch_size=12, shuffle=True, num_workers=1)
valid = DataLoader(Subset(data, range(48, 64)), batch_size=8, num_workers=1)
net = torch.nn.Sequential(torch.nn.Linear(8, 8), torch.nn.ReLU(), torch.nn.Linear(8, 1))
opt = torch.optim.SGD(net.parameters(), 0.1)
for epoch in range(2):
    net.train()
    for x, y in train:
        loss = torch.nn.functional.binary_cross_entropy_with_logits(net(x).flatten(), y)
        opt.zero_grad()
        loss.backward()
        opt.step()
    net.eval()
    with torch.no_grad():
        print(epoch, sum(((net(x).flatten() > 0) == y).sum().item() for x, y in valid))
