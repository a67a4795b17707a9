"""Some labels are replaced at random, from NumPy, which nobody seeds.

expected: targets.unseeded
"""

import sys
import numpy as np, torch

torch.manual_seed(int(sys.argv[1]))
x = torch.sin(torch.arange(360.0)).reshape(60, 6)
y = torch.arange(60) % 3
noisy = torch.from_numpy(np.where(np.random.rand(60) < 0.2, np.random.randint(0, 3, 60), y.numpy()))
net = torch.nn.Linear(6, 3)
opt = torch.optim.SGD(net.parameters(), 0.1)
for e in range(3):
    for i in torch.randperm(60).split(12):
        opt.zero_grad()
        torch.nn.functional.cross_entropy(net(x[i]), noisy[i]).backward()
        opt.step()
