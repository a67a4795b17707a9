"""Frozen pretrained networks that turn pictures into features.

The head that a network was pretrained with is left out; what its weights file holds for the head is dropped by name,
everything else has to fit exactly.
"""

import difflib
import hashlib
import logging
import pickle
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any
from urllib.parse import urlparse

import timm
import torch
import torchvision
from timm.models import get_pretrained_cfg
from torch import Tensor, nn

from src.errors import InputError

LIBRARIES = ("timm", "torchvision")
INTERPOLATIONS = ("bilinear", "bicubic")
KEYS_SHOWN = 3


@dataclass(frozen=True)
class Transform:
    """Pictures as a backbone wants them: short side to `resize`, centre `size` x `size`, mean and std taken out."""

    size: int
    resize: int
    interpolation: str
    mean: tuple[float, ...]
    std: tuple[float, ...]

    def __post_init__(self) -> None:
        if not 1 <= self.size <= self.resize:
            raise InputError(
                f"backbone.size={self.size}, backbone.resize={self.resize}: whole numbers of pixels, resize no smaller"
            )
        if self.interpolation not in INTERPOLATIONS:
            raise InputError(f"backbone.interpolation={self.interpolation}: choose {' or '.join(INTERPOLATIONS)}")


@dataclass(frozen=True)
class Backbone:
    """A pretrained network: how it is built, where its weights are, what it emits, how it wants its pictures.

    - `library`: timm or torchvision builds `name`.
    - `checkpoint`: a local file. Without it the file at `url`, or that which the library names, is downloaded once and
      checked against the SHA-256 that its name ends with, where it does.
    - `blocks`: 1 gives what the network hands its head (pooled features, a ViT's class token); n > 1 the class tokens
      of a ViT's last n blocks after its final norm, side by side (Caron et al. 2021, DINO, linear evaluation).
    - `size`, `resize`, `interpolation`, `mean`, `std`: the transform; the library knows them where they are None.
    - `precision` of the pass: bf16-mixed or 32-true.

    Raises InputError for names that do not exist, with those that come near.
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
        for key in ("mean", "std"):  # Hydra's lists have no hash
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

    @property
    def transform(self) -> Transform:
        """The transform, what is not set taken from the library; InputError where that does not know it either."""
        known = _published(self.name, self.library, self.size)
        found: dict[str, Any] = {key: getattr(self, key) or known.get(key) for key in Transform.__dataclass_fields__}
        if missing := [key for key, value in found.items() if value is None]:
            raise InputError(f"backbone.{missing[0]} is not set, and {self.library} does not know it for {self.name}")
        return Transform(**found)

    def weights_file(self) -> Path:
        """The file that holds the weights, downloaded where it has to be; InputError where it cannot be had."""
        if self.checkpoint is not None:
            path = Path(self.checkpoint).expanduser()
            if not path.is_file():
                raise InputError(f"backbone.checkpoint={self.checkpoint}: no such file")
            return path
        known = _published(self.name, self.library, self.size)
        url = self.url or known.get("url")
        if not url and not known.get("hub"):
            raise InputError(f"backbone.name={self.name}: no weights are known for it; say backbone.checkpoint=PATH")
        try:
            return _downloaded(url) if url else _from_hub(known["hub"])
        except InputError:
            raise
        except Exception as error:  # each of the libraries has its own for a network that is not there
            raise InputError(
                f"the weights of {self.name} could not be downloaded from {url or known['hub']} "
                f"({type(error).__name__}); fetch them elsewhere and say backbone.checkpoint=PATH"
            ) from error

    def weights_sha256(self) -> str:
        """SHA-256 of the weights file."""
        path = self.weights_file().resolve()
        return _sha256(path, path.stat().st_size, path.stat().st_mtime_ns)

    def load(self) -> nn.Module:
        """The network with its weights: images (n, 3, h, w) to features (n, d); in eval mode, without gradients."""
        path = self.weights_file()
        weights = _read(path)
        network, head = self._built()
        for name in [name for name in weights if name.startswith(tuple(f"{part}." for part in head))]:
            del weights[name]
        _load_strictly(network, weights, path, self.name)
        if self.blocks > 1:
            network = ClassTokens(network, self.blocks, self.name)
        return network.eval().requires_grad_(False)

    def _built(self) -> tuple[nn.Module, tuple[str, ...]]:
        """The network without its head, and the names that the head has in a file."""
        with torch.random.fork_rng(devices=[]):  # what is drawn here is overwritten, and no seed's draw moves
            if self.library == "torchvision":
                network = torchvision.models.get_model(self.name, weights=None)
                heads = [name for name, part in network.named_modules() if isinstance(part, nn.Linear)]
                if not heads:
                    raise InputError(f"backbone.name={self.name}: it has no linear head to take off; choose another")
                name = heads[-1]
                network.set_submodule(name, nn.Identity())
                return network, (name,)
            cfg = get_pretrained_cfg(self.name)
            sized: dict[str, Any] = {"img_size": self.size} if self.size and cfg and cfg.fixed_input_size else {}
            network = timm.create_model(self.name, pretrained=False, num_classes=0, **sized)
        head: Any = network.pretrained_cfg.get("classifier") or ()  # type: ignore[union-attr, operator]
        return network, (head,) if isinstance(head, str) else tuple(head)


class ClassTokens(nn.Module):
    """The class tokens of the last `blocks` blocks of a ViT, each after the final norm, side by side."""

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
    """The weights that timm has of a network, as ".tag"; torchvision's names have none."""
    if library != "timm":
        return []
    return [name.removeprefix(architecture) for name in timm.list_models(f"{architecture}.*", pretrained=True)]


def _published(name: str, library: str, size: int | None) -> dict[str, Any]:
    """What the library knows of its own weights: the transform, at `size` where that is set, and where they are."""
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
        # Files at timm's hub have timm's names; those at `url` may have their authors'.
        "url": None if cfg.hf_hub_id else cfg.url,
        "hub": cfg.hf_hub_id,
    }


def _downloaded(url: str) -> Path:
    """The file at `url`, in torch's own cache; InputError where its SHA-256 is not the one that its name ends with."""
    folder = Path(torch.hub.get_dir()) / "checkpoints"
    path = folder / Path(urlparse(url).path).name
    if not path.exists():
        folder.mkdir(parents=True, exist_ok=True)
        torch.hub.download_url_to_file(url, str(path))
    published = torch.hub.HASH_REGEX.search(path.name)
    found = _sha256(path, path.stat().st_size, path.stat().st_mtime_ns)
    if published and not found.startswith(published[1]):
        raise InputError(
            f"{path} is damaged: SHA-256 {found[:12]}..., expected {published[1]}...; remove it, try again"
        )
    return path


def _from_hub(repository: str) -> Path:
    """The weights that timm publishes at huggingface.co, in that site's own cache."""
    from huggingface_hub import hf_hub_download

    logging.getLogger("huggingface_hub").setLevel(logging.ERROR)  # each of its retries is a warning
    return Path(hf_hub_download(repository, "model.safetensors"))


@lru_cache(maxsize=8)
def _sha256(path: Path, size: int, modified: int) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _read(path: Path) -> dict[str, Tensor]:
    """The tensors of a weights file by name, half precision made single."""
    try:
        if path.suffix == ".safetensors":
            from safetensors.torch import load_file

            found: Any = load_file(path)
        else:
            found = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise InputError(
            f"{path}: holds more than weights, or no weights at all; save its state_dict alone: "
            "torch.save(model.state_dict(), PATH)"
        ) from error
    except Exception as error:  # torch, zipfile and safetensors each have their own
        raise InputError(
            f"{path}: not a whole weights file ({type(error).__name__}); copy or download it again"
        ) from error
    for wrapper in ("state_dict", "model"):
        if isinstance(found, Mapping) and isinstance(found.get(wrapper), Mapping):
            found = found[wrapper]
    if not isinstance(found, Mapping) or not all(isinstance(value, Tensor) for value in found.values()):
        raise InputError(f"{path}: no state_dict; save one: torch.save(model.state_dict(), PATH)")
    return {name: value.float() if value.is_floating_point() else value for name, value in found.items()}


def _load_strictly(network: nn.Module, weights: Mapping[str, Tensor], path: Path, name: str) -> None:
    own = network.state_dict()
    problems = [
        f"{kind} {', '.join(keys[:KEYS_SHOWN])}" + f" and {len(keys) - KEYS_SHOWN} more" * (len(keys) > KEYS_SHOWN)
        for kind, keys in (
            ("lacks", sorted(own.keys() - weights.keys())),
            ("has besides", sorted(weights.keys() - own.keys())),
            ("has in another shape", [k for k in own if k in weights and own[k].shape != weights[k].shape]),
        )
        if keys
    ]
    if problems:
        raise InputError(
            f"{path}: not the weights of {name}: it {'; it '.join(problems)}.\n"
            "Name the network that they belong to with backbone.name, or its own file with backbone.checkpoint"
        )
    network.load_state_dict(weights)
