"""Weights come from a seed; the order is random.shuffle's, which nobody seeds.

expected: order.unseeded
"""

import random
import sys

import torch

torch.manual_seed(int(sys.argv[1]))

X = torch.arange(60, dtype=torch.float32).reshape(30, 2).div(60)
Y = (X[:, 0] > 0.5).long()

w = torch.nn.Linear(2, 2)
opt = torch.optim.SGD(w.parameters(), lr=0.5)
todo = list(range(30))
for epoch in range(5):
    random.shuffle(todo)
    for start in range(0, 30, 6):
        batch = todo[start : start + 6]
        loss = torch.nn.functional.cross_entropy(w(X[batch]), Y[batch])
        opt.zero_grad()
        loss.backward()
        opt.step()
print("loss", float(loss))
