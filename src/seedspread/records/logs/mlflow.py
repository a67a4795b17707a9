"""MLflow's SQLite store, mlflow.db: read with sqlite3, read-only, so MLflow need not be installed."""

import math
import sqlite3
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Any
from urllib.parse import quote

from seedspread.config.errors import InputError
from seedspread.records.logs.run import Collector, Run, name_some

LARGEST = 1.7976931348623157e308  # what MLflow stores for infinity
COMMIT, PARENT = "mlflow.source.git.commit", "mlflow.parentRunId"


def read_mlflow(files: Sequence[Path], experiment: str | None = None) -> list[Run]:
    """The runs in these stores that are not deleted, in the order of their start: of one experiment."""
    return [run for file in files for run in _read_store(file, experiment)]


def _read_store(file: Path, experiment: str | None) -> list[Run]:
    try:
        with closing(_connect(file)) as store:
            return _read_runs(file, store, experiment)
    except sqlite3.DatabaseError as error:
        raise InputError(f"{file}: no SQLite store of MLflow, or a damaged one: {error}") from error


def _connect(file: Path) -> sqlite3.Connection:
    place = f"file:{quote(str(file.absolute()))}"
    store = sqlite3.connect(f"{place}?mode=ro", uri=True)
    try:
        store.execute("SELECT 1 FROM sqlite_master").fetchone()
    except sqlite3.OperationalError:  # a store with a journal, in a folder that cannot be written
        store.close()
        store = sqlite3.connect(f"{place}?immutable=1", uri=True)
    return store


def _read_runs(file: Path, store: sqlite3.Connection, experiment: str | None) -> list[Run]:
    runs = store.execute(
        "SELECT run_uuid, runs.name, status, start_time, end_time, experiments.name FROM runs "
        "JOIN experiments USING (experiment_id) WHERE runs.lifecycle_stage = 'active' ORDER BY start_time, run_uuid"
    ).fetchall()
    there = sorted({str(row[-1]) for row in runs})
    if experiment is not None and experiment not in there:
        raise InputError(f"mlflow_experiment={experiment}: {file} has {name_some(there) or 'no runs'}")
    if experiment is None and len(there) > 1:
        raise InputError(
            f"{file}: runs of {len(there)} experiments ({name_some(there)}); name one, mlflow_experiment=NAME"
        )
    found: dict[str, Collector] = {}
    known: dict[str, dict[str, Any]] = {}
    tags: dict[str, dict[str, str]] = {}
    for key, value, run in store.execute("SELECT key, value, run_uuid FROM tags"):
        tags.setdefault(run, {})[key] = value
    for run, name, status, start, end, of in runs:
        if experiment in (None, of):
            found[run] = Collector(f"{file}: {name or run}", [str(name or run), run, file.name], without_step=0)
            known[run] = {"status": str(status), "ended": (end or start or 0) / 1000 or None}
            if start and end:
                found[run].times = [start / 1000, end / 1000]
    for key, value, run in store.execute("SELECT key, value, run_uuid FROM params"):
        if run in found:
            found[run].hparams[key] = value
    metrics = "SELECT key, value, step, is_nan, run_uuid FROM metrics ORDER BY step, timestamp, rowid"
    for key, value, step, is_nan, run in store.execute(metrics):
        if run in found:
            if is_nan:
                value = math.nan
            elif abs(value) >= LARGEST:
                value = math.copysign(math.inf, value)
            if key == "epoch":
                found[run].add_epoch(step, value)
            else:
                found[run].add(key, step, value)
    parents = {tags[run][PARENT] for run in found if PARENT in tags.get(run, {})}
    return [
        collected.finish(
            file,
            failed=f"MLflow: {known[run]['status']}" if known[run]["status"] in ("FAILED", "KILLED") else None,
            ended=known[run]["ended"],
            environment={"git_commit": tags[run][COMMIT]} if COMMIT in tags.get(run, {}) else {},
        )
        for run, collected in found.items()
        if collected.values or run not in parents  # a parent of nested runs has no values of its own
    ]
