"""Overrides as they are typed: seeds, keys, values, and the command that trains a seed again."""

import re
import shlex
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml
from hydra.core.hydra_config import HydraConfig
from hydra.core.override_parser.types import Override
from omegaconf import DictConfig, open_dict

from seedspread.config.errors import InputError
from seedspread.config.schema import is_foreign
from seedspread.config.streams import check_seed

RUNS_SHOWN = 8  # of seeds, in a message
# What is typed to train: a checkout works without installation, an installed package has its command.
TRAIN = ("seedspread", "train") if (Path(__file__).parent.parent / "conf").is_dir() else ("python", "-m", "src.train")


def reproduction_command(seed: int) -> str | None:
    """The command that trains `seed` as this run does; None outside a Hydra command."""
    if not HydraConfig.initialized():
        return None
    dropped = ("seed", "seeds", "overwrite", "ckpt_path")
    overrides = [o for o in HydraConfig.get().overrides.task if o.split("=")[0] not in dropped]
    return shlex.join([*TRAIN, f"seed={seed}", *overrides])


def without_epoch_lines(cfg: DictConfig) -> DictConfig:
    """`cfg` without the lines on its progress, for a process whose parent shows how far it is; `cfg` itself changes."""
    with open_dict(cfg):
        cfg.callbacks = {name: c for name, c in (cfg.callbacks or {}).items() if name != "epoch_lines"}
    return cfg


def parse_seeds(override: Override) -> list[int]:
    """The seeds that `seed=...` names, each once, in their order; InputError for what is no seed, or for none."""
    try:
        values: list[Any] = list(override.sweep_iterator()) if override.is_sweep_override() else [override.value()]
    except ValueError as error:  # range(0,5,0)
        raise InputError(f"{override.input_line}: {error}; for example 'seed=range(0,20)'") from error
    if not values:
        raise InputError(f"{override.input_line}: no seeds; a range runs up to but without its end: 'seed=range(0,20)'")
    key = override.get_key_element()
    numbers = [int(value) if isinstance(value, str) and value.isdigit() else value for value in values]
    return list(dict.fromkeys(check_seed(number, key) for number in numbers))


def name_study(base: str, swept: Sequence[tuple[str, str]]) -> str:
    """The study of one combination of swept keys: digits-width16 for model.width=16."""
    parts = [f"{key.split('.')[-1].lstrip('+/~')}{value}" for key, value in swept]
    return re.sub(r"[^\w.=+-]+", "_", "-".join([base, *parts]))


def override_key(override: str) -> str:
    """The dotted key of an override: model.width of +model.width=16."""
    return override.lstrip("+~").split("=")[0]


def typed_overrides(cfg: DictConfig) -> list[str]:
    """The overrides that `cfg` was composed with on the command line; none outside a Hydra command."""
    hydra = _hydra_config(cfg)
    return list(hydra.overrides.task) if hydra else []


def _hydra_config(cfg: DictConfig) -> Any:
    return cfg.get("hydra") or (HydraConfig.get() if HydraConfig.initialized() else None)


def validation_overrides(cfg: DictConfig, overrides: Sequence[str]) -> list[str]:
    """The override by which a tenth of the training examples validates; none where `overrides` say how many.

    None either for data that are not the project's own: they have a validation set, or none, as their module says.
    """
    typed = "data.validation" in map(override_key, overrides)
    return [] if typed or is_foreign(cfg, "data") else ["data.validation=0.1"]


def typed_keys(cfg: DictConfig) -> list[str]:
    """The dotted keys that were typed, and those beside a `_target_` in the file of the chosen experiment."""
    keys = [override_key(override) for override in typed_overrides(cfg)]
    hydra = _hydra_config(cfg)
    experiment = hydra and hydra.runtime.choices.get("experiment")
    for source in hydra.runtime.config_sources if experiment else []:
        path = Path(source.path, "experiment", f"{experiment}.yaml")
        if source.schema == "file" and path.is_file():
            groups = yaml.safe_load(path.read_text()) or {}
            own = {name: group for name, group in groups.items() if isinstance(group, Mapping) and "_target_" in group}
            keys += [f"{name}.{key}" for name, group in own.items() for key in group]
    return keys


def is_typed(key: str, typed: Sequence[str]) -> bool:
    """Whether a dotted key, or one below it, is among `typed` ones."""
    return any(f"{one}.".startswith(f"{key}.") for one in typed)


def format_value(value: Any) -> str:
    """A value as an override on the command line has it."""
    if isinstance(value, bool) or value is None:
        return {True: "true", False: "false", None: "null"}[value]
    words = r"(?!(true|false|null|nan|inf)$)[A-Z_/.][\w/.-]*"
    if not isinstance(value, str) or re.fullmatch(words, value, re.ASCII | re.IGNORECASE):
        return str(value)
    return "'" + re.sub(r"(\\*)('|\Z)", lambda m: 2 * m[1] + m[2].replace("'", "\\'"), value) + "'"


def results_override(results: str | Path) -> list[str]:
    """`results=PATH` for a command to type next; nothing where the folder is the usual one."""
    return [] if str(results) == "results" else [f"results={format_value(str(results))}"]


def wider_range(seeds: Sequence[int]) -> str:
    """A range with ten times as many seeds, for a command to type next; 20 for a single one."""
    return f"range({min(seeds)},{max(seeds) + 1 + (9 * len(seeds) if len(seeds) > 1 else 19)})"


def quote_overrides(arguments: Sequence[str], keys: Sequence[str]) -> list[str]:
    """Arguments in Hydra's grammar: overrides as the value of one of `keys`, of which the shell has removed the quotes.

    >>> quote_overrides(["candidate=experiment=digits loss.smoothing=0"], ["candidate"])
    ["candidate='experiment=digits loss.smoothing=0'"]
    """
    found = []
    for argument in arguments:
        key, _, value = argument.partition("=")
        if key in keys and "=" in value and not value.startswith(("'", '"', "{")):
            listed = value.startswith("[") and value.endswith("]")
            # Commas within brackets or quotes separate nothing.
            elements = r"""(?:[^,\[\]{}'"]|\[[^\]]*\]|\{[^}]*\}|'[^']*'|"[^"]*")+"""
            values = [part.strip() for part in re.findall(elements, value[1:-1])] if listed else [value]
            quoted = [v if "=" not in v or v.startswith(("'", '"')) else format_value(v) for v in values]
            argument = f"{key}=[{','.join(quoted)}]" if listed else f"{key}={quoted[0]}"
        found.append(argument)
    return found


def quote_text(argument: str, keys: Sequence[str]) -> str:
    """An argument in Hydra's grammar: the value of one of `keys` is a text, whatever is in it.

    >>> quote_text("regex=loss: (.*)", ["regex"])
    "regex='loss: (.*)'"
    """
    key, _, value = argument.partition("=")
    plain = key in keys and value != "null" and not value.startswith(("'", '"'))
    return f"{key}={format_value(value)}" if plain else argument


def quote_letters(overrides: Sequence[str]) -> list[str]:
    """Overrides in Hydra's grammar, which takes letters outside of ASCII within quotes alone.

    A value that has quotes, braces or parentheses stays as it is.

    >>> quote_letters(["study=größe", "candidate=[größe.csv,x.csv]", "-m"])
    ["study='größe'", "candidate=['größe.csv',x.csv]", '-m']
    """
    found = []
    for override in overrides:
        key, equals, value = override.partition("=")
        if not value.isascii() and not re.search(r"['\"{}()\\]", value):
            element = r"[^,\[\]]+" if value.startswith("[") else "[^,]+"
            value = re.sub(element, lambda m: m[0] if m[0].isascii() else format_value(m[0].strip()), value)
        found.append(f"{key}{equals}{value}")
    return found


def show_typed(key: str, value: str) -> str:
    """How an override whose value is a text is typed in a shell: "study='a, b'"."""
    override = f"{key}={format_value(value)}"
    return f'"{override}"' if "'" in override and not re.search(r'["$`!\\]', override) else shlex.quote(override)


def gather_paths(arguments: Sequence[str], key: str, known: Collection[str]) -> list[str]:
    """Arguments in Hydra's grammar: those that are paths as the list of one override of `key`.

    A path is what has no "=", or exists and is no override of a `known` key; options stay as they are.

    >>> gather_paths(["logs/version_0", "study=old"], "logs", {"logs", "study"})
    ['study=old', 'logs=[logs/version_0]']
    """
    paths: list[str] = []
    others: list[str] = []
    for argument in arguments:
        is_key = override_key(argument).split(".")[0] in known
        is_path = "=" not in argument or (not is_key and Path(argument).exists())
        (paths if is_path and not argument.startswith("-") else others).append(argument)
    return [*others, *([f"{key}=[{','.join(map(format_value, paths))}]"] if paths else [])]


def format_seeds(seeds: Sequence[int]) -> str:
    """Seeds in short: [0, 1, 2, 7] is "0-2,7"."""
    runs: list[list[int]] = []
    for seed in seeds:
        if runs and seed == runs[-1][1] + 1:
            runs[-1][1] = seed
        else:
            runs.append([seed, seed])
    return ",".join(str(first) if first == last else f"{first}-{last}" for first, last in runs)


def shorten_seeds(seeds: Sequence[int]) -> str:
    """Seeds in short, at most RUNS_SHOWN runs of them: [0, 1, 2, 7] is "0-2, 7"."""
    runs = format_seeds(seeds).split(",")[:RUNS_SHOWN]
    more = len(seeds) - len(expand_seeds(",".join(runs)))
    return ", ".join(runs) + (f" and {more} more" if more else "")


def expand_seeds(text: str | int) -> list[int]:
    """The inverse of `format_seeds`: "0-2,7" is [0, 1, 2, 7]."""
    seeds: list[int] = []
    for part in str(text).split(","):
        first, _, last = part.partition("-")
        seeds.extend(range(int(first), int(last or first) + 1))
    return seeds


def split_command(command: str) -> list[str]:
    """The overrides of a recorded command, `python -m src.train ...` or `seedspread train ...`."""
    words = shlex.split(command)
    return words[3:] if words[0] == "python" else words[2:]
