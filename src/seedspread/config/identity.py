"""What makes two seeds part of one study, its digest, and how two configs differ."""

import hashlib
import json
from collections.abc import Iterator, Mapping
from typing import Any

from omegaconf import DictConfig, OmegaConf

# What does not change a result: where things lie, how a run is shown or spread over machines, and the seeds themselves.
NOT_IN_IDENTITY = (
    "seed",
    "seeds",
    "study",
    "results",
    "overwrite",
    "logger",
    "metric",
    "ckpt_path",
    "checkpoint",
    "jobs",
    "workers_per_gpu",
    "seeds_per_job",
    "fail_fast",
    "report",
    "stack",
    "space",
)
NOT_IN_CALLBACKS_IDENTITY = ("epoch_lines", "gradient_norms")  # they look on
NOT_IN_DATA_IDENTITY = ("source", "root", "cache", "backbone", "workers")
NOT_IN_TRAINER_IDENTITY = (
    "devices",
    "default_root_dir",
    "enable_checkpointing",
    "enable_model_summary",
    "enable_progress_bar",
    "log_every_n_steps",
    "num_sanity_val_steps",
    "profiler",
)


def study_identity(cfg: DictConfig) -> dict[str, Any]:
    """What makes two seeds part of one study: the settled config without seeds, places and display."""
    config: dict[str, Any] = OmegaConf.to_container(cfg, resolve=True)  # type: ignore[assignment]
    for key in NOT_IN_IDENTITY:
        config.pop(key, None)
    # What came later than the first studies counts where it is used.
    if config["streams"]["other"] is None:
        del config["streams"]["other"]
    if config["compile"] is None:
        del config["compile"]
    for key in NOT_IN_DATA_IDENTITY:
        config["data"].pop(key, None)
    if config.get("backbone"):
        config["backbone"].pop("checkpoint", None)  # the data's fingerprint covers the weights themselves
    for key in NOT_IN_TRAINER_IDENTITY:
        config["trainer"].pop(key, None)
    if config["trainer"].get("gradient_clip_val") is None:  # came later as well
        config["trainer"].pop("gradient_clip_val", None)
    callbacks = config.get("callbacks") or {}
    config["callbacks"] = {name: c for name, c in callbacks.items() if name not in NOT_IN_CALLBACKS_IDENTITY}
    return config


KEYS_SHOWN = 6


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
    told = "; ".join(f"{key}: {old} there, {new} now" for key, old, new in found[:KEYS_SHOWN])
    return told + (f"; {len(found) - KEYS_SHOWN} more" if len(found) > KEYS_SHOWN else "")
