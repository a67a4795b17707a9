"""The seeds of runs: from a hyperparameter or column, else from the digits in names of files and folders."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import zip_longest

from seedspread.config.errors import InputError
from seedspread.config.streams import check_seed
from seedspread.records.logs.run import Run, name_some

NAMES = ("seed", "random_seed", "rng_seed", "random_state", "manual_seed", "global_seed", "seed_everything")
_TIME = re.compile(r"\d{4}-\d{2}-\d{2}|\d{2}[-:]\d{2}[-:]\d{2}|\d{8}[-_]\d{6}")  # numbers no seed


def last_part(key: str) -> str:
    """The last part of a dotted key: seed of trainer.seed."""
    return re.split(r"[./]", key)[-1].lower()


def is_seed_name(name: str) -> bool:
    return name in NAMES


@dataclass(frozen=True)
class Seeds:
    """The seed of each run, the hyperparameter that says so, if any, and in words where they come from."""

    values: list[int]
    key: str | None
    origin: str


def find_seeds(runs: Sequence[Run], seed_from: str | None = None) -> Seeds:
    """The seeds of all runs; InputError where they are not known, saying what there is instead.

    `seed_from` is a hyperparameter or column, or a regular expression with one group, searched in the runs' paths.
    """
    if seed_from is not None:
        return _named(runs, seed_from)
    keys = dict.fromkeys(key for run in runs for key in run.hparams if is_seed_name(last_part(key)))
    for key in sorted(keys, key=lambda key: (NAMES.index(last_part(key)), key.count("."))):
        values = [run.hparams.get(key) for run in runs]
        if without := [run.source for run, value in zip(runs, values, strict=True) if value is None]:
            raise InputError(f"{key} is missing in {name_some(without)}, of {len(runs):,} runs; the others have it")
        if len(runs) == 1 or len(set(map(str, values))) > 1:
            return Seeds(
                [_seed(value, key, run) for value, run in zip(values, runs, strict=True)], key, f"{key} of each run"
            )
    for names in zip_longest(*(run.names[: 1 if len(runs) == 1 else None] for run in runs)):
        if (found := _digits(names)) is not None:
            one = f"{names[0]} is seed {found[0]}"
            return Seeds([check_seed(seed, "seed") for seed in found], None, f"the digits in names ({one})")
    raise InputError(_unknown(runs))


def _named(runs: Sequence[Run], seed_from: str) -> Seeds:
    keys = {key: key for run in runs for key in run.hparams}
    key = keys.get(seed_from) or next((key for key in keys if last_part(key) == seed_from.lower()), None)
    if key is not None:
        if without := [run.source for run in runs if run.hparams.get(key) is None]:
            raise InputError(f"seed_from={seed_from}: missing in {name_some(without)}")
        return Seeds([_seed(run.hparams[key], key, run) for run in runs], key, f"{key} of each run")
    try:
        pattern = re.compile(seed_from)
    except re.error as error:
        raise InputError(
            f"seed_from={seed_from}: no setting of the runs, nor a regular expression ({error})"
        ) from error
    if pattern.groups != 1:
        raise InputError(
            f"seed_from={seed_from}: {_settings_there(runs)}; a regular expression over the path has one group, for "
            r"example 'seed_from=seed_(\d+)'"
        )
    values = []
    for run in runs:
        if not (match := pattern.search(run.source)):
            raise InputError(f"seed_from={seed_from}: it does not match {run.source}")
        values.append(_seed(match[1], "seed_from", run))
    return Seeds(values, None, f"{seed_from} in each path")


def _seed(value: object, key: str, run: Run) -> int:
    text = str(value)
    number = (
        int(text) if re.fullmatch(r"-?\d+", text) else int(float(text)) if re.fullmatch(r"\d+\.0*", text) else value
    )
    try:
        return check_seed(number, key)
    except InputError as error:
        raise InputError(f"{run.source}: {error}") from error


def _digits(names: Sequence[str | None]) -> list[int] | None:
    """The one number in these names that differs between runs, or of one run its only number; else None."""
    if not all(names) or any(_TIME.search(str(name)) for name in names):
        return None
    tagged = [re.search(r"seed[ _=-]*(\d+)", str(name), re.IGNORECASE) for name in names]
    if all(tagged) and (len(names) == 1 or len({found[1] for found in tagged if found}) > 1):
        return [int(found[1]) for found in tagged if found]
    numbers = [[int(digits) for digits in re.findall(r"\d+", str(name))] for name in names]
    if len({len(found) for found in numbers}) != 1 or not numbers[0]:
        return None
    if len(names) == 1:
        return numbers[0] if len(numbers[0]) == 1 else None
    if len({re.sub(r"\d+", "#", str(name)) for name in names}) != 1:
        return None
    varying = [place for place in range(len(numbers[0])) if len({found[place] for found in numbers}) > 1]
    return [found[varying[0]] for found in numbers] if len(varying) == 1 else None


def _settings_there(runs: Sequence[Run]) -> str:
    keys = list(dict.fromkeys(key for run in runs for key in run.hparams))
    return f"the runs have the settings {name_some(keys, 12)}" if keys else "the runs have no settings"


def _unknown(runs: Sequence[Run]) -> str:
    where = name_some([run.source for run in runs], 2)
    return (
        f"no seed found: no setting or column is named {', '.join(NAMES[:3])}, and no one number tells {where} apart\n"
        f"Name a setting, seed_from=NAME ({_settings_there(runs)}), or a regular expression over the path, "
        r"'seed_from=seed_(\d+)'"
    )
