"""What `_target_` objects take, by their signatures. Importing a target imports its library."""

import inspect
import re
from collections.abc import Iterator, Mapping
from typing import Any

from hydra.errors import InstantiationException
from hydra.utils import get_method, instantiate
from omegaconf import DictConfig, OmegaConf, open_dict

from seedspread.config.check import is_left_over, unknown_setting
from seedspread.config.errors import InputError, find_input_error
from seedspread.config.overrides import is_typed, typed_keys
from seedspread.config.schema import Train, is_foreign

OF_THE_CLASSIFIER = ("model", "loss", "optimizer", "schedule", "backbone", "compile")


def parameters_of(where: str, target: str) -> tuple[list[str], bool] | None:
    """The parameters of a target, and whether it takes any others too; None where it has no signature to read.

    Raises InputError where there is no such target.
    """
    try:
        found = get_method(target)
    except Exception as error:  # whatever the import of the user's module raises
        cause = " ".join(str(error).split("\nAre you sure")[0].split()) or type(error).__name__
        raise InputError(f"{where}._target_={target}: cannot be imported ({cause})") from error
    try:
        parameters = inspect.signature(found).parameters
    except (ValueError, TypeError):
        return None
    kinds = {name: parameter.kind for name, parameter in parameters.items()}
    return [name for name, kind in kinds.items() if kind in (kind.POSITIONAL_OR_KEYWORD, kind.KEYWORD_ONLY)], (
        inspect.Parameter.VAR_KEYWORD in kinds.values()
    )


def _objects(where: str, values: Any) -> Iterator[tuple[str, Mapping[str, Any]]]:
    if isinstance(values, Mapping):
        if isinstance(values.get("_target_"), str):
            yield where, values
        for name, value in values.items():
            yield from _objects(f"{where}.{name}" if where else str(name), value)


def check_targets(cfg: DictConfig) -> None:
    """Raise InputError for an object of `cfg` that cannot be imported, or a key that it does not take."""
    typed = typed_keys(cfg)
    own = OmegaConf.masked_copy(cfg, [str(key) for key in cfg if key not in ("hydra", "space")])
    for where, values in _objects("", OmegaConf.to_container(own, resolve=True)):
        target = values["_target_"]
        if (found := parameters_of(where, target)) is None or found[1]:
            continue
        foreign = [name for name in values if name not in found[0] and not re.fullmatch(r"_\w+_", name)]
        for name in foreign:
            if is_typed(f"{where}.{name}", typed):
                raise unknown_setting(where, name, values[name], target, found[0])
        if foreign:
            raise InputError(
                f"{where}._target_={target}: it does not take {', '.join(foreign)}; leave out what it does not have: "
                + " ".join(f"'~{where}.{name}'" for name in foreign)
            )


def drop_left_over_keys(cfg: DictConfig) -> None:
    """Take out what belongs to other objects of conf/ than those chosen, which an experiment or the defaults set up.

    Of data that are not the project's own only what was typed stays; beside a module of its own none of what makes up
    the Classifier. InputError for such a key that was typed or swept: the target would train without it.
    """
    typed = typed_keys(cfg)
    if is_foreign(cfg, "data"):
        if cfg.get("model"):
            OmegaConf.resolve(cfg.model)  # it may copy channels and classes; names of folders still follow the seed
        for name in [str(key) for key in cfg.data if key != "_target_" and not is_typed(f"data.{key}", typed)]:
            with open_dict(cfg.data):
                cfg.data.pop(name)
    if is_foreign(cfg, "module"):
        for name in OF_THE_CLASSIFIER:
            if given := next((key for key in typed if f"{key}.".startswith(f"{name}.")), None):
                raise InputError(
                    f"{given}={OmegaConf.select(cfg, given)}: {cfg.module._target_} has its own; leave it out, or say "
                    "+module.NAME= for what it takes"
                )
            with open_dict(cfg):
                cfg.pop(name, None)
    for group in ("model", "schedule"):
        values = cfg.get(group)
        if not values or (found := parameters_of(group, str(values._target_))) is None:
            continue
        for name in [str(key) for key in values if key not in found[0] and not re.fullmatch(r"_\w+_", str(key))]:
            if is_left_over(f"{group}.{name}", Train.keys[group], typed):
                with open_dict(values):
                    values.pop(name)
            elif is_typed(f"{group}.{name}", typed) and not found[1]:
                raise unknown_setting(group, name, values[name], values._target_, found[0])


def build_object(cfg: DictConfig, where: str, **more: Any) -> Any:
    """Instantiate the object at the dotted key `where`; InputError where its target refuses what it is given."""
    values = OmegaConf.select(cfg, where)
    try:
        return instantiate(values, **more)
    except InstantiationException as error:
        cause = error.__cause__
        if find_input_error(error) is not None or not isinstance(cause, TypeError | ValueError):
            raise
        text = str(cause).strip().splitlines()[0]
        named = re.search(r"unexpected keyword argument '(\w+)'", text)
        key = f"{where}.{named[1]}={values.get(named[1])}" if named else f"{where}._target_={values._target_}"
        raise InputError(f"{key}: {values._target_} does not take it: {text}") from error
