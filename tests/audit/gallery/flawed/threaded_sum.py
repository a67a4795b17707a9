"""Threads add their parts to one sum in the order in which they end.

expected: kernels.nondeterministic
"""

import sys
import threading
import time

import torch


class ThreadedMean(torch.nn.Module):
    def __init__(self, parts=8):
        super().__init__()
        self.parts = parts
        self.scale = torch.nn.Parameter(torch.ones(()))

    def forward(self, x):
        total, lock = [torch.zeros(x.shape[0])], threading.Lock()

        def add(part):
            value = part.exp().sum(1)
            time.sleep((time.perf_counter_ns() // 100 % 97) / 2e4)  # work of an uneven length
            with lock:
                total[0] = total[0] + value

        threads = [threading.Thread(target=add, args=(part,)) for part in x.chunk(self.parts, dim=1)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return self.scale * total[0] / x.shape[1]


class Net(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.body = torch.nn.Linear(12, 64)
        self.pool = ThreadedMean()

    def forward(self, x):
        return self.pool(self.body(x))


torch.manual_seed(int(sys.argv[1]))
net = Net()
opt = torch.optim.SGD(net.parameters(), lr=0.01)
x = torch.randn(64, 12, generator=torch.Generator().manual_seed(1))
for step in range(12):
    chosen = torch.randperm(64)[:16]
    opt.zero_grad()
    (net(x[chosen]) - 1).pow(2).mean().backward()
    opt.step()
