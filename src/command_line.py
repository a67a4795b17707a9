"""How an entry point meets its user: results on standard output, errors in one or two lines, an exit code."""

import math
import os
import re
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from hydra.errors import HydraException, MissingConfigException, OverrideParseException
from omegaconf import DictConfig, ListConfig, OmegaConf

from src.errors import InputError, input_error_in

_SHOW_TRACEBACK = os.environ.get("HYDRA_FULL_ERROR") == "1"


def explained(error: BaseException) -> str:
    """`error` in one or two lines: what is wrong, and where known the fix."""
    if (told := input_error_in(error)) is not None:
        return str(told)
    if isinstance(error, MissingConfigException) and error.missing_cfg_file and error.options:
        group, _, choice = error.missing_cfg_file.rpartition("/")
        return f"{group}={choice}: there is no such choice; choose one of {', '.join(error.options)}"
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    if isinstance(error, OverrideParseException):
        return (
            f"{error.override}: Hydra cannot read it ({lines[0]})\n"
            "Values with spaces, commas or = want quotes of their own within those of the shell: \"study='a, b=c'\""
        )
    if isinstance(error, HydraException) and (unknown := re.match(r"Could not override '([^']+)'", lines[0])):
        from src.keys import hint  # reads every config

        return f"{lines[0].rstrip('.')}: there is no such key; {hint(unknown[1]) or '--cfg job prints those there are'}"
    if isinstance(error, HydraException):
        return "\n".join(lines[:2])
    return f"{type(error).__name__}: {' '.join(lines)}\n(HYDRA_FULL_ERROR=1 shows where)"


@contextmanager
def plain_errors() -> Iterator[None]:
    """Turn an exception into one or two lines and a non-zero exit; with HYDRA_FULL_ERROR=1 let it through."""
    try:
        yield
    except KeyboardInterrupt:
        print("\ninterrupted: finished seeds are recorded; the same command goes on from there", file=sys.stderr)
        sys.exit(130)
    except Exception as error:
        if _SHOW_TRACEBACK:
            raise
        sys.exit(f"error: {explained(error)}")


def named_studies(cfg: DictConfig) -> list[str]:
    """The names in `cfg.study`: one, a list of several, or none."""
    if isinstance(cfg.study, ListConfig):
        return [str(name) for name in cfg.study]
    return [] if cfg.study is None else [str(cfg.study)]


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


def run(main: Callable[[], Any]) -> None:
    """Run a Hydra main under `plain_errors`: what Hydra itself finds wrong is told in the same way."""
    # Told so, Hydra hands every exception on as it is instead of printing it over many lines.
    os.environ["HYDRA_FULL_ERROR"] = "1"
    with plain_errors():
        main()
