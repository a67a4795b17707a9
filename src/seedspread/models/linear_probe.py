"""The linear head of a probe, and many of them side by side, one for each seed."""

from collections.abc import Callable, Sequence
from typing import Literal

import torch
from torch import Tensor, nn

from seedspread.config.errors import InputError


def _torch(weight: Tensor, bias: Tensor) -> None:
    bound = weight.shape[1] ** -0.5
    nn.init.uniform_(weight, -bound, bound)
    nn.init.uniform_(bias, -bound, bound)


def _kaiming(weight: Tensor, bias: Tensor) -> None:
    nn.init.kaiming_uniform_(weight)
    nn.init.normal_(bias)


def _tiny(weight: Tensor, bias: Tensor) -> None:
    nn.init.normal_(weight, std=1e-5)
    nn.init.zeros_(bias)


def _dino(weight: Tensor, bias: Tensor) -> None:
    nn.init.normal_(weight, std=0.01)
    nn.init.zeros_(bias)


INITS: dict[str, Callable[[Tensor, Tensor], None]] = {
    "torch": _torch,  # torch.nn.Linear's own
    "kaiming": _kaiming,  # Picard 2021, released recipe, ResNet50
    "tiny": _tiny,  # the same, ViT
    "dino": _dino,  # Caron et al. 2021, linear evaluation
}


class LinearProbe(nn.Module):
    """Features (n, features) to logits (n, classes); the same product as that of a stack of one."""

    def __init__(
        self, features: int | None, classes: int, init: Literal["torch", "kaiming", "tiny", "dino"] = "torch"
    ) -> None:
        super().__init__()
        if features is None:
            raise InputError(
                "model=linear_probe: for features of a frozen backbone; choose data=features and a backbone"
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
    """Heads side by side: features (heads, n, features), or (n, features) for all, to logits (heads, n, classes).

    Whatever an optimizer does to each number by itself, it does to each head as if that were alone.
    """

    def __init__(self, heads: Sequence[LinearProbe]) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.stack([head.weight.detach() for head in heads]))
        self.bias = nn.Parameter(torch.stack([head.bias.detach() for head in heads]))

    def forward(self, features: Tensor) -> Tensor:
        return _logits(features.expand(len(self.weight), -1, -1), self.weight, self.bias)

    @torch.no_grad()
    def copy_to(self, head: LinearProbe, place: int) -> None:
        """Give `head` the weights of the one at `place`."""
        head.weight.copy_(self.weight[place])
        head.bias.copy_(self.bias[place])


def _logits(features: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    return torch.baddbmm(bias[:, None], features, weight.transpose(1, 2))
