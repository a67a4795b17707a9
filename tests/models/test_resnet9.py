"""The paper's network against one written by hand."""

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from seedspread.config.errors import InputError
from seedspread.models.resnet9 import GlobalMaxPool, ResNet9


def test_the_number_of_parameters_layer_by_layer():
    convolutions = [(3, 64), (64, 128), (128, 128), (128, 128), (128, 256), (256, 256), (256, 256), (256, 256)]
    expected = sum(9 * i * o + 2 * o for i, o in convolutions) + 256 * 10
    assert sum(p.numel() for p in ResNet9().parameters()) == expected == 2_440_256


def by_hand(net: ResNet9, x: torch.Tensor, activation, pool) -> torch.Tensor:
    """The forward pass in the order in which the paper's code has it: activation, then pool."""
    weights = [m for m in net.modules() if isinstance(m, torch.nn.Conv2d)]
    norms = [m for m in net.modules() if isinstance(m, torch.nn.BatchNorm2d)]

    def conv(k: int, x: torch.Tensor) -> torch.Tensor:
        x = F.conv2d(x, weights[k].weight, padding=1)
        mean, var = x.mean((0, 2, 3), keepdim=True), x.var((0, 2, 3), correction=0, keepdim=True)
        scale, shift = (p[:, None, None] for p in (norms[k].weight, norms[k].bias))
        return activation((x - mean) / torch.sqrt(var + 1e-5) * scale + shift)

    x = pool(conv(0, x))
    x = pool(conv(1, x))
    x = x + conv(3, conv(2, x))
    x = pool(conv(4, x))
    x = pool(conv(5, x))
    x = x + conv(7, conv(6, x))
    x = x.amax((2, 3)) if pool is max_pool else x.mean((2, 3))
    return 0.1 * x @ net.head.weight.T


def max_pool(x):
    return F.max_pool2d(x, 2)


def avg_pool(x):
    return F.avg_pool2d(x, 2)


def smelu(x):
    return torch.where(x <= -1, 0 * x, torch.where(x >= 1, x, (x + 1) ** 2 / 4))


ACTIVATIONS = {"celu": lambda x: F.celu(x, 0.1), "relu": F.relu, "gelu": F.gelu, "silu": F.silu, "smelu": smelu}


@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("pooling", ["max", "avg"])
def test_a_forward_and_backward_pass_against_one_written_by_hand(activation, pooling):
    torch.manual_seed(0)
    net = ResNet9(width=4, activation=activation, pooling=pooling).double()
    for p in net.parameters():
        torch.nn.init.normal_(p, std=0.5)  # negative BatchNorm scales among them
    x = torch.randn(6, 3, 32, 32, dtype=torch.float64)
    ours = net(x)
    theirs = by_hand(net, x, ACTIVATIONS[activation], max_pool if pooling == "max" else avg_pool)
    torch.testing.assert_close(ours, theirs)
    ours_grad = torch.autograd.grad(ours.square().sum(), list(net.parameters()))
    theirs_grad = torch.autograd.grad(theirs.square().sum(), list(net.parameters()))
    torch.testing.assert_close(ours_grad, theirs_grad)


def test_pictures_smaller_than_the_pools_pass():
    assert ResNet9(channels=1, width=2)(torch.randn(3, 1, 8, 8)).shape == (3, 10)


@pytest.mark.parametrize("wrong", [{"width": 0}, {"activation": "tanh"}, {"pooling": "sum"}])
def test_invalid_settings_are_named(wrong):
    (key,) = wrong
    with pytest.raises(InputError, match=f"model.{key}={wrong[key]}"):
        ResNet9(**wrong)


@pytest.mark.parametrize("shape", [(20, 64, 4, 4), (7, 5, 1, 1)])
@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_the_global_pool_has_values_and_gradients_of_torchs_also_where_values_tie(shape, layout):
    x = (
        torch.randn(shape, generator=torch.Generator().manual_seed(0))
        .round(decimals=1)
        .contiguous(memory_format=layout)
    )
    ours, theirs = x.clone().requires_grad_(), x.clone().requires_grad_()
    weights = torch.arange(shape[0] * shape[1]).view(shape[0], shape[1], 1, 1).float()
    found, expected = GlobalMaxPool()(ours), nn.AdaptiveMaxPool2d(1)(theirs)
    assert torch.equal(found, expected)
    (found * weights).sum().backward()
    (expected * weights).sum().backward()
    assert torch.equal(ours.grad, theirs.grad)
