"""From what was typed to runs: files and folders, which format they have, and its reader."""

import os
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from glob import glob
from pathlib import Path

from seedspread.config.errors import InputError
from seedspread.records.logs.columns import column_names
from seedspread.records.logs.lightning import FILE, read_lightning
from seedspread.records.logs.mlflow import read_mlflow
from seedspread.records.logs.run import Run, name_some
from seedspread.records.logs.table import Wanted, read_tables
from seedspread.records.logs.tensorboard import MARK, read_tensorboard
from seedspread.records.logs.wandb import is_wandb, read_wandb

Reader = Callable[[Sequence[Path], Wanted, str | None], list[Run]]  # of files, and MLflow's experiment

# Where files are of several formats, the first.
READERS: Mapping[str, Reader] = {
    "lightning": lambda files, wanted, experiment: read_lightning(files),
    "tensorboard": lambda files, wanted, experiment: read_tensorboard(files),
    "wandb": lambda files, wanted, experiment: read_wandb(files, wanted.run),
    "mlflow": lambda files, wanted, experiment: read_mlflow(files, experiment),
    "table": lambda files, wanted, experiment: read_tables(files, wanted),
}
TABLES = (".csv", ".csv.gz", ".tsv", ".parquet")
STORES = (".db", ".sqlite", ".sqlite3")
LOGS = (
    "metrics.csv of Lightning, event files of TensorBoard, CSV exports of W&B, MLflow's mlflow.db, or tables, "
    ".csv or .parquet"
)


def read_runs(logs: Sequence[str], format: str, wanted: Wanted, experiment: str | None = None) -> tuple[str, list[Run]]:
    """The format of these files, folders and patterns of both, and the runs in them.

    Raises InputError for what is not there, holds no log, is of two formats, or cannot be read.
    """
    found: dict[str, list[Path]] = defaultdict(list)
    for place in _expand(logs):
        for name, paths in _find_files(place, format).items():
            found[name] += paths
    by_format = {name: list(dict.fromkeys(paths)) for name, paths in found.items() if paths}
    if format == "auto" and len(specific := [name for name in by_format if name != "table"]) > 1:
        some = "; ".join(f"{name}: {by_format[name][0]}" for name in specific)
        raise InputError(f"logs of {len(specific)} formats ({some}); name one, format={specific[0]}")
    chosen = next(name for name in READERS if name in by_format)
    runs = READERS[chosen](by_format[chosen], wanted, experiment)
    if not any(run.final for run in runs):
        which = name_some([str(path) for path in by_format[chosen]], 3)
        raise InputError(f"no metric in {which}: nothing was logged there, or the run still writes its first values")
    return chosen, runs


def _expand(logs: Sequence[str]) -> Iterable[Path]:
    for text in logs:
        place = Path(text).expanduser()
        if place.exists():
            yield place
        elif matches := sorted(glob(str(place), recursive=True), key=_natural):  # noqa: PTH207 - may be absolute
            yield from map(Path, matches)
        else:
            raise InputError(f"{text}: no such file or folder; paths are relative to {Path.cwd()}")


def _natural(path: str) -> list[tuple[int, str]]:
    """Order by which version_2 comes before version_10."""
    return [(int(part), "") if part.isdigit() else (0, part) for part in path.replace("_", "/").split("/")]


def _find_files(place: Path, format: str) -> dict[str, list[Path]]:
    """The logs in a file or folder by format; InputError where there are none."""
    found: dict[str, list[Path]] = defaultdict(list)
    empty: list[str] = []
    files = [place] if place.is_file() else []
    for folder, folders, names in [] if files else os.walk(place):
        folders[:] = sorted((name for name in folders if not name.startswith(".")), key=_natural)
        if "hparams.yaml" in names and FILE not in names and not any(MARK in name for name in names):
            empty.append(folder)
        files += [Path(folder, name) for name in sorted(names, key=_natural) if not name.startswith(".")]
    for file in files:
        if (kind := _kind(file)) and (
            format in ("auto", kind) or (format == "table" and kind in ("lightning", "wandb"))
        ):
            found[kind if format == "auto" else format].append(file)
    if format == "auto" and found.keys() - {"table"}:
        found.pop("table", None)  # tables beside logs, such as those among MLflow's artifacts
    if not found:
        what = "" if format == "auto" else f" of format={format}"
        own = " (W&B's .wandb files are binary: export CSV)" if any(f.suffix == ".wandb" for f in files) else ""
        own = own or (
            " (MLflow's folder mlruns is not read, its store mlflow.db is)" * any(f.name == "meta.yaml" for f in files)
        )
        raise InputError(f"{place}: no log{what} in it{own}; read are {LOGS}")
    if empty:
        raise InputError(f"no metrics in {name_some(empty)}: the run ended before it logged any; remove the folder")
    return found


def _kind(file: Path) -> str | None:
    name = file.name.lower()
    if MARK in name:
        return "tensorboard"
    if name == FILE and "step" in column_names(file):
        return "lightning"
    if name.endswith(STORES):
        return "mlflow"
    if name.endswith(TABLES):
        return "wandb" if is_wandb(column_names(file)) else "table"
    return None
