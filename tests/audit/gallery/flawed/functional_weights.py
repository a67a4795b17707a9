"""Gradients by torch.func, no module: the weights are drawn from a generator with a seed of its own.

expected: initialisation.fixed
likely: functional_weights.py:22 seeds generator with 1234
"""

import sys

import torch
from torch.func import grad


def loss_of(weights, x, y):
    first, second = weights
    return ((torch.tanh(x @ first) @ second - y) ** 2).mean()


torch.manual_seed(int(sys.argv[1]))
x = torch.linspace(-1, 1, 96).reshape(48, 2)
y = torch.sin(3 * x[:, :1])
rng = torch.Generator()
rng.manual_seed(1234)
weights = [torch.randn(2, 16, generator=rng), torch.randn(16, 1, generator=rng)]
opt = torch.optim.Adam(weights, 1e-2)
for epoch in range(4):
    for chosen in torch.randperm(48).split(12):
        noise = 0.01 * torch.randn(len(chosen), 2)
        for one, gradient in zip(weights, grad(loss_of)(weights, x[chosen] + noise, y[chosen])):
            one.grad = gradient
        opt.step()
