"""Hyperparameters as loggers write them: hparams.yaml, with the objects in it as plain text."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from seedspread.config.errors import InputError
from seedspread.config.identity import flatten

_SAFE: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class _Loader(_SAFE):
    """Reads the objects that `save_hparams_to_yaml` leaves as what they are made of, without making them."""


def _plain(loader: Any, suffix: str, node: yaml.Node) -> Any:
    if isinstance(node, yaml.MappingNode):
        return loader.construct_mapping(node, deep=True) or suffix
    if isinstance(node, yaml.SequenceNode):
        return loader.construct_sequence(node, deep=True)
    return loader.construct_scalar(node) or suffix


_Loader.add_multi_constructor("tag:yaml.org,2002:python/", _plain)
_Loader.add_multi_constructor("!", _plain)


def read_hparams(path: Path) -> dict[str, Any]:
    """The hyperparameters in a YAML file by dotted key; none where there is no file."""
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return {}
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: cannot be read: {' '.join(str(error).split())[:120]}") from error
    try:
        stored = yaml.load(text, _Loader) or {}
    except yaml.YAMLError as error:
        raise InputError(f"{path}: torn, or not YAML: {' '.join(str(error).split())[:120]}") from error
    return plain_values(stored) if isinstance(stored, Mapping) else {}


def plain_values(values: Mapping[str, Any]) -> dict[str, Any]:
    """Nested hyperparameters by dotted key, each value as JSON has it."""
    return {str(key): _plain_value(value) for key, value in flatten(values)}


def _plain_value(value: Any) -> Any:
    if value is None or isinstance(value, str | bool | int | float):
        return value
    if isinstance(value, Mapping):
        return {str(key): _plain_value(inner) for key, inner in value.items()}
    return [_plain_value(inner) for inner in value] if isinstance(value, list | tuple) else str(value)
