"""A loader made anew each epoch flips batches with a generator that has one seed.

expected: augmentation.fixed
"""

import sys, torch


class Loader:
    def __init__(self, x, y, bs, seed):
        self.x, self.y, self.bs = x, y, bs
        self.order = torch.Generator().manual_seed(seed)
        self.aug = torch.Generator().manual_seed(0)

    def __iter__(self):
        for i in torch.randperm(len(self.x), generator=self.order).split(self.bs):
            x = self.x[i]
            flip = torch.rand(len(i), 1, 1, generator=self.aug) < 0.5
            yield torch.where(flip, x.flip(-1), x), self.y[i]


seed = int(sys.argv[1])
torch.manual_seed(seed)
x = torch.sin(torch.arange(64 * 36.0)).reshape(64, 6, 6)
y = torch.arange(64) % 2
net = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(36, 2))
opt = torch.optim.SGD(net.parameters(), 0.1)
for e in range(4):
    for a, b in Loader(x, y, 16, seed * 100 + e):
        opt.zero_grad()
        torch.nn.functional.cross_entropy(net(a), b).backward()
        opt.step()
