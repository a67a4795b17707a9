"""Which keys the configs have, and the one that a mistyped key is nearest to."""

import difflib
import re
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import yaml
from omegaconf import DictConfig, OmegaConf

from seedspread.config.compose import CONF
from seedspread.config.errors import InputError
from seedspread.config.identity import flatten


@cache
def known_keys() -> tuple[str, ...]:
    """Every dotted key of the files in conf/, those of a group under its name."""
    return tuple(dict.fromkeys(_keys()))


def _keys() -> Iterator[str]:
    for path in sorted(Path(CONF).rglob("*.yaml")):
        group = path.parent.relative_to(Path(CONF)).as_posix()
        found = yaml.safe_load(path.read_text()) or {}
        for key, value in flatten({key: value for key, value in found.items() if key not in ("defaults", "hydra")}):
            if str(value).startswith("${"):
                continue  # follows another key, which is the one to name
            if group == ".":
                yield key
            elif group != "experiment":
                yield f"{group}.{key}"


def suggest_key(key: str) -> str:
    """`did you mean ...?` for a key that is not there, by its whole name or its last part; empty where none is near."""

    def likeness(known: str) -> float:
        pairs = (key, known), (key.rpartition(".")[2], known.rpartition(".")[2])
        return max(difflib.SequenceMatcher(None, *pair).ratio() for pair in pairs)

    near = max(known_keys(), key=likeness)
    return f"did you mean {near}?" if likeness(near) >= 0.7 else ""


def check_keys(cfg: DictConfig) -> None:
    """Raise InputError for a key at the top of `cfg` that nothing takes, as +epochs=3 adds one."""
    raw: Any = OmegaConf.to_container(cfg, resolve=False)
    tops = {key.split(".")[0] for key in known_keys()} | {"data", "model", "backbone", "schedule", "trainer", "hydra"}
    tops |= {"callbacks", "logger", "space"}
    for key in raw:
        if key not in tops and not re.search(rf"\$\{{{re.escape(key)}\b", str(raw)):
            value = next(flatten({key: raw[key]})) if isinstance(raw[key], Mapping) else (key, raw[key])
            raise InputError(f"+{value[0]}={value[1]}: nothing takes this key; {suggest_key(key) or 'leave it out'}")
