"""CSV and Parquet files as columns of Python values."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa
from pyarrow import csv, parquet

from seedspread.config.errors import InputError

SEPARATORS = ",;\t"
ABSENT = ["", "null", "NULL", "None", "NA", "N/A", "<NA>"]  # NaN is none of them: a metric that is NaN was logged

Columns = Mapping[str, list[Any]]


def read_columns(path: Path) -> Columns:
    """The columns of a file by name, None where a cell is empty; without an index that pandas wrote.

    Columns of a CSV file are separated by commas, semicolons (then decimals may be commas) or tabs. Raises InputError
    for a file that is empty, torn, not UTF-8 or no table, and for two columns of one name.
    """
    try:
        table = parquet.read_table(path) if path.suffix == ".parquet" else _read_csv(path)
    except pa.ArrowInvalid as error:
        why = "it is not UTF-8; save it as UTF-8" if "UTF8" in str(error) else " ".join(str(error).split())[:120]
        raise InputError(f"{path}: cannot be read as a table: {why}") from error
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: cannot be read as a table: it is not UTF-8; save it as UTF-8") from error
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror or ' '.join(str(error).split())[:120]}") from error
    names = table.column_names
    if twice := [name for name in names if names.count(name) > 1]:
        raise InputError(f"{path}: {names.count(twice[0])} columns are named {twice[0]}; rename or remove all but one")
    if not table.num_rows:
        raise InputError(f"{path}: it has no rows")
    return {
        name: column.to_pylist()
        for name, column in zip(names, table.columns, strict=True)
        if column.null_count < len(column) and name not in ("", "Unnamed: 0", "__index_level_0__")
    }


def column_names(path: Path) -> list[str]:
    """The names of a file's columns; none where it is no table."""
    try:
        if path.suffix == ".parquet":
            return list(parquet.read_schema(path).names)
        line = _first_line(path)
    except (OSError, UnicodeDecodeError, pa.ArrowInvalid):
        return []
    return [name.strip().strip('"') for name in line.split(_separator(line))]


def _first_line(path: Path) -> str:
    with pa.input_stream(path) as file:  # undoes .gz
        return bytes(file.read(1 << 20)).split(b"\n", 1)[0].decode("utf-8-sig").rstrip("\r")


def _separator(line: str) -> str:
    return next((mark for mark in SEPARATORS if mark in line), ",")


def _read_csv(path: Path) -> pa.Table:
    separator = _separator(_first_line(path))
    return csv.read_csv(
        path,
        read_options=csv.ReadOptions(use_threads=False),
        parse_options=csv.ParseOptions(delimiter=separator, newlines_in_values=True),
        convert_options=csv.ConvertOptions(
            null_values=ABSENT,
            strings_can_be_null=True,
            quoted_strings_can_be_null=True,
            decimal_point="," if separator == ";" else ".",
            timestamp_parsers=["%Y"],  # dates stay text
        ),
    )


def is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
