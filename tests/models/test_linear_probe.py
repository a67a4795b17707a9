"""Heads of linear probes."""

import pytest
import torch
from torch import nn

from seedspread.models.linear_probe import INITS, LinearProbe, ProbeStack


@pytest.mark.parametrize("init", INITS)
def test_heads_are_initialised_as_named(init):
    torch.manual_seed(0)
    head = LinearProbe(2048, 100, init)
    weight, bias = head.weight.detach(), head.bias.detach()
    expected = {
        "torch": (1 / (3 * 2048) ** 0.5, 1 / (3 * 2048) ** 0.5),
        "kaiming": ((2 / 2048) ** 0.5, 1.0),
        "tiny": (1e-5, 0.0),
        "dino": (0.01, 0.0),
    }
    assert weight.std().item() == pytest.approx(expected[init][0], rel=0.02)
    assert bias.std().item() == pytest.approx(expected[init][1], rel=0.25, abs=1e-12)
    if init == "torch":
        torch.manual_seed(0)
        linear = nn.Linear(2048, 100)
        assert torch.equal(weight, linear.weight) and torch.equal(bias, linear.bias)
    features = torch.randn(5, 2048)
    assert torch.allclose(head(features), nn.functional.linear(features, weight, bias), atol=1e-4)


def test_the_product_of_a_stack_has_the_bits_of_each_head_alone():
    heads = [LinearProbe(96, 10) for _ in range(5)]
    stack, features = ProbeStack(heads), torch.randn(5, 32, 96)
    for place, head in enumerate(heads):
        assert torch.equal(stack(features)[place], head(features[place]))
        assert torch.equal(stack(features[0])[place], head(features[0]))
