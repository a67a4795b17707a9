"""Frozen pretrained networks that turn pictures into features.

The pretrained head is removed and its weights are dropped by name; all other weights have to fit exactly.
"""

import difflib
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import timm
import torch
import torchvision
from timm.models import get_pretrained_cfg
from torch import Tensor, nn

from seedspread.config.errors import InputError
from seedspread.models.pretrained_weights import (
    download_from_hub,
    download_weights,
    file_sha256,
    load_strictly,
    read_weights,
)

LIBRARIES = ("timm", "torchvision")
INTERPOLATIONS = ("bilinear", "bicubic")


@dataclass(frozen=True)
class Transform:
    """A network's input transform: short side to `resize`, centre crop `size` x `size`, normalised by mean and std.

    Raises InputError for sizes or an interpolation that are not possible.
    """

    size: int
    resize: int
    interpolation: str
    mean: tuple[float, ...]
    std: tuple[float, ...]

    def __post_init__(self) -> None:
        if not 1 <= self.size <= self.resize:
            raise InputError(f"backbone.size={self.size}, backbone.resize={self.resize}: pixels, 1 <= size <= resize")
        if self.interpolation not in INTERPOLATIONS:
            raise InputError(f"backbone.interpolation={self.interpolation}: choose {' or '.join(INTERPOLATIONS)}")


@dataclass(frozen=True)
class Backbone:
    """A pretrained network: its architecture, weights, features and input transform.

    - `library`: timm or torchvision builds `name`.
    - `checkpoint`: a local file of weights. Without it the file at `url`, or the one that the library names, is
      downloaded once and checked against the SHA-256 that its name ends with, if any.
    - `blocks`: 1 for the input of the head (pooled features, a ViT's class token); n > 1 for the class tokens of a
      ViT's last n blocks after its final norm, concatenated (Caron et al. 2021, DINO, linear evaluation).
    - `size`, `resize`, `interpolation`, `mean`, `std`: the transform; the library's own where None.
    - `precision` of the forward pass: bf16-mixed or 32-true.

    Raises InputError for names that do not exist, with the nearest ones.
    """

    name: str
    library: str
    checkpoint: str | None = None
    url: str | None = None
    blocks: int = 1
    size: int | None = None
    resize: int | None = None
    interpolation: str | None = None
    mean: tuple[float, ...] | None = None
    std: tuple[float, ...] | None = None
    precision: str | int = "32-true"

    def __post_init__(self) -> None:
        for key in ("mean", "std"):  # Hydra's lists are not hashable
            value = getattr(self, key)
            object.__setattr__(self, key, None if value is None else tuple(value))
        if self.library not in LIBRARIES:
            raise InputError(f"backbone.library={self.library}: choose {' or '.join(LIBRARIES)}")
        if not isinstance(self.blocks, int) or self.blocks < 1:
            raise InputError(f"backbone.blocks={self.blocks}: at least 1")
        if self.precision not in ("bf16-mixed", "32-true"):
            raise InputError(f"backbone.precision={self.precision}: choose auto, bf16-mixed or 32-true")
        known = timm.list_models() if self.library == "timm" else torchvision.models.list_models(torchvision.models)
        architecture, _, tag = str(self.name).partition(".")
        if architecture not in known or (tag and f".{tag}" not in _tags(architecture, self.library)):
            near = difflib.get_close_matches(str(self.name), known, n=4)
            if architecture in known:
                near = [architecture + tag for tag in _tags(architecture, self.library)]
            hint = f"did you mean {', '.join(near)}?" if near else f"{self.library}.list_models() lists them"
            raise InputError(f"backbone.name={self.name}: {self.library} has no such network; {hint}")

    @cached_property  # timm copies its whole config each time, which takes as long as a small crop
    def transform(self) -> Transform:
        """The transform, from the library where it is not set; InputError where the library does not have it either."""
        known = _published_settings(self.name, self.library, self.size)
        found: dict[str, Any] = {key: getattr(self, key) or known.get(key) for key in Transform.__dataclass_fields__}
        if missing := [key for key, value in found.items() if value is None]:
            raise InputError(f"backbone.{missing[0]} is not set, and {self.library} has none for {self.name}")
        return Transform(**found)

    def weights_file(self) -> Path:
        """The file of weights, downloaded if needed; InputError where there is none."""
        if self.checkpoint is not None:
            path = Path(self.checkpoint).expanduser()
            if not path.is_file():
                raise InputError(f"backbone.checkpoint={self.checkpoint}: no such file")
            return path
        known = _published_settings(self.name, self.library, self.size)
        url = self.url or known.get("url")
        if not url and not known.get("hub"):
            raise InputError(f"backbone.name={self.name}: {self.library} has no weights; set backbone.checkpoint=PATH")
        try:
            return download_weights(url) if url else download_from_hub(known["hub"])
        except InputError:
            raise
        except Exception as error:  # each library has its own for a missing network connection
            raise InputError(
                f"the weights of {self.name} could not be downloaded from {url or known['hub']} "
                f"({type(error).__name__}); download them elsewhere and set backbone.checkpoint=PATH"
            ) from error

    def weights_sha256(self) -> str:
        """SHA-256 of the weights file."""
        path = self.weights_file().resolve()
        return file_sha256(path, path.stat().st_size, path.stat().st_mtime_ns)

    def load(self) -> nn.Module:
        """The network with its weights: images (n, 3, h, w) to features (n, d); in eval mode, without gradients."""
        path = self.weights_file()
        weights = read_weights(path)
        network, head = self._build()
        for name in [name for name in weights if name.startswith(tuple(f"{part}." for part in head))]:
            del weights[name]
        load_strictly(network, weights, path, self.name)
        if self.blocks > 1:
            network = ClassTokens(network, self.blocks, self.name)
        return network.eval().requires_grad_(False)

    def _build(self) -> tuple[nn.Module, tuple[str, ...]]:
        """The network without its head, and the names of the head in a weights file."""
        with torch.random.fork_rng(devices=[]):  # overwritten below; no seed's draw moves
            if self.library == "torchvision":
                network = torchvision.models.get_model(self.name, weights=None)
                heads = [name for name, part in network.named_modules() if isinstance(part, nn.Linear)]
                if not heads:
                    raise InputError(f"backbone.name={self.name}: it has no linear head to remove; choose another")
                name = heads[-1]
                network.set_submodule(name, nn.Identity())
                return network, (name,)
            cfg = get_pretrained_cfg(self.name)
            sized: dict[str, Any] = {"img_size": self.size} if self.size and cfg and cfg.fixed_input_size else {}
            network = timm.create_model(self.name, pretrained=False, num_classes=0, **sized)
        head: Any = network.pretrained_cfg.get("classifier") or ()  # type: ignore[union-attr, operator]
        return network, (head,) if isinstance(head, str) else tuple(head)


class ClassTokens(nn.Module):
    """Images to the class tokens of a ViT's last `blocks` blocks, each after the final norm, concatenated.

    Raises InputError for networks without class tokens or with fewer blocks.
    """

    def __init__(self, network: nn.Module, blocks: int, name: str) -> None:
        super().__init__()
        depth = len(getattr(network, "blocks", ()))
        if not hasattr(network, "get_intermediate_layers") or not getattr(network, "num_prefix_tokens", 0):
            raise InputError(f"backbone.blocks={blocks}: {name} has no class token; leave it at 1")
        if blocks > depth:
            raise InputError(f"backbone.blocks={blocks}: {name} has {depth} blocks")
        self.network: Any = network
        self.blocks = blocks

    def forward(self, images: Tensor) -> Tensor:
        layers = self.network.get_intermediate_layers(images, n=self.blocks, return_prefix_tokens=True, norm=True)
        return torch.cat([prefix[:, 0] for _, prefix in layers], dim=1)


def _tags(architecture: str, library: str) -> list[str]:
    """The tags of the weights that timm has for an architecture, as ".tag"; torchvision has no tags."""
    if library != "timm":
        return []
    return [name.removeprefix(architecture) for name in timm.list_models(f"{architecture}.*", pretrained=True)]


def _published_settings(name: str, library: str, size: int | None) -> dict[str, Any]:
    """The library's settings of its own weights: the transform, at `size` where that is set, and their url or hub."""
    if library == "torchvision":
        kinds = torchvision.models.get_model_weights(name)
        weights = getattr(kinds, "IMAGENET1K_V1", None) or kinds.DEFAULT
        theirs = weights.transforms()
        resize = theirs.resize_size[0] if size is None else round(size * theirs.resize_size[0] / theirs.crop_size[0])
        return {
            "size": size or theirs.crop_size[0],
            "resize": resize,
            "interpolation": theirs.interpolation.value,
            "mean": tuple(theirs.mean),
            "std": tuple(theirs.std),
            "url": weights.url,
        }
    cfg = get_pretrained_cfg(name)
    if cfg is None:
        return {}
    size = size or cfg.input_size[-1]
    return {
        "size": size,
        "resize": int(size / cfg.crop_pct),
        "interpolation": cfg.interpolation,
        "mean": tuple(cfg.mean),
        "std": tuple(cfg.std),
        # Files at timm's hub use timm's parameter names; those at `url` may use their authors'.
        "url": None if cfg.hf_hub_id else cfg.url,
        "hub": cfg.hf_hub_id,
    }
