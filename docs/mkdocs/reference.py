"""mkdocs hook: the pages of reference/ that nobody writes, from the schema and conf/, as --help is."""

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from mkdocs.structure.files import File
from omegaconf import OmegaConf

from seedspread.commands.cli import COMMANDS
from seedspread.config.check import known_keys
from seedspread.config.compose import CONF, compose_config
from seedspread.config.help import describe_values, list_groups, list_keys, own_keys, read_examples
from seedspread.config.overrides import format_value
from seedspread.config.schema import SCHEMAS, Key, Train

COMMANDS_TITLE = """\
# Commands

`seedspread COMMAND --help` prints the same; `seedspread` alone lists the commands.
"""
KEYS_TITLE = """\
# Keys of training

`python -m src.train key=value` takes these keys, and so do `tune`, `decide`, `sources` and `batch_size`. A key marked °
may differ between seeds of one study; any other is part of what the study is. The choices of a group are
[config files](files.md).

## General
"""
UNSET_TITLE = """
## Keys without a default

The config has them only where an experiment or you put them, with a `+`: `+trainer.profiler=simple`.

"""
FILES_TITLE = """\
# Config files

The choices of each group, as they are in `conf/`; your own are files in `conf/` of the working directory.
"""


def _list_defaults(command: str, keys: Mapping[str, Key], *overrides: str) -> Iterator[tuple[str, Key, str]]:
    """Each key with its dotted name and its default; of an object, the name of its class."""
    values: Any = OmegaConf.to_container(compose_config(command, overrides), resolve=False)
    for name, key, value in list_keys(keys, values):
        default = value.get("_target_", value) if isinstance(value, Mapping) else value
        if not isinstance(default, Mapping):
            yield name, key, f"`{format_value(default)}`"


def _table(rows: Iterable[tuple[str, str, Key]]) -> str:
    """Rows of a key's name, its default, and the key. Two columns, which a phone has room for."""
    lines = [
        f"| {name} | {key.help}<br><small>{describe_values(key).replace('<', '&lt;')}"
        + (f"; default {default}" if default else "")
        + "</small> |"
        for name, default, key in rows
    ]
    return "\n".join(["| key | what it is |", "|---|---|", *lines, ""])


def _mark(name: str, key: Key) -> str:
    return f"`{name}`" + (" °" if key.identity is False else "")


def describe_commands() -> str:
    """Every command with its examples and the keys that are its own."""
    parts = [COMMANDS_TITLE]
    for command, purpose in COMMANDS.items():
        examples = read_examples(command)
        typed = [line for line in examples if line.startswith(("seedspread ", "python "))]
        said = " ".join(line for line in examples if line not in typed)
        parts += [f"## {command}\n", f"{purpose[0].upper()}{purpose[1:]}.\n", "\n".join(["```bash", *typed, "```\n"])]
        parts += [f"{said}\n"]
        schema = SCHEMAS[command]
        if issubclass(schema, Train):
            parts += ["It takes the [keys of training](keys.md)" + (".\n" if schema is Train else ", and these:\n")]
        if schema is not Train:
            found = _list_defaults(command, own_keys(schema))
            parts += [_table((f"`{name}`", default, key) for name, key, default in found)]
    return "\n".join(parts)


def _describe_group(group: str, choices: list[str]) -> str:
    """The keys of a config group: a table for each kind of object that its choices are, defaults choice by choice."""
    choices_of: dict[str, list[str]] = {}
    defaults_of: dict[tuple[str, str], dict[str, str]] = {}  # by kind and key
    keys: dict[str, Key] = {}
    for choice in choices:
        found = list(_list_defaults("train", {group: Train.keys[group]}, f"{group}={choice}"))
        kind = next((default for name, _, default in found if name == group), "")  # the name of its class
        choices_of.setdefault(kind, []).append(choice)
        for name, key, default in found:
            if name != group:
                keys[name] = key
                defaults_of.setdefault((kind, name), {})[choice] = default
    parts = [f"## {group}\n", f"{Train.keys[group].help[0].upper()}{Train.keys[group].help[1:]}.\n"]
    for kind, names in choices_of.items():
        parts += [" or ".join(f"`{group}={name}`" for name in names) + (f": {kind}\n" if kind else "\n")]
        rows = []
        for (of, name), defaults in defaults_of.items():
            if of == kind:
                alike = len({*defaults.values()}) == 1 and len(defaults) == len(names)
                each = [default if alike else f"{default} ({choice})" for choice, default in defaults.items()]
                rows.append((_mark(name, keys[name]), each[0] if alike else ", ".join(each), keys[name]))
        parts += [_table(rows)] if rows else []
    return "\n".join(parts)


def describe_keys() -> str:
    """Every key of training: those outside the groups, and those of each choice of a group."""
    groups = list_groups()
    general = {name: key for name, key in Train.keys.items() if name not in groups}
    parts = [
        KEYS_TITLE,
        _table((_mark(name, key), default, key) for name, key, default in _list_defaults("train", general)),
    ]
    parts += [_describe_group(group, choices) for group, choices in groups.items() if group != "experiment"]
    listed = "\n".join(parts)
    left = {name: key for name, key in known_keys(Train).items() if f"`{name}" not in listed and name not in groups}
    return listed + UNSET_TITLE + _table((_mark(name, key), "", key) for name, key in left.items())


def describe_files() -> str:
    """The files of conf/, word for word; experiments first."""
    parts = [FILES_TITLE]
    for group, choices in sorted(list_groups().items(), key=lambda item: item[0] != "experiment"):
        parts += [f"## {group}\n"]
        for choice in choices:
            text = Path(CONF, group, f"{choice}.yaml").read_text().rstrip()
            parts += [f"`conf/{group}/{choice}.yaml`\n\n```yaml\n{text}\n```\n"]
    return "\n".join(parts)


def on_files(files, config):
    pages = {"commands": describe_commands, "keys": describe_keys, "files": describe_files}
    for name, describe in pages.items():
        files.append(File.generated(config, f"reference/{name}.md", content=describe()))
    return files
