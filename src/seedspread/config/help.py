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
from seedspread.config.schema import SCHEMAS, Key, Train, group_schema

WIDEST, FIRST_COLUMN = 120, 34


def format_help(command: str, purpose: str, overrides: Sequence[str] = ()) -> str:
    """The help of a command; the defaults are those that `overrides` leave, such as an experiment's."""
    cfg = compose_config(command, overrides)
    values: Any = OmegaConf.to_container(cfg, resolve=False)
    schema = SCHEMAS[command]
    of_train = Train.keys if schema is not Train and issubclass(schema, Train) else {}
    own = {name: key for name, key in schema.keys.items() if key != of_train.get(name)}
    lines = [f"usage: seedspread {command} [key=value ...]", "", purpose, "", "examples:"]
    lines += [f"  {line}" for line in _examples(command)]
    lines += ["", "keys:", *_describe_keys(own, values)]
    if of_train:
        lines += ["", "It takes every key of training as well: seedspread train --help"]
    if schema is Train:
        lines += ["", "groups, chosen as GROUP=NAME; your own are files in ./conf/GROUP/NAME.yaml:"]
        lines += [f"  {group}={'|'.join(names)}" for group, names in _groups().items()]
    return "\n".join(lines)


def _examples(command: str) -> list[str]:
    """The comment at the top of the command's config."""
    lines = Path(CONF, f"{command}.yaml").read_text().splitlines()
    return [line.removeprefix("# ") for line in itertools.takewhile(lambda line: line.startswith("#"), lines)]


def _groups() -> dict[str, list[str]]:
    """The config groups of seedspread and of the user, with the names in each."""
    found: dict[str, list[str]] = {}
    for folder in (CONF, find_user_configs()):
        for path in sorted(Path(folder).glob("*/*.yaml")) if folder else []:
            found.setdefault(path.parent.name, []).append(path.stem)
    return {group: list(dict.fromkeys(names)) for group, names in sorted(found.items())}


def _describe_keys(keys: Mapping[str, Key], values: Mapping[str, Any], prefix: str = "") -> Iterator[str]:
    width = min(WIDEST, shutil.get_terminal_size((WIDEST, 24)).columns)
    for name, key in keys.items():
        if name not in values or key.refused:
            continue
        value = values[name]
        if isinstance(value, Mapping):
            target = value.get("_target_")
            yield f"  {prefix}{name}: {key.help}" + (f" ({target})" if target else "")
            if (schema := group_schema(key, target)) is not None:
                yield from _describe_keys(schema.keys, value, f"{prefix}{name}.")
        else:
            takes = key.describe() + (f"; {key.unit}" if key.unit else "")
            first = f"  {prefix}{name}={format_value(value)}".ljust(FIRST_COLUMN)
            yield from textwrap.wrap(f"{first} {key.help} [{takes}]", width, subsequent_indent=" " * (FIRST_COLUMN + 1))
