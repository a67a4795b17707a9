"""A shuffle buffer draws from a generator that each worker makes from its number.

expected: order.fixed
"""

import random, sys
import torch
from torch.utils.data import DataLoader, IterableDataset, get_worker_info


class Stream(IterableDataset):
    def __init__(self, n=64, buf=16):
        self.n, self.buf, self.epoch = n, buf, 0

    def __iter__(self):
        info = get_worker_info()
        w, k = (info.id, info.num_workers) if info else (0, 1)
        rng = random.Random(100 * self.epoch + w)
        self.epoch += 1
        buf = []
        for i in range(w, self.n, k):
            buf.append(i)
            if len(buf) == self.buf:
                yield self.make(buf.pop(rng.randrange(len(buf))))
        rng.shuffle(buf)
        yield from map(self.make, buf)

    def make(self, i):
        return torch.tensor([i / 64, (i * 5 % 64) / 64]), i % 2


if __name__ == "__main__":
    torch.manual_seed(int(sys.argv[1]))
    net = torch.nn.Linear(2, 2)
    opt = torch.optim.SGD(net.parameters(), 0.1)
    for e in range(3):
        for x, y in DataLoader(Stream(), 8, num_workers=2):
            opt.zero_grad()
            torch.nn.functional.cross_entropy(net(x), y).backward()
            opt.step()
