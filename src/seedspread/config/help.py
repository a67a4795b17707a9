"""The text of `seedspread COMMAND --help`: keys from the schema, examples and defaults from conf/."""

import itertools
import shutil
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from omegaconf import OmegaConf

from seedspread.config.compose import CONF, compose_config, find_user_configs
from seedspread.config.overrides import format_value
from seedspread.config.schema import SCHEMAS, Key, Schema, Train, group_schema

WIDEST, FIRST_COLUMN = 120, 34


def format_help(command: str, purpose: str, overrides: Sequence[str] = ()) -> str:
    """The help of a command; the defaults are those that `overrides` leave, such as an experiment's."""
    cfg = compose_config(command, overrides)
    values: Any = OmegaConf.to_container(cfg, resolve=False)
    schema = SCHEMAS[command]
    of_train = schema is not Train and issubclass(schema, Train)
    lines = [f"usage: seedspread {command} [key=value ...]", "", purpose, "", "examples:"]
    lines += [f"  {line}" for line in read_examples(command)]
    lines += ["", "keys:", *_describe_keys(own_keys(schema), values)]
    if of_train:
        lines += ["", "It takes every key of training as well: seedspread train --help"]
    if schema is Train:
        lines += ["", "groups, chosen as GROUP=NAME; your own are files in ./conf/GROUP/NAME.yaml:"]
        lines += [f"  {group}={'|'.join(names)}" for group, names in list_groups().items()]
    return "\n".join(lines)


def own_keys(schema: type[Schema]) -> dict[str, Key]:
    """The keys of a command; of one that takes those of training as well, the others."""
    of_train = Train.keys if schema is not Train and issubclass(schema, Train) else {}
    return {name: key for name, key in schema.keys.items() if key != of_train.get(name)}


def read_examples(command: str) -> list[str]:
    """The comment at the top of the command's config."""
    lines = Path(CONF, f"{command}.yaml").read_text().splitlines()
    return [line.removeprefix("# ") for line in itertools.takewhile(lambda line: line.startswith("#"), lines)]


def list_groups() -> dict[str, list[str]]:
    """The config groups of seedspread and of the user, with the names in each."""
    found: dict[str, list[str]] = {}
    for folder in (CONF, find_user_configs()):
        for path in sorted(Path(folder).glob("*/*.yaml")) if folder else []:
            found.setdefault(path.parent.name, []).append(path.stem)
    return {group: list(dict.fromkeys(names)) for group, names in sorted(found.items())}


def list_keys(keys: Mapping[str, Key], values: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Key, Any]]:
    """Each key with its dotted name and its value, a group before its own keys; what nobody may set is left out."""
    for name, key in keys.items():
        if name not in values or key.refused:
            continue
        value = values[name]
        yield f"{prefix}{name}", key, value
        if isinstance(value, Mapping) and (schema := group_schema(key, value.get("_target_"))) is not None:
            yield from list_keys(schema.keys, value, f"{prefix}{name}.")


def _describe_keys(keys: Mapping[str, Key], values: Mapping[str, Any]) -> Iterator[str]:
    width = min(WIDEST, shutil.get_terminal_size((WIDEST, 24)).columns)
    for name, key, value in list_keys(keys, values):
        if isinstance(value, Mapping):
            target = value.get("_target_")
            yield f"  {name}: {key.help}" + (f" ({target})" if target else "")
        else:
            first = f"  {name}={format_value(value)}".ljust(FIRST_COLUMN)
            yield from textwrap.wrap(
                f"{first} {key.help} [{describe_values(key)}]", width, subsequent_indent=" " * (FIRST_COLUMN + 1)
            )


def describe_values(key: Key) -> str:
    """The values that a key takes, and their unit: `a number above 0, or null; minutes`."""
    return key.describe() + (f"; {key.unit}" if key.unit else "")
