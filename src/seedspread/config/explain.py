"""An exception as one or two lines for the user, the errors of Hydra and OmegaConf included."""

import re

from hydra.errors import HydraException, MissingConfigException, OverrideParseException
from omegaconf.errors import OmegaConfBaseException

from seedspread.config.check import suggest_key
from seedspread.config.errors import find_input_error

# Launchers of Hydra that are packages of their own, and the extra of seedspread that installs each.
_LAUNCHER_EXTRAS = {
    "hydra/launcher/joblib": "train",
    "hydra/launcher/ray": "ray",
    "hydra/launcher/submitit_slurm": "slurm",
}


def explain_error(error: BaseException) -> str:
    """`error` in one or two lines: what is wrong, and where known the fix."""
    if (found := find_input_error(error)) is not None:
        return str(found)
    if isinstance(error, MissingConfigException) and error.missing_cfg_file and error.options:
        group, _, choice = error.missing_cfg_file.rpartition("/")
        if extra := _LAUNCHER_EXTRAS.get(error.missing_cfg_file):
            return f"{group}={choice}: not installed; pip install 'seedspread[{extra}]'"
        return f"{group}={choice}: there is no such choice; choose one of {', '.join(error.options)}"
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    if isinstance(error, OverrideParseException):
        return (
            f"{error.override}: Hydra cannot read it ({lines[0]})\n"
            "Values with spaces, commas or = need quotes of their own within those of the shell: \"study='a, b=c'\""
        )
    if isinstance(error, HydraException) and (unknown := re.match(r"Could not override '([^']+)'", lines[0])):
        hint = suggest_key(unknown[1]) or "--help lists them"
        return f"{lines[0].rstrip('.')}: there is no such key; {hint}"
    if isinstance(error, OmegaConfBaseException) and error.full_key:
        return f"{error.full_key}: {lines[0]}"
    if isinstance(error, HydraException | OmegaConfBaseException):
        return "\n".join(lines[:2])
    return f"{type(error).__name__}: {' '.join(lines)}\n(HYDRA_FULL_ERROR=1 shows where)"
