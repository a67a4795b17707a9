"""ResNet-9 as in Picard 2021 (arXiv 2109.08203) for CIFAR-10: 2,440,256 parameters at width 64."""

from collections.abc import Callable
from typing import Literal

from torch import Tensor, nn
from torch.nn import functional as F

from seedspread.config.errors import InputError
from seedspread.models.smelu import SmeLU

ACTIVATIONS: dict[str, Callable[[], nn.Module]] = {
    "celu": lambda: nn.CELU(alpha=0.1, inplace=True),
    "relu": lambda: nn.ReLU(inplace=True),
    "gelu": nn.GELU,
    "silu": lambda: nn.SiLU(inplace=True),
    "smelu": lambda: SmeLU(inplace=True),
}
MONOTONE = ("celu", "relu", "smelu")


class GlobalMaxPool(nn.Module):
    """The largest value of each channel, (n, c, h, w) to (n, c, 1, 1).

    Values and gradients of AdaptiveMaxPool2d(1), whose CUDA kernel is not deterministic.
    """

    def forward(self, x: Tensor) -> Tensor:
        return F.max_pool2d(x, x.shape[-2:])


POOLS: dict[str, tuple[Callable[..., nn.Module], Callable[..., nn.Module]]] = {
    "max": (nn.MaxPool2d, GlobalMaxPool),
    "avg": (nn.AvgPool2d, lambda: nn.AdaptiveAvgPool2d(1)),
}


class Residual(nn.Module):
    """x + body(x)."""

    def __init__(self, *body: nn.Module) -> None:
        super().__init__()
        self.body = nn.Sequential(*body)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.body(x)


class ResNet9(nn.Module):
    """Nine layers with weights: eight 3x3 convolutions and a linear head; images (n, channels, h, w) to logits.

    Local pools use ceil_mode, which changes nothing at 32x32 and allows pictures smaller than 16x16. The head's output
    is multiplied by `scale`, as in the paper's code. Raises InputError for values that are not listed.
    """

    def __init__(
        self,
        channels: int = 3,
        classes: int = 10,
        width: int = 64,
        activation: Literal["celu", "relu", "gelu", "silu", "smelu"] = "celu",
        pooling: Literal["max", "avg"] = "max",
        scale: float = 0.1,
    ) -> None:
        super().__init__()
        if not isinstance(width, int) or width < 1:
            raise InputError(f"model.width={width}: a whole number of at least 1, 64 in the paper")
        for key, value, known in (("activation", activation, ACTIVATIONS), ("pooling", pooling, POOLS)):
            if value not in known:
                raise InputError(f"model.{key}={value}: choose one of {', '.join(known)}")
        local_pool, global_pool = POOLS[pooling]

        def conv(inputs: int, outputs: int, pooled: bool = False) -> nn.Sequential:
            linear = [
                nn.Conv2d(inputs, outputs, kernel_size=3, padding=1, bias=False),
                nn.BatchNorm2d(outputs, eps=1e-5, momentum=0.1),
            ]
            act, pool = ACTIVATIONS[activation](), local_pool(2, ceil_mode=True)
            if not pooled:
                return nn.Sequential(*linear, act)
            # Max pooling commutes with a monotone activation: pooling first gives the same values with a quarter of
            # the exponentials, and 11-13 % less time per training step on a CPU.
            commute = pooling == "max" and activation in MONOTONE
            return nn.Sequential(*linear, *((pool, act) if commute else (act, pool)))

        self.features = nn.Sequential(
            conv(channels, width, pooled=True),
            conv(width, 2 * width, pooled=True),
            Residual(conv(2 * width, 2 * width), conv(2 * width, 2 * width)),
            conv(2 * width, 4 * width, pooled=True),
            conv(4 * width, 4 * width, pooled=True),
            Residual(conv(4 * width, 4 * width), conv(4 * width, 4 * width)),
            global_pool(),
            nn.Flatten(),
        )
        self.head = nn.Linear(4 * width, classes, bias=False)
        self.scale = scale

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.features(x)) * self.scale
