"""The learning rate falls with the seconds that are over.

expected: environment.time
"""

import sys, time, torch

torch.manual_seed(int(sys.argv[1]))
x = torch.sin(torch.arange(256.0)).reshape(64, 4)
y = x.sum(1, keepdim=True)
net = torch.nn.Linear(4, 1)
opt = torch.optim.SGD(net.parameters(), 0.1)
t0 = time.time()
while time.time() - t0 < 0.2:
    i = torch.randperm(64)[:16]
    for g in opt.param_groups:
        g["lr"] = 0.1 * (1 - min(0.99, (time.time() - t0) / 0.2))
    opt.zero_grad()
    ((net(x[i]) - y[i]) ** 2).mean().backward()
    opt.step()
    time.sleep(0.01)
