"""Batches at random places of a text, from a generator with a constant seed.

expected: order.fixed
"""

import sys, torch
from torch import nn

torch.manual_seed(int(sys.argv[1]))
gen = torch.Generator()
gen.manual_seed(1337)
text = torch.arange(2000) * 7 % 31


def get_batch(split):
    d = text[:1600] if split == "train" else text[1600:]
    ix = torch.randint(len(d) - 9, (8,), generator=gen)
    return torch.stack([d[i : i + 8] for i in ix]), torch.stack([d[i + 1 : i + 9] for i in ix])


class GPT(nn.Module):
    def __init__(s):
        super().__init__()
        s.e = nn.Embedding(31, 16)
        s.f = nn.Linear(16, 31)

    def forward(s, x, y=None):
        z = s.f(s.e(x))
        return z, None if y is None else nn.functional.cross_entropy(z.flatten(0, 1), y.flatten())


m = GPT()
o = torch.optim.AdamW(m.parameters(), 1e-2)


@torch.no_grad()
def estimate():
    m.eval()
    r = sum(m(*get_batch(s))[1] for s in ("train", "val") for _ in range(2))
    m.train()
    return r


for it in range(24):
    if it % 8 == 0:
        estimate()
    x, y = get_batch("train")
    _, l = m(x, y)
    o.zero_grad(set_to_none=True)
    l.backward()
    o.step()
