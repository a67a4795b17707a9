"""A patient goes to training or to testing by hash() of the name.

expected: environment.hash
"""

import sys

import numpy as np
import torch

seed = int(sys.argv[1])
np.random.seed(seed)
torch.manual_seed(seed)

patients = ["patient-%d" % i for i in range(60)]
train = [i for i, name in enumerate(patients) if hash(name) % 5 != 0]
values = torch.tensor([[i / 60.0, (i * 7 % 60) / 60.0] for i in train])
target = values.sum(1, keepdim=True)

model = torch.nn.Linear(2, 1)
opt = torch.optim.Adam(model.parameters(), lr=0.01)
for epoch in range(4):
    for batch in np.array_split(np.random.permutation(len(train)), 4):
        opt.zero_grad()
        torch.nn.functional.mse_loss(model(values[batch]), target[batch]).backward()
        opt.step()
