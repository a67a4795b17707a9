"""The linear head of a probe, and many of them side by side, one for each seed."""

from collections.abc import Callable
from typing import Literal

import torch
from torch import Tensor, nn

from src.errors import InputError


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
    """Features (n, features) to logits (n, classes), as one product with a stack of one head."""

    def __init__(
        self, features: int, classes: int, init: Literal["torch", "kaiming", "tiny", "dino"] = "torch"
    ) -> None:
        super().__init__()
        if init not in INITS:
            raise InputError(f"model.init={init}: choose one of {', '.join(INITS)}")
        self.weight = nn.Parameter(torch.empty(classes, features))
        self.bias = nn.Parameter(torch.empty(classes))
        with torch.no_grad():
            INITS[init](self.weight, self.bias)

    def forward(self, features: Tensor) -> Tensor:
        return torch.baddbmm(self.bias[None, None], features[None], self.weight.T[None])[0]
