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
def known_keys() -> dict[str, Any]:
    """Every dotted key of the files in conf/, those of a group under its name, with a value that it has there."""
    return dict(_keys())


def _keys() -> Iterator[tuple[str, Any]]:
    for path in sorted(Path(CONF).rglob("*.yaml")):
        group = path.parent.relative_to(Path(CONF)).as_posix()
        found = yaml.safe_load(path.read_text()) or {}
        for key, value in flatten({key: value for key, value in found.items() if key not in ("defaults", "hydra")}):
            if group != "experiment":
                yield (key if group == "." else f"{group}.{key}"), value


def suggest_key(key: str) -> str:
    """`did you mean ...?` for a key that is not there, by its whole name or its last part; empty where none is near."""

    def likeness(known: str) -> float:
        pairs = (key, known), (key.rpartition(".")[2], known.rpartition(".")[2])
        return max(difflib.SequenceMatcher(None, *pair).ratio() for pair in pairs)

    # A key that follows another one is not the one to name.
    near = max((known for known, value in known_keys().items() if not str(value).startswith("${")), key=likeness)
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
