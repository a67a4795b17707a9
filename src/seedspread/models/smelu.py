"""SmeLU, the smooth ReLU of Shamir et al. 2020 (arXiv 2010.09931, section 3)."""

from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from seedspread.config.errors import InputError


class SmeLU(nn.Module):
    """0 for x <= -b, (x + b)² / (4b) between -b and b, x above: a ReLU whose slope rises linearly from 0 to 1.

    Any shape; `b` is half the width of the bend, in units of the input. With `inplace` it writes over its input, and
    training needs no memory for it. Raises InputError unless `b` is above 0.
    """

    # Behind a BatchNorm an input has a std of about 1, so that b = 1 bends two thirds of them. The paper chooses b for
    # each model, by churn and accuracy.
    def __init__(self, b: float = 1.0, inplace: bool = False) -> None:
        super().__init__()
        if not b > 0:
            raise InputError(f"SmeLU: b={b}, half the width of the bend; a number above 0, or a ReLU in its place")
        self.b, self.inplace = b, inplace

    def forward(self, x: Tensor) -> Tensor:
        return _Bend.apply(x if self.inplace else x.clone(), self.b)


class _Bend(torch.autograd.Function):
    """SmeLU in place. It keeps its output alone, which the next layer keeps as well."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, b: float) -> Tensor:
        # The smooth L1 loss of max(x, -b) and -b with beta = 2b: z² / (4b) below z = x + b = 2b, z - b = x above. All
        # in one pass, where written out it takes five.
        x.clamp_(min=-b)
        torch.ops.aten.smooth_l1_loss.out(x, x.new_full((), -b), 0, 2 * b, out=x)
        ctx.b = b
        ctx.mark_dirty(x)
        ctx.save_for_backward(x)
        return x

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        (y,) = ctx.saved_tensors
        # The slope is (x + b) / (2b), which is sqrt(y / b), up to y = b.
        return y.div(ctx.b).clamp_(max=1).sqrt_().mul_(gradient), None
