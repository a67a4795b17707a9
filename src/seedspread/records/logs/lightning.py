"""Lightning's CSVLogger: a folder for each run, with metrics.csv and hparams.yaml.

A row holds what one call logged: the step, mostly the epoch, and the metrics of that moment; other cells are empty.
"""

from collections.abc import Sequence
from pathlib import Path

from seedspread.config.errors import InputError
from seedspread.records.logs.columns import is_number, read_columns
from seedspread.records.logs.hparams import read_hparams
from seedspread.records.logs.run import Collector, Run, path_names

FILE = "metrics.csv"


def read_lightning(files: Sequence[Path]) -> list[Run]:
    """The runs of these metrics.csv, in their order."""
    return [_read_run(file) for file in files]


def _read_run(file: Path) -> Run:
    folder, columns = file.parent, read_columns(file)
    steps, epochs = columns.get("step"), columns.get("epoch")
    if steps is None:
        raise InputError(f"{file}: no column step, as Lightning's CSVLogger writes; is it a table? format=table")
    run = Collector(str(folder), path_names(folder), read_hparams(folder / "hparams.yaml"))
    if not all(map(is_number, steps)):
        raise InputError(f"{file}: step is missing or no number in row {1 + list(map(is_number, steps)).index(False)}")
    for step, epoch in zip(steps, epochs or [], strict=False):
        if epoch is not None:
            run.add_epoch(step, epoch)
    for metric, values in columns.items():
        if metric not in ("step", "epoch"):
            for row, (step, value) in enumerate(zip(steps, values, strict=True), start=1):
                if is_number(value):
                    run.add(metric, step, value)
                elif value is not None:
                    raise InputError(f"{file}: {metric} is {value} in row {row}: no number; the file may be torn")
    return run.finish(file)
