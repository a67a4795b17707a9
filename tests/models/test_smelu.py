"""SmeLU against its definition piece by piece, and its gradient against finite differences."""

import pytest
import torch
from torch import nn

from seedspread.config.errors import InputError
from seedspread.models.smelu import SmeLU


def by_definition(x, b):
    return torch.where(x <= -b, torch.zeros_like(x), torch.where(x >= b, x, (x + b) ** 2 / (4 * b)))


def slope(x, b):
    return ((x + b) / (2 * b)).clamp(0, 1)


@pytest.mark.parametrize("inplace", [False, True])
@pytest.mark.parametrize("b", [0.1, 0.5, 1.0, 3.0])
def test_values_and_slopes_are_those_of_the_definition(b, inplace):
    x = torch.linspace(-3 * b, 3 * b, 1201, dtype=torch.float64)  # -b, 0 and b among them
    x = torch.cat([x, torch.tensor([-1e30, -b * (1 - 1e-9), b * (1 + 1e-9), 1e30], dtype=torch.float64)])
    leaf = x.clone().requires_grad_()
    found = SmeLU(b, inplace)(leaf * 1.0)
    torch.testing.assert_close(found, by_definition(x, b), rtol=1e-12, atol=1e-15)
    weights = torch.randn(len(x), dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    (gradient,) = torch.autograd.grad(found, leaf, weights)
    torch.testing.assert_close(gradient, weights * slope(x, b), rtol=1e-7, atol=1e-9)
    assert (found.diff()[:1200] >= 0).all() and gradient[x <= -b].eq(0).all()


@pytest.mark.parametrize("b", [0.25, 1.0])
def test_the_gradient_is_that_of_finite_differences(b):
    x = torch.linspace(-2.03, 2.01, 60, dtype=torch.float64).reshape(3, 4, 5).requires_grad_()
    for inplace in (False, True):
        assert torch.autograd.gradcheck(lambda x, i=inplace: SmeLU(b, i)(x * 1.0), x)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
def test_lower_precisions_are_right_but_for_their_roundings(dtype):
    x = torch.randn(4, 8, 6, 6, generator=torch.Generator().manual_seed(0)).to(dtype)
    x = x.contiguous(memory_format=torch.channels_last)
    leaf = x.clone().requires_grad_()
    found = SmeLU()(leaf)
    assert found.dtype == dtype and found.is_contiguous(memory_format=torch.channels_last)
    eps = torch.finfo(dtype).eps
    torch.testing.assert_close(found.double(), by_definition(x.double(), 1.0), rtol=2 * eps, atol=eps**2)
    found.sum().backward()
    torch.testing.assert_close(leaf.grad.double(), slope(x.double(), 1.0), rtol=2 * eps, atol=eps)


def test_a_layer_before_and_one_behind_it_keep_nothing_more_for_it():
    """What training keeps: the activation's output is the tensor that the norm wrote and the convolution keeps."""

    def kept(*middle):
        found = {}
        layers = nn.Sequential(nn.BatchNorm2d(3), *middle, nn.Conv2d(3, 3, 3))
        with torch.autograd.graph.saved_tensors_hooks(
            lambda t: found.update({t.untyped_storage().data_ptr(): t.untyped_storage().nbytes()}) or t, lambda t: t
        ):
            output = layers(torch.randn(5, 3, 9, 9))
        return sum(found.values()), output

    assert kept(SmeLU(inplace=True))[0] == kept(nn.ReLU(inplace=True))[0] == kept()[0]


def test_without_inplace_the_input_stays():
    x = torch.randn(100)
    before = x.clone()
    assert not torch.equal(SmeLU()(x), x) and torch.equal(x, before)


@pytest.mark.parametrize("b", [0, -1.0, float("nan")])
def test_a_bend_without_width_is_refused(b):
    with pytest.raises(InputError, match=f"b={b}"):
        SmeLU(b)
