"""Checks a config against its schema, without importing torch: unknown keys, wrong values, what is set twice."""

import difflib
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from seedspread.config.errors import InputError
from seedspread.config.overrides import format_value, is_typed, typed_keys, typed_overrides
from seedspread.config.schema import SCHEMAS, Key, Schema, Target, group_schema, is_foreign, keys_of_all


def check_config(cfg: DictConfig, schema: type[Schema]) -> None:
    """Raise InputError for the first key of `cfg` that `schema` does not have, or whose value it does not take.

    Objects that no schema describes are left to `check_targets`, which imports them.
    """
    own = OmegaConf.masked_copy(cfg, [str(key) for key in cfg if key != "hydra"])
    raw: Any = OmegaConf.to_container(own, resolve=False)
    try:
        values: Any = OmegaConf.to_container(own, resolve=True)
    except OmegaConfBaseException as error:
        key, value = str(error.full_key or ""), raw
        for part in key.split("."):
            value = value.get(part) if isinstance(value, Mapping) else None
        raise InputError(f"{key}={value}: {str(error).strip().splitlines()[0]}") from error
    unnamed = raw.get("study") == "${data.name}" and not is_typed("data.name", typed_keys(cfg))
    if unnamed and is_foreign(values, "data"):
        raise InputError(f"data._target_={values['data']['_target_']}: name the study, for example study=mine")
    plus = [override[1:] for override in typed_overrides(cfg) if override.startswith("+")]
    _check_keys("", values, schema, _Typed(str(raw), typed_keys(cfg), plus))


@dataclass(frozen=True)
class _Typed:
    """What the user typed: the config before it is resolved, the keys, and the overrides that add a key."""

    raw: str
    keys: Sequence[str]
    plus: Sequence[str]


def _check_keys(
    where: str, values: Mapping[str, Any], schema: type[Schema], typed: _Typed, group: Key | None = None
) -> None:
    known = schema.keys
    for name, value in values.items():
        full = f"{where}.{name}" if where else str(name)
        if name in known:
            _check_value(full, value, known[name], typed)
        elif schema.objects:
            if value is not None and not (isinstance(value, Mapping) and "_target_" in value):
                raise InputError(f"{full}={format_value(value)}: an object is needed: {full}._target_=")
        elif not (
            schema.open
            or (where and re.fullmatch(r"_\w+_", name))  # Hydra's own
            or (group and is_left_over(full, group, typed.keys))
            or (not where and re.search(rf"\$\{{{re.escape(name)}\b", typed.raw))  # what another key interpolates
        ):
            raise _unknown_key(full, value, schema, typed)


def _check_value(where: str, value: Any, key: Key, typed: _Typed) -> None:
    if key.refused:
        raise InputError(f"{where}={_show(value)}: {key.refused}")
    if value == "???":
        raise InputError(f"{where} is not set: {key.help}; {where}=")
    if isinstance(value, Mapping) and key.groups:
        if (schema := group_schema(key, value.get("_target_"))) is not None:
            _check_keys(where, value, schema, typed, key)
        elif Target not in key.groups:
            takes = " or ".join(str(group.target) for group in key.groups)
            raise InputError(f"{where}._target_={value.get('_target_')}: choose {takes}")
    elif not key.accepts(value):
        raise InputError(f"{where}={_show(value)}: {key.complaint(where)}")
    elif (key.file or key.folder) and value is not None:
        _check_path(where, value, key)


def _check_path(where: str, value: str, key: Key) -> None:
    try:
        is_file = Path(value).expanduser().is_file() if key.file else Path(value).is_file()
    except OSError as error:  # a name too long, a folder that may not be searched
        raise InputError(f"{where}={value}: {error.strerror}") from error
    if key.file and not is_file:
        raise InputError(f"{where}={value}: no such file")
    if key.folder and is_file:
        raise InputError(f"{where}={value}: it is a file, not a folder; name a folder, {where}=PATH")


def _show(value: Any) -> str:
    """A value in a message: as it is typed, without quotes."""
    return value if isinstance(value, str) else format_value(value)


def is_left_over(full: str, group: Key, typed: Sequence[str]) -> bool:
    """Whether a key of a group belongs to another object of conf/ than the chosen one, and nobody typed it.

    An experiment's settings stay in the config where another network or schedule is chosen; `drop_left_over_keys`
    takes them out.
    """
    name = full.rpartition(".")[2]
    return name in keys_of_all(group) and not is_typed(full, typed)


def _unknown_key(full: str, value: Any, schema: type[Schema], typed: _Typed) -> InputError:
    where, _, name = full.rpartition(".")
    if target := schema.target:
        return unknown_setting(where, name, value, target, list(schema.keys))
    if isinstance(value, Mapping) and value:
        inner, value = next(iter(value.items()))
        full = f"{full}.{inner}"
    plus = "+" if any(one.startswith(full) for one in typed.plus) else ""
    hint = suggest_key(full, schema) or "leave it out"
    if full.startswith("experiment.") and not plus:
        hint = "the file of an experiment begins with the line # @package _global_"
    return InputError(f"{plus}{full}={_show(value)}: nothing takes this key; {hint}")


def unknown_setting(where: str, name: str, value: Any, target: str, takes: list[str]) -> InputError:
    """What to say of a key that an object does not take, with the nearest that it takes."""
    near = difflib.get_close_matches(name, takes, n=1)
    hint = f"did you mean {where}.{near[0]}?" if near else f"it takes {', '.join(takes) or 'none'}"
    return InputError(f"{where}.{name}={_show(value)}: not a setting of {target}; {hint}")


def known_keys(*schemas: type[Schema]) -> dict[str, Key]:
    """Every dotted key of `schemas`, of all by default; those of all objects of a group together."""
    return {name: key for schema in schemas or SCHEMAS.values() for name, key in _walk(schema, "")}


def _walk(schema: type[Schema], prefix: str) -> Iterator[tuple[str, Key]]:
    for name, key in schema.keys.items():
        if not key.refused:
            yield f"{prefix}{name}", key
        for group in key.groups:
            yield from _walk(group, f"{prefix}{name}.")


def suggest_key(key: str, schema: type[Schema] | None = None) -> str:
    """`did you mean ...?` for a key that is not there, by its whole name or its last part; empty where none is near."""
    known = known_keys(schema) if schema and schema in SCHEMAS.values() else known_keys()

    def likeness(name: str) -> float:
        pairs = (key, name), (key.rpartition(".")[2], name.rpartition(".")[2])
        return max(difflib.SequenceMatcher(None, *pair).ratio() for pair in pairs)

    near = max(known, key=likeness)
    return f"did you mean {known[near].follows or near}?" if likeness(near) >= 0.7 else ""
