"""What makes two seeds part of one study, its digest, and how two configs differ."""

import hashlib
import json
from collections.abc import Iterator, Mapping
from typing import Any

from omegaconf import DictConfig, OmegaConf

from seedspread.config.schema import IF_SET, Key, Train, keys_of_all

KEYS_SHOWN = 6


def study_identity(cfg: DictConfig) -> dict[str, Any]:
    """What makes two seeds part of one study: the resolved config without seeds, paths and display settings."""
    config: Any = OmegaConf.to_container(cfg, resolve=True)
    config["callbacks"] = config.get("callbacks") or {}  # null, {} and no key mean the same
    return _select_identity(config, Train.keys)


def _select_identity(values: Mapping[str, Any], known: Mapping[str, Key]) -> dict[str, Any]:
    kept = {}
    for name, value in values.items():
        if (key := known.get(name)) is None:
            kept[name] = value
        elif key.identity is True or (key.identity == IF_SET and value != key.usual):
            kept[name] = _select_identity(value, keys_of_all(key)) if isinstance(value, Mapping) else value
    return kept


def restore_config(cfg: DictConfig, identity: Mapping[str, Any]) -> dict[str, Any]:
    """A config that trains a study again: the keys of its `identity`, and paths and display settings from `cfg`."""
    ours: Any = OmegaConf.to_container(cfg, resolve=False)
    return _restore(ours, identity, Train.keys)


def _restore(ours: Any, identity: Mapping[str, Any], known: Mapping[str, Key]) -> dict[str, Any]:
    ours = ours if isinstance(ours, Mapping) else {}
    config = {}
    for name in (*identity, *(name for name in ours if name not in identity)):
        key = known.get(name)
        if name not in identity:
            if key is not None and key.identity is not True:
                config[name] = ours[name] if key.identity is False else key.usual
        elif key is not None and isinstance(identity[name], Mapping):
            config[name] = _restore(ours.get(name), identity[name], keys_of_all(key))
        else:
            config[name] = identity[name]
    return config


def list_non_identity_keys() -> list[str]:
    """Top-level keys that are not part of a study's identity: seeds, paths, display settings."""
    return [name for name, key in Train.keys.items() if key.identity is False]


def compute_digest(config: Mapping[str, Any]) -> str:
    """SHA-256 of a config, independent of the order of its keys."""
    return hashlib.sha256(json.dumps(config, sort_keys=True).encode()).hexdigest()


def flatten(config: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Dotted keys and values of a nested config, as they are typed on the command line."""
    for key, value in config.items():
        if isinstance(value, Mapping) and value:
            yield from flatten(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value


def find_differences(ours: Mapping[str, Any], theirs: Mapping[str, Any]) -> list[tuple[str, Any, Any]]:
    """Keys whose values differ, with both values; "-" stands for a key that is not there."""
    left, right = dict(flatten(ours)), dict(flatten(theirs))
    keys = sorted(left.keys() | right.keys())
    return [(key, left.get(key, "-"), right.get(key, "-")) for key in keys if left.get(key, "-") != right.get(key, "-")]


def describe_differences(theirs: Mapping[str, Any], ours: Mapping[str, Any]) -> str:
    """In which keys the config of a folder differs from the one now, in words; the first few of many."""
    found = find_differences(theirs, ours)
    shown = "; ".join(f"{key}: {old} there, {new} now" for key, old, new in found[:KEYS_SHOWN])
    return shown + (f"; {len(found) - KEYS_SHOWN} more" if len(found) > KEYS_SHOWN else "")
