"""Checks of single values of a config."""

import math

from omegaconf import DictConfig, OmegaConf

from seedspread.config.errors import InputError


def whole_number(cfg: DictConfig, key: str, least: int = 1) -> int:
    """What `cfg` has for a dotted `key`, a whole number of at least `least`; InputError otherwise."""
    value = OmegaConf.select(cfg, key)
    if isinstance(value, bool) or not isinstance(value, int) or value < least:
        raise InputError(f"{key}={value}: a whole number of at least {least}")
    return value


def positive_number(cfg: DictConfig, key: str, needed: str = "a number above 0") -> float | None:
    """What `cfg` has for a dotted `key`, above 0, or None; else an InputError that tells what is `needed`."""
    value = OmegaConf.select(cfg, key)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < math.inf:
        raise InputError(f"{key}={value}: {needed}")
    return value
