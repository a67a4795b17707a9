"""An exception as one or two lines for the user, the errors of Hydra and OmegaConf included."""

import re
from collections.abc import Sequence

from hydra.errors import HydraException, MissingConfigException, OverrideParseException
from omegaconf.errors import OmegaConfBaseException

from seedspread.config.check import known_keys, suggest_key
from seedspread.config.errors import find_input_error
from seedspread.config.overrides import show_typed
from seedspread.config.schema import LocalExecutor, RayExecutor, SlurmExecutor, Target, Train

# Hydra's launchers, and what to type instead.
LAUNCHERS = {
    "joblib": ("hydra/launcher=joblib", "executor=local jobs=4"),
    "ray": ("hydra/launcher=ray", "executor=ray executor.address=auto executor.gpus=1"),
    "submitit_slurm": ("hydra/launcher=submitit_slurm", "executor=slurm executor.partition=gpu executor.time=4h"),
    "submitit_local": ("hydra/launcher=submitit_local", "executor=local jobs=4"),
}


def explain_launcher(launcher: tuple[str, str]) -> str:
    """What to type in place of one of LAUNCHERS."""
    typed, instead = launcher
    return f"{typed}: seedspread has executors of its own; type for example {instead}"


def _explain_unknown(name: str) -> str:
    """What to type in place of a key that this config does not have and others do, or did; empty for other keys."""
    if name.startswith("hydra.launcher."):
        return f"{name}: executors have settings of their own; type for example {LAUNCHERS['ray'][1]}"
    if name in Train.keys and Train.keys[name].refused:
        return f"{name}: {Train.keys[name].refused}"
    group, _, setting = name.partition(".")
    if not name.startswith("executor.") and name in known_keys():
        where = f"another choice of {group}=, or another command," if setting else "another command"
        return f"{name}: there is no such key here; {where} has it"
    if setting and group in Train.keys and Train.keys[group].groups == (Target,):  # nothing but objects of the user's
        return f"{name}: a setting of {group}._target_ is typed with a +, as in +{name}="
    owners = [
        schema.target.split(".")[-2]
        for schema in (LocalExecutor, RayExecutor, SlurmExecutor)
        if group == "executor" and setting in schema.keys
    ]
    return f"{name}: a setting of {' and '.join(f'executor={owner}' for owner in owners)}" if owners else ""


def _explain_grammar(override: str, lines: Sequence[str]) -> str:
    """What to type in place of an override that Hydra's grammar does not take; `lines` are Hydra's reason."""
    key, equals, value = override.partition("=")
    if not equals:
        return f"{override}: a setting is typed KEY=VALUE; --help lists the keys"
    if not re.fullmatch(r"[+~]*[\w$./@:-]+", key, re.ASCII):
        return f"{override}: {key} is no key; --help lists them"
    of_grammar = re.search(r"[^\w/+.$%*@?|:, -]", value, re.ASCII)
    if of_grammar and not re.match(r"['\"{[]|\w+\(", value):  # else it begins as quotes, brackets or a function do
        hint = f"{of_grammar[0]} needs quotes within those of the shell: {show_typed(key, value)}"
        return f"{override}: Hydra cannot read it; {hint}"
    reason = next((line for line in lines if not line.startswith("Error parsing")), "")
    return (
        f"{override}: Hydra cannot read it ({reason})\n"
        "Values with spaces, commas or = need quotes of their own within those of the shell: \"study='a, b=c'\""
    )


def explain_error(error: BaseException) -> str:
    """`error` in one or two lines: what is wrong, and where known the fix."""
    if (found := find_input_error(error)) is not None:
        return str(found)
    if isinstance(error, MissingConfigException) and error.missing_cfg_file and error.options:
        group, _, choice = error.missing_cfg_file.rpartition("/")
        return f"{group}={choice}: there is no such choice; choose one of {', '.join(error.options)}"
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    if isinstance(error, OverrideParseException):
        return _explain_grammar(str(error.override), lines)
    if isinstance(error, HydraException) and (unknown := re.match(r"Could not override '([^']+)'", lines[0])):
        return _explain_unknown(unknown[1]) or (
            f"{lines[0].rstrip('.')}: there is no such key; {suggest_key(unknown[1]) or '--help lists them'}"
        )
    if isinstance(error, OmegaConfBaseException) and error.full_key:
        return f"{error.full_key}: {lines[0]}"
    if isinstance(error, HydraException | OmegaConfBaseException):
        return "\n".join(lines[:2])
    return f"{type(error).__name__}: {' '.join(lines)}\n(HYDRA_FULL_ERROR=1 shows where)"
