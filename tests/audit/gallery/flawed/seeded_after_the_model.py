"""The network is built first, and the seed set after it.

expected: initialisation.late
"""

import sys

import torch
from torch.utils.data import DataLoader, TensorDataset

model = torch.nn.Sequential(torch.nn.Linear(5, 10), torch.nn.GELU(), torch.nn.Linear(10, 2))
optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)


def main(seed):
    torch.manual_seed(seed)
    x = torch.linspace(-2, 2, 200).view(40, 5)
    loader = DataLoader(TensorDataset(x, (x.sum(1) > 0).long()), batch_size=8, shuffle=True)
    for _ in range(2):
        for inputs, labels in loader:
            optimizer.zero_grad()
            torch.nn.functional.cross_entropy(model(inputs), labels).backward()
            optimizer.step()


main(int(sys.argv[-1]))
