"""The linear head of a probe, and a stack of such heads, one for each seed."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Literal

import torch
from torch import Tensor, nn

from seedspread.config.errors import InputError


def _init_torch(weight: Tensor, bias: Tensor) -> None:
    bound = weight.shape[1] ** -0.5
    nn.init.uniform_(weight, -bound, bound)
    nn.init.uniform_(bias, -bound, bound)


def _init_kaiming(weight: Tensor, bias: Tensor) -> None:
    nn.init.kaiming_uniform_(weight)
    nn.init.normal_(bias)


def _init_normal(weight: Tensor, bias: Tensor, std: float) -> None:
    nn.init.normal_(weight, std=std)
    nn.init.zeros_(bias)


INITS: dict[str, Callable[[Tensor, Tensor], None]] = {
    "torch": _init_torch,  # torch.nn.Linear's own
    "kaiming": _init_kaiming,  # Picard 2021, released recipe, ResNet50
    "tiny": partial(_init_normal, std=1e-5),  # the same, ViT
    "dino": partial(_init_normal, std=0.01),  # Caron et al. 2021, linear evaluation
}


class LinearProbe(nn.Module):
    """Features (n, features) to logits (n, classes), by the same matrix product as a stack of one.

    Raises InputError for an unknown `init`.
    """

    def __init__(
        self, features: int | None, classes: int, init: Literal["torch", "kaiming", "tiny", "dino"] = "torch"
    ) -> None:
        super().__init__()
        if features is None:
            raise InputError(
                "model=linear_probe needs the features of a frozen backbone; choose data=features and a backbone"
            )
        if init not in INITS:
            raise InputError(f"model.init={init}: choose one of {', '.join(INITS)}")
        self.weight = nn.Parameter(torch.empty(classes, features))
        self.bias = nn.Parameter(torch.empty(classes))
        with torch.no_grad():
            INITS[init](self.weight, self.bias)

    def forward(self, features: Tensor) -> Tensor:
        return _logits(features[None], self.weight[None], self.bias[None])[0]


class ProbeStack(nn.Module):
    """Stacked heads: features (heads, n, features), or (n, features) for all, to logits (heads, n, classes).

    An elementwise optimizer updates each head as if it were alone.
    """

    def __init__(self, heads: Sequence[LinearProbe]) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.stack([head.weight.detach() for head in heads]))
        self.bias = nn.Parameter(torch.stack([head.bias.detach() for head in heads]))

    def forward(self, features: Tensor) -> Tensor:
        return _logits(features.expand(len(self.weight), -1, -1), self.weight, self.bias)

    @torch.no_grad()
    def copy_to(self, head: LinearProbe, i: int) -> None:
        """Copy the weights of head `i` of the stack into `head`."""
        head.weight.copy_(self.weight[i])
        head.bias.copy_(self.bias[i])


def _logits(features: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    return torch.baddbmm(bias[:, None], features, weight.transpose(1, 2))
