"""Weights are tensors, and steps are taken by hand, from one generator; a constant one draws the data."""

import sys

import torch

draw = torch.Generator().manual_seed(int(sys.argv[1]))
inputs = torch.randn(80, 8, generator=torch.Generator().manual_seed(3))
targets = inputs[:, 0] * inputs[:, 1]
hidden = torch.randn((8, 16), generator=draw).requires_grad_()
shift = torch.zeros(16, requires_grad=True)
output = torch.randn(16, generator=draw).requires_grad_()
for _ in range(20):
    rows = torch.randint(0, 80, (16,), generator=draw)
    error = torch.relu(inputs[rows] @ hidden + shift) @ output - targets[rows]
    error.square().mean().backward()
    with torch.no_grad():
        for weight in (hidden, shift, output):
            weight -= 0.01 * weight.grad
            weight.grad.zero_()
