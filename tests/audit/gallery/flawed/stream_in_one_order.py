"""A shuffle buffer makes its generator from the seed as each epoch begins.

expected: order.epochs
likely: stream_in_one_order.py:24 calls numpy.random.default_rng with 0
"""

import argparse

import numpy as np
import torch
from torch.utils.data import DataLoader, IterableDataset, get_worker_info


class Shards(IterableDataset):
    def __init__(self, n, seed, buf=16):
        self.n, self.seed, self.buf = n, seed, buf

    def read(self):
        info = get_worker_info()
        for i in range(info.id, self.n, info.num_workers):
            yield np.cos(np.arange(8) * (i + 1)).astype(np.float32), np.float32(i % 2)

    def __iter__(self):
        rng = np.random.default_rng(self.seed)
        buf = []
        for example in self.read():
            if len(buf) < self.buf:
                buf.append(example)
                continue
            j = rng.integers(len(buf))
            yield buf[j]
            buf[j] = example
        rng.shuffle(buf)
        yield from buf


p = argparse.ArgumentParser()
p.add_argument("--seed", type=int)
args = p.parse_args()
torch.manual_seed(args.seed)
model = torch.nn.Linear(8, 1)
opt = torch.optim.SGD(model.parameters(), lr=0.1)
ds = Shards(96, args.seed)
for epoch in range(3):
    for x, y in DataLoader(ds, 8, num_workers=2):
        loss = torch.nn.functional.binary_cross_entropy_with_logits(model(x).squeeze(1), y)
        opt.zero_grad()
        loss.backward()
        opt.step()
