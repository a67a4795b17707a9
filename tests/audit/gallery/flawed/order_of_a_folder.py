"""Examples are taken in the order of os.listdir.

expected: environment.directories
"""

import os
import sys
import tempfile

import torch

seed = int(sys.argv[1])
torch.manual_seed(seed)
with tempfile.TemporaryDirectory() as folder:
    for i in range(24):
        with open(os.path.join(folder, f"{i}.txt"), "w") as file:
            file.write(f"{i} {i % 2}")
    rows = []
    for name in os.listdir(folder):
        with open(os.path.join(folder, name)) as file:
            rows.append([float(v) for v in file.read().split()])
table = torch.tensor(rows)
dataset = torch.utils.data.TensorDataset(table[:, :1] / 24, table[:, 1].long())
model = torch.nn.Sequential(torch.nn.Linear(1, 8), torch.nn.ReLU(), torch.nn.Linear(8, 2))
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
for epoch in range(3):
    for x, y in torch.utils.data.DataLoader(dataset, batch_size=6, shuffle=True):
        optimizer.zero_grad()
        torch.nn.functional.cross_entropy(model(x), y).backward()
        optimizer.step()
