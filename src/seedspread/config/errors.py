"""The one exception that speaks to the user."""

import re

from hydra.errors import HydraException, MissingConfigException, OverrideParseException

# Launchers of Hydra that are packages of their own, and the extra of seedspread that installs each.
_LAUNCHER_EXTRAS = {
    "hydra/launcher/joblib": "train",
    "hydra/launcher/ray": "ray",
    "hydra/launcher/submitit_slurm": "slurm",
}


class InputError(Exception):
    """Bad input in one or two lines: the value, where it came from, and the fix.

    >>> ss.Streams.of(-1)
    Traceback (most recent call last):
        ...
    seedspread.config.errors.InputError: streams.init=-1: a seed is a whole number from 0 to 2**63-1, ...
    """


def find_input_error(error: BaseException | None) -> InputError | None:
    """The InputError that `error` is or was raised from; Hydra wraps what a _target_ raises."""
    while error is not None and not isinstance(error, InputError):
        error = error.__cause__
    return error


def explain_error(error: BaseException) -> str:
    """`error` in one or two lines: what is wrong, and where known the fix."""
    if (told := find_input_error(error)) is not None:
        return str(told)
    if isinstance(error, MissingConfigException) and error.missing_cfg_file and error.options:
        group, _, choice = error.missing_cfg_file.rpartition("/")
        if extra := _LAUNCHER_EXTRAS.get(error.missing_cfg_file):
            return f"{group}={choice}: not installed; pip install 'seedspread[{extra}]'"
        return f"{group}={choice}: there is no such choice; choose one of {', '.join(error.options)}"
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    if isinstance(error, OverrideParseException):
        return (
            f"{error.override}: Hydra cannot read it ({lines[0]})\n"
            "Values with spaces, commas or = want quotes of their own within those of the shell: \"study='a, b=c'\""
        )
    if isinstance(error, HydraException) and (unknown := re.match(r"Could not override '([^']+)'", lines[0])):
        from seedspread.config.keys import suggest_key  # noqa: PLC0415 - reads every config

        hint = suggest_key(unknown[1]) or "--cfg job prints those there are"
        return f"{lines[0].rstrip('.')}: there is no such key; {hint}"
    if isinstance(error, HydraException):
        return "\n".join(lines[:2])
    return f"{type(error).__name__}: {' '.join(lines)}\n(HYDRA_FULL_ERROR=1 shows where)"
