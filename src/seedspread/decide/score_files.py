"""Arms of a comparison from CSV files of scores."""

from pathlib import Path

import numpy as np
import pandas as pd

from seedspread.config.errors import InputError
from seedspread.decide.arms import Arm


def is_score_file(name: str) -> bool:
    return name.lower().endswith((".csv", ".csv.gz"))


def read_arm(path: Path, column: str | None, seed_column: str | None) -> Arm:
    """The scores in a column of a CSV file, unscaled, and its seeds where it has them.

    Where no column is named, they are in the only one that holds no seeds. Columns are separated by commas, semicolons
    (then decimals may be commas) or tabs. Raises InputError for a file or column that is missing or ambiguous, and for
    scores that are no finite numbers.
    """
    table = _read_table(path)
    names = ", ".join(table.columns)
    others = [name for name in table.columns if name != seed_column]
    if column is None and len(others) == 1:
        (column,) = others
    if column is None:
        raise InputError(f"column=?: name the column of scores in {path}; it has {names}")
    if column not in table.columns:
        raise InputError(f"column={column}: {path} has no such column; it has {names}")
    for name in (column, seed_column):
        if (count := int((table.columns == name).sum())) > 1:
            raise InputError(f"{path}: {count} columns are named {name}; rename or remove all but one")
    scores = pd.to_numeric(table[column], errors="coerce").to_numpy(dtype=float)
    if len(bad := np.flatnonzero(~np.isfinite(scores))):
        value = table[column].iloc[bad[0]]
        more = f", and in {len(bad) - 1} more rows" if len(bad) > 1 else ""
        raise InputError(
            f"{path}: {column} is {value} in row {bad[0] + 1}{more}: not a finite number; remove such rows, and report "
            "that you did"
        )
    seeds = None
    if seed_column in table.columns:
        again = table[seed_column].duplicated() | table[seed_column].isna()
        if again.any():
            raise InputError(
                f"{path}: {seed_column} is {table[seed_column][again].iloc[0]} in two rows or missing; keep one row "
                "per seed, or ignore the seeds with seed_column=null"
            )
        numeric = pd.api.types.is_numeric_dtype(table[seed_column])
        seeds = (table[seed_column] if numeric else table[seed_column].astype(str)).to_numpy(
            dtype=None if numeric else str
        )
    return Arm(path.name.removesuffix(".gz").removesuffix(".csv"), scores, seeds)


def _read_table(path: Path) -> pd.DataFrame:
    """A CSV file with the column names of its first line, equal ones kept, which pandas would rename."""
    try:
        (line,) = pd.read_csv(path, header=None, nrows=1, sep="\x1f", dtype=str).iloc[0]  # the line undivided
        separator = next((mark for mark in ",;\t" if mark in str(line)), ",")
        decimal = "," if separator == ";" else "."
        head = pd.read_csv(path, header=None, nrows=1, sep=separator, skipinitialspace=True, dtype=str)
        table = pd.read_csv(path, sep=separator, decimal=decimal, skipinitialspace=True)
    except FileNotFoundError as error:
        raise InputError(f"{path}: no such file; paths are relative to {Path.cwd()}") from error
    except (OSError, ValueError) as error:  # pandas raises a ValueError for a file that is no table
        raise InputError(
            f"{path}: not a CSV file with a line of column names ({' '.join(str(error).split())})"
        ) from error
    if len(table.columns) == head.shape[1]:
        table.columns = head.iloc[0].astype(str)
    return table
