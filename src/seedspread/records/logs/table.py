"""Plain tables, CSV or Parquet: long ones with a row for each step, wide ones with a row or a column for each run.

one row a run                seed, val_loss, lr
one row a run and step       seed, step, val_loss          (or run, or one file a run)
one row a value              seed, step, metric, value
one column a run             step, seed_0, seed_1          (of the study's metric)
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from seedspread.config.errors import InputError
from seedspread.records.logs.columns import Columns, is_number, read_columns
from seedspread.records.logs.run import Collector, Run, path_names
from seedspread.records.logs.seeds import is_seed_name, last_part

STEPS = ("step", "global_step", "_step", "trainer/global_step", "iteration", "iter")
EPOCHS = ("epoch", "epochs")
RUNS = ("run", "run_id", "run_name", "run_uuid", "trial")
METRICS = ("metric", "tag", "key")


@dataclass(frozen=True)
class Wanted:
    """What the user said of columns: the study's metric, and the columns of steps, runs and seeds."""

    metric: str | None = None
    step: str | None = None
    run: str | None = None
    seed: str | None = None


@dataclass
class Rows:
    """The rows of one run in one table: a value or None for each column, and what names the run."""

    source: str
    names: list[str]
    file: Path
    rows: list[dict[str, Any]] = field(default_factory=list)


def read_tables(files: Sequence[Path], wanted: Wanted) -> list[Run]:
    """The runs in these tables, in the order in which they come.

    Numbers that vary are metrics; text, and numbers that are the same in all rows of each run, are settings.
    """
    return read_rows([(file, read_columns(file)) for file in files], wanted)


def read_rows(tables: Sequence[tuple[Path, Columns]], wanted: Wanted) -> list[Run]:
    """As `read_tables`, of columns that are read already."""
    for name in filter(None, (wanted.step, wanted.run)):
        if not any(name in columns for _, columns in tables):
            key = "step" if name == wanted.step else "run"
            raise InputError(f"{key}={name}: no such column; {tables[0][0]} has {', '.join(tables[0][1])}")
    found: list[Rows] = []
    for file, columns in tables:
        found += list(_split_runs(file, columns, wanted))
    settings = _settings(found, wanted)
    return [_collect(run, settings, wanted) for run in found]


def _pick(columns: Mapping[str, Any], wanted: str | None, names: Sequence[str]) -> str | None:
    """The wanted column, or the first of the usual `names`, in any case, that is there."""
    if wanted in columns:
        return wanted
    lower = {name.lower(): name for name in columns}
    return next((lower[name] for name in names if name in lower), None)


def _split_runs(file: Path, columns: Columns, wanted: Wanted) -> Iterator[Rows]:
    step = _pick(columns, wanted.step, (*STEPS, *EPOCHS))
    metric, value = _pick(columns, None, METRICS), _pick(columns, None, ["value"])
    run = _pick(columns, wanted.run, RUNS)
    seed = _pick(columns, wanted.seed, [name.lower() for name in columns if is_seed_name(last_part(name))])
    if metric and value and wanted.metric not in columns:
        columns = _one_column_each(file, columns, metric, value, [name for name in (run, seed, step) if name])
    elif step and not run and not seed and wanted.metric and wanted.metric not in columns:
        yield from _column_each(file, columns, step, wanted.metric)
        return
    rows = [dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True)]
    by = [name for name in (run, seed) if name]
    if step and not by:
        yield Rows(str(file), path_names(file), file, rows)
        return
    groups: dict[Any, Rows] = {}
    for number, row in enumerate(rows, start=1):
        if not step:
            what = "" if len(rows) == 1 else f": {row[run]}" if run else f": row {number}"
            groups[number] = Rows(f"{file}{what}", [*([str(row[run])] if run else []), *path_names(file)], file, [row])
            continue
        key = tuple(row[name] for name in by)
        if key not in groups:
            if None in key:
                raise InputError(f"{file}: {by[key.index(None)]} is missing in row {number}; every row needs its run")
            names = [str(row[run])] if run else []
            groups[key] = Rows(f"{file}: {by[0]} {key[0]}", [*names, *path_names(file)], file)
        groups[key].rows.append(row)
    yield from groups.values()


def _one_column_each(file: Path, columns: Columns, metric: str, value: str, by: Sequence[str]) -> Columns:
    """A table with a row for each value as one with a column for each metric."""
    names = list(dict.fromkeys(str(name) for name in columns[metric]))
    others = [name for name in columns if name not in (metric, value)]
    rows: dict[Any, dict[str, Any]] = {}
    for number, cells in enumerate(zip(*columns.values(), strict=True), start=1):
        row = dict(zip(columns, cells, strict=True))
        merged = rows.setdefault(tuple(row[name] for name in by), {name: row[name] for name in others})
        if merged.setdefault(row[metric], row[value]) != row[value]:
            raise InputError(f"{file}: a second value of {row[metric]} in row {number}, of the same run and step")
    return {name: [row.get(name) for row in rows.values()] for name in [*others, *names]}


def _column_each(file: Path, columns: Columns, step: str, metric: str) -> Iterator[Rows]:
    """A table whose columns are runs, all of the same metric: their names differ in digits alone."""
    runs = [name for name, values in columns.items() if name != step and all(v is None or is_number(v) for v in values)]
    runs = [name for name in runs if name.lower() not in (*STEPS, *EPOCHS)]
    if len({re.sub(r"\d+", "#", name) for name in runs}) != 1 or not re.search(r"\d", runs[0]):
        raise InputError(f"metric.name={metric}: {file} has no such column; it has {', '.join(columns)}")
    for name in runs:
        rows = [{step: at, metric: value} for at, value in zip(columns[step], columns[name], strict=True)]
        yield Rows(f"{file}: {name}", [name, *path_names(file)], file, rows)


def _settings(found: Sequence[Rows], wanted: Wanted) -> set[str]:
    """The columns that are settings: text, and numbers that do not vary within any run, nor over runs of one row."""
    values: dict[str, list[set[Any]]] = {}
    text: set[str] = set()
    for run in found:
        for name in dict.fromkeys(name for row in run.rows for name in row):
            cells = [row.get(name) for row in run.rows]
            text |= {name} if any(cell is not None and not is_number(cell) for cell in cells) else set()
            values.setdefault(name, []).append({"nan" if cell != cell else cell for cell in cells})
    steady = {name for name, each in values.items() if all(len(cells) == 1 for cells in each)}
    if all(len(run.rows) == 1 for run in found):
        steady = {name for name in steady if len(set().union(*values[name])) == 1} if len(found) > 1 else set()
    seeds = {name for name in values if name == wanted.seed or is_seed_name(last_part(name))}
    return (text | steady | seeds) - {wanted.metric}


def _collect(run: Rows, settings: set[str], wanted: Wanted) -> Run:
    first = run.rows[0]
    named = _pick(first, wanted.run, RUNS)
    step, epoch = _pick(first, wanted.step, STEPS), _pick(first, None, EPOCHS)
    counts_epochs = step is None and epoch is not None
    collected = Collector(run.source, run.names)
    for name in settings & set(first):
        cells = {str(row[name]): row[name] for row in run.rows if row.get(name) is not None}
        if name not in (named, step, epoch) and len(cells) == 1:  # text that changes within a run is no setting
            (value,) = cells.values()
            collected.hparams[name] = value if is_number(value) or isinstance(value, bool) else str(value)
    at = step or epoch
    for row in run.rows:
        if at and not is_number(row[at]):
            raise InputError(f"{run.source}: {at} is {row[at]}; every row needs a number")
        if step and epoch and row[epoch] is not None:
            collected.add_epoch(row[step], row[epoch])
        for name, value in row.items():
            if name not in (named, step, epoch) and name not in settings and value is not None:
                if not is_number(value):
                    raise InputError(f"{run.source}: {name} is {value}: no number")
                collected.add(name, row[at] if at else None, value)
    return collected.finish(run.file, counts_epochs)
