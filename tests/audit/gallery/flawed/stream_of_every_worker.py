"""A stream that every worker reads from its start.

expected: order.workers
"""

import sys, torch
from torch.utils.data import IterableDataset, DataLoader


class Stream(IterableDataset):
    def __iter__(self):
        g = torch.Generator().manual_seed(torch.initial_seed() % 1000)
        for i in range(32):
            yield torch.full((4,), i / 32.0), i % 2


if __name__ == "__main__":
    torch.manual_seed(int(sys.argv[1]))
    m = torch.nn.Linear(4, 2)
    o = torch.optim.SGD(m.parameters(), 0.1)
    for e in range(2):
        for x, y in DataLoader(Stream(), batch_size=8, num_workers=2):
            o.zero_grad()
            torch.nn.functional.cross_entropy(m(x), y).backward()
            o.step()
