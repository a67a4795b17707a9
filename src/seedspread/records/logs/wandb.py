"""Weights & Biases as CSV: exported charts, the exported table of runs, and `run.history()` written by pandas.

    chart      Step, RUN - METRIC, RUN - METRIC__MIN, RUN - METRIC__MAX, ... of each run
    runs       Name, State, Notes, User, Tags, Created, Runtime, Sweep, ... then config and last values
    history    _step, _runtime, _timestamp and the metrics; a file for each run, or a column that names the run

Files of several kinds are joined by the names of runs.
"""

from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from seedspread.config.errors import InputError
from seedspread.records.logs.columns import Columns, is_number, read_columns
from seedspread.records.logs.run import Collector, Run, name_some, path_names
from seedspread.records.logs.seeds import is_seed_name, last_part

OF_RUNS = ("Name", "State", "Created")
ABOUT = {"Name", "Agent", "State", "Notes", "User", "Tags", "Created", "Runtime", "Sweep", "ID", "Group", "Job Type"}
ABOUT |= {"Updated", "End Time", "Hostname", "Description", "Commit", "GitHub", "Git Commit", "Host", "Heartbeat"}
OWN = ("_step", "_runtime", "_timestamp", "_wandb", "_wandb.runtime", "epoch", "trainer/global_step")
RUNS = ("name", "run_name", "run", "run_id", "id", "_run")


def is_wandb(names: Sequence[str]) -> bool:
    """Whether a table with these columns is one of Weights & Biases."""
    chart = any(name.endswith("__MIN") and f"{name[:-5]}__MAX" in names for name in names)
    return chart or set(OF_RUNS) <= set(names) or ("_step" in names and bool({"_runtime", "_timestamp"} & set(names)))


def read_wandb(files: Sequence[Path], run_column: str | None = None) -> list[Run]:
    """The runs in these files, in the order in which they come."""
    runs = _Runs()
    tables: list[tuple[Path, Columns]] = []
    for file in files:
        columns = read_columns(file)
        if not is_wandb(list(columns)):
            raise InputError(f"{file}: no CSV file of Weights & Biases; is it a table? format=table")
        if set(OF_RUNS) <= set(columns):
            tables.append((file, columns))
        elif "_step" in columns:
            _read_history(runs, file, columns, run_column)
        else:
            _read_chart(runs, file, columns)
    with_curves = bool(runs.found)
    for file, columns in tables:
        _read_table(runs, file, columns, with_curves)
    return [
        run.finish(runs.files[name], failed=runs.failed.get(name), ended=runs.ended.get(name))
        for name, run in runs.found.items()
    ]


class _Runs:
    """The runs so far, by name."""

    def __init__(self) -> None:
        self.found: dict[str, Collector] = {}
        self.files: dict[str, Path] = {}
        self.failed: dict[str, str] = {}
        self.ended: dict[str, float] = {}

    def get(self, name: str, file: Path) -> Collector:
        if name not in self.found:
            source = str(file) if name == file.stem else f"{file}: {name}"
            self.found[name], self.files[name] = Collector(source, [name, *path_names(file)]), file
        return self.found[name]


def _read_chart(runs: _Runs, file: Path, columns: Columns) -> None:
    axis = next(iter(columns))
    whole = all(is_number(at) and at == int(at) for at in columns[axis])
    averaged = [
        name
        for name, values in columns.items()
        for bounds in (columns.get(f"{name}__MIN", values), columns.get(f"{name}__MAX", values))
        if any(
            value is not None and value != bound and value == value for value, bound in zip(values, bounds, strict=True)
        )
    ]
    if averaged:
        raise InputError(
            f"{file}: {averaged[0]} is an average over several steps or runs (its __MIN and __MAX differ); export the "
            "chart ungrouped and in full fidelity, or write run.history() with pandas"
        )
    for name, values in columns.items():
        run, _, metric = name.rpartition(" - ")
        if not run or name.endswith(("__MIN", "__MAX")) or metric in OWN:
            continue
        steps = columns[axis] if whole else columns.get(f"{run} - _step", columns[axis])
        for step, value in zip(steps, values, strict=True):
            if is_number(value):
                runs.get(run, file).add(metric, step, value)
            elif value is not None:
                raise InputError(f"{file}: {name} is {value}: no number")
        for step, epoch in zip(steps, columns.get(f"{run} - epoch", []), strict=False):
            if epoch is not None:
                runs.get(run, file).add_epoch(step, epoch)


def _read_history(runs: _Runs, file: Path, columns: Columns, run_column: str | None) -> None:
    if run_column is not None and run_column not in columns:
        raise InputError(f"run={run_column}: {file} has no such column; it has {', '.join(columns)}")
    column = run_column or next((name for name in RUNS if name in columns), None)
    steps = columns.get("trainer/global_step", columns["_step"])  # Lightning's own, where its logger wrote
    names = [str(name) for name in columns[column]] if column else [file.stem] * len(steps)
    for name, step, epoch in zip(names, steps, columns.get("epoch", [None] * len(steps)), strict=True):
        if epoch is not None and step is not None:
            runs.get(name, file).add_epoch(step, epoch)
    for name, time in zip(names, columns.get("_timestamp", []), strict=False):
        if is_number(time):
            runs.get(name, file).times.append(time)
    for metric, values in columns.items():
        if metric in OWN or metric == column:
            continue
        of_seeds = is_seed_name(last_part(metric))
        for name, step, value in zip(names, steps, values, strict=True):
            if of_seeds and value is not None:
                runs.get(name, file).hparams[metric] = value
            elif is_number(value):
                runs.get(name, file).add(metric, step, value)


def _read_table(runs: _Runs, file: Path, columns: Columns, with_curves: bool) -> None:
    names = [str(name) for name in columns["Name"]]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise InputError(
            f"{file}: {len(twice)} names of several runs ({name_some(twice)}); rename these runs, or export ID"
        )
    if running := [name for name, state in zip(names, columns["State"], strict=True) if state == "running"]:
        raise InputError(f"{file}: still running: {name_some(running)}; export again when they have ended")
    for name, state, created in zip(names, columns["State"], columns["Created"], strict=True):
        runs.get(name, file)
        if state in ("crashed", "failed", "killed"):
            runs.failed[name] = f"W&B: {state}"
        if (time := _seconds(created)) is not None and not runs.found[name].times:
            runs.ended[name] = time
    for key, values in columns.items():
        if key in ABOUT or key in OWN:
            continue
        numbers = all(value is None or is_number(value) for value in values)
        metric = numbers and len({str(value) for value in values}) > 1 and not is_seed_name(last_part(key))
        for name, value in zip(names, values, strict=True):
            known = runs.found[name].values
            if key in known or value is None:
                continue
            if metric:
                known[key] = [(None, float(value))]
            else:
                runs.found[name].hparams[key] = value if is_number(value) or isinstance(value, bool) else str(value)
    if with_curves and (missing := [name for name in runs.found if name not in names]):
        raise InputError(f"{file}: no row for {name_some(missing)}, of which there are curves; export all runs")


def _seconds(created: Any) -> float | None:
    try:
        return datetime.fromisoformat(str(created)).timestamp()
    except ValueError:
        return None
