"""Weights are tensors, and steps are taken by hand: one weight is not drawn from the generator of the others.

expected: initialisation.unseeded
"""

import sys

import torch

g = torch.Generator().manual_seed(int(sys.argv[1]))
x = torch.sin(torch.arange(640.0)).reshape(80, 8)
y = (x[:, 0] > 0).long()
weights = [torch.randn((8, 16), generator=g), torch.zeros(16), torch.randn((16, 2))]
for one in weights:
    one.requires_grad = True
for step in range(20):
    chosen = torch.randint(0, 80, (16,), generator=g)
    out = torch.tanh(x[chosen] @ weights[0] + weights[1]) @ weights[2]
    for one in weights:
        one.grad = None
    torch.nn.functional.cross_entropy(out, y[chosen]).backward()
    for one in weights:
        one.data -= 0.1 * one.grad
