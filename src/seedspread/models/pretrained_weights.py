"""Files of pretrained weights: download, check, read, load."""

import hashlib
import logging
import pickle
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any
from urllib.parse import urlparse

import torch
from torch import Tensor, nn

from seedspread.config.errors import InputError

KEYS_SHOWN = 3


def download_weights(url: str) -> Path:
    """The file at `url`, in torch's cache.

    Raises InputError where its SHA-256 is not the one that its name ends with.
    """
    folder = Path(torch.hub.get_dir()) / "checkpoints"
    path = folder / Path(urlparse(url).path).name
    if not path.exists():
        folder.mkdir(parents=True, exist_ok=True)
        torch.hub.download_url_to_file(url, str(path))
    published = torch.hub.HASH_REGEX.search(path.name)
    found = file_sha256(path, path.stat().st_size, path.stat().st_mtime_ns)
    if published and not found.startswith(published[1]):
        raise InputError(
            f"{path} is damaged: SHA-256 {found[:12]}..., expected {published[1]}...; remove it and try again"
        )
    return path


def download_from_hub(repository: str) -> Path:
    """The weights that timm publishes at huggingface.co, in the cache of huggingface_hub."""
    from huggingface_hub import hf_hub_download  # noqa: PLC0415 - only where weights are downloaded

    logging.getLogger("huggingface_hub").setLevel(logging.ERROR)  # each retry is a warning
    return Path(hf_hub_download(repository, "model.safetensors"))


@lru_cache(maxsize=8)
def file_sha256(path: Path, size: int, modified: int) -> str:
    """SHA-256 of a file; cached, with `size` and `modified` (ns) in the key so that a changed file is hashed again."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def read_weights(path: Path) -> dict[str, Tensor]:
    """The tensors of a weights file by name, floating-point ones as float32; InputError for any other file."""
    try:
        if path.suffix == ".safetensors":
            from safetensors.torch import load_file  # noqa: PLC0415 - only for files of this format

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
        raise InputError(f"{path}: no state_dict; create one: torch.save(model.state_dict(), PATH)")
    return {name: value.float() if value.is_floating_point() else value for name, value in found.items()}


def load_strictly(network: nn.Module, weights: Mapping[str, Tensor], path: Path, name: str) -> None:
    """Load `weights` into `network`; InputError, which names `path` and `name`, where keys or shapes differ."""
    own = network.state_dict()
    problems = [
        f"{kind} {', '.join(keys[:KEYS_SHOWN])}" + f" and {len(keys) - KEYS_SHOWN} more" * (len(keys) > KEYS_SHOWN)
        for kind, keys in (
            ("lacks", sorted(own.keys() - weights.keys())),
            ("also has", sorted(weights.keys() - own.keys())),
            ("has in another shape", [k for k in own if k in weights and own[k].shape != weights[k].shape]),
        )
        if keys
    ]
    if problems:
        raise InputError(
            f"{path}: not the weights of {name}: it {'; it '.join(problems)}.\n"
            f"Set backbone.name to the network of these weights, or backbone.checkpoint to the weights of {name}"
        )
    network.load_state_dict(weights)
