"""Two ranks train on halves of the data, each seeded with the same number: the same dropout in both.

expected: dropout.ranks
"""

import os
import sys
import tempfile

import torch
import torch.distributed as dist
import torch.multiprocessing as mp


def work(rank, world, seed, place):
    dist.init_process_group("gloo", init_method=f"file://{place}", rank=rank, world_size=world)
    torch.manual_seed(seed)
    torch.set_num_threads(1)
    model = torch.nn.Sequential(torch.nn.Linear(8, 32), torch.nn.Dropout(0.5), torch.nn.Linear(32, 1))
    opt = torch.optim.SGD(model.parameters(), lr=0.05)
    x = torch.cos(torch.arange(320.0)).reshape(40, 8)
    mine = x[rank::world]
    for step in range(8):
        batch = mine[(step * 4) % 20 : (step * 4) % 20 + 4]
        opt.zero_grad()
        model(batch).mean().backward()
        for p in model.parameters():
            dist.all_reduce(p.grad)
            p.grad /= world
        opt.step()
    dist.destroy_process_group()


if __name__ == "__main__":
    place = os.path.join(tempfile.mkdtemp(), "meet")
    mp.start_processes(work, args=(2, int(sys.argv[1]), place), nprocs=2, start_method="fork")
