"""The metrics of a program that knows nothing of seedspread: JSON lines, a file it writes, its output, TensorBoard."""

import csv
import io
import json
import re
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from seedspread.config.errors import InputError
from seedspread.records.example_results import NAMES
from seedspread.scripts.recorder import Recorder
from seedspread.scripts.script import FailedError


@dataclass(frozen=True)
class Places:
    """Where the metrics of a program are: a CSV or JSON file, a pattern over its output, a folder of TensorBoard.

    Where none is named they are in the JSON lines that it prints.
    """

    file: str | None = None
    regex: str | None = None
    events: str | None = None

    def __post_init__(self) -> None:
        if self.regex is not None:
            try:
                groups = re.compile(self.regex).groups
            except re.error as error:
                raise InputError(f"regex={self.regex}: {error}") from error
            if not groups:
                raise InputError(f"regex={self.regex}: put the number in brackets, for example 'accuracy: ([0-9.]+)'")

    @property
    def are_named(self) -> bool:
        """Whether the user said where metrics are."""
        return any(value is not None for value in asdict(self).values())

    def stored(self) -> dict[str, str]:
        """The places that are named."""
        return {name: value for name, value in asdict(self).items() if value is not None}


Files = Mapping[Path, tuple[int, ...]]  # what changes when a file is written: modification time in ns, size, inode


def list_files(places: Places, fill: Callable[[str], str]) -> Files:
    """The files where the metrics will be, as they are now; `fill` puts the seed into a path."""
    found: dict[Path, tuple[int, ...]] = {}
    for place in (places.file, places.events):
        if place is not None:
            path = Path(fill(place))
            for file in path.rglob("*tfevents*") if path.is_dir() else [path]:
                with suppress(OSError):  # not there, or just gone
                    stat = file.stat()
                    found[file] = stat.st_mtime_ns, stat.st_size, stat.st_ino
    return found


def read_output(
    recorder: Recorder, places: Places, folder: Path, fill: Callable[[str], str], before: Files, name: str = "value"
) -> None:
    """Read the metrics of a program that has ended; `folder` has its output, `fill` puts the seed into a path.

    A number that a pattern finds without naming it is the metric `name`. Raises FailedError where they are not there,
    or where the files are those of `before` the program ran.
    """
    written = {file for file, state in list_files(places, fill).items() if before.get(file) != state}
    if places.file is not None:
        _read_file(recorder, _check_written(Path(fill(places.file)), before, written))
    if places.regex is not None:
        text = "".join((folder / name).read_text(errors="replace") for name in ("stdout.txt", "stderr.txt"))
        _read_matches(recorder, places.regex, text, name)
    if places.events is not None:
        _read_events(recorder, _check_written(Path(fill(places.events)), before, written), written)
    if not places.are_named:
        lines = (folder / "stdout.txt").read_text(errors="replace").splitlines()
        found = [values for line in lines if (values := _parse_json_line(line))]
        if not found:
            raise FailedError(
                'no metric was found: it printed no JSON line, as {"accuracy": 0.93}; name file=, regex= or events=, '
                "or call ss.record in it",
                "\n".join(lines[-20:]),
            )
        _add_rows(recorder, found, only_last=True)


def _check_written(path: Path, before: Collection[Path], written: Collection[Path]) -> Path:
    old, new = (any(file.is_relative_to(path) for file in files) for files in (before, written))
    if not path.exists():
        reason = f"{path} is not there: the program did not write it"
    elif old and not new:
        reason = f"{path} is older than this run: the program did not write it"
    else:
        return path
    raise FailedError(reason, f"{reason}\n")


def _read_file(recorder: Recorder, path: Path) -> None:
    text = path.read_text(errors="replace")
    try:
        if path.suffix == ".csv":
            rows: Any = [_parse_cells(row) for row in csv.DictReader(io.StringIO(text.lstrip("\ufeff"), newline=""))]
        elif path.suffix == ".jsonl":
            rows = [json.loads(line) for line in text.splitlines() if line.strip()]
        else:
            rows = json.loads(text)
    except (ValueError, csv.Error) as error:
        raise FailedError(f"{path} is neither JSON nor CSV: {error}", text[-2000:]) from error
    rows = rows if isinstance(rows, list) else [rows]
    if not rows or not all(isinstance(row, Mapping) for row in rows):
        raise FailedError(f"{path} has no metrics: an object, or a list of them, one an epoch", text[-2000:])
    _add_rows(recorder, [dict(_flatten(row)) for row in rows])


def _read_matches(recorder: Recorder, pattern: str, text: str, name: str) -> None:
    """Named groups are metrics; without them the first is `name`. Several matches are points of a curve."""
    names = [name, *(f"{name}{i}" for i in range(2, 1 + re.compile(pattern).groups))]
    matches = [
        _parse_cells(found.groupdict() or dict(zip(names, found.groups(), strict=True)))
        for found in re.finditer(pattern, text, re.MULTILINE)
    ]
    if not matches:
        raise FailedError(f"regex={pattern}: nothing in its output matches", text[-2000:])
    if not any(matches):
        raise FailedError(f"regex={pattern}: what it finds is no number", text[-2000:])
    _add_rows(recorder, matches)


def _read_events(recorder: Recorder, folder: Path, written: Collection[Path]) -> None:
    """The scalars of every event file that was written; those of an inner folder by its name: train/loss."""
    from seedspread.records.logs.tensorboard import read_tensorboard  # noqa: PLC0415 - a second

    files = sorted(file for file in written if "tfevents" in file.name and file.is_relative_to(folder))
    try:
        runs = read_tensorboard(files)
    except InputError as error:
        raise FailedError(str(error), f"{error}\n") from error
    if not any(run.final for run in runs):
        raise FailedError(f"{folder} has no scalars of TensorBoard", f"{folder} has no scalars of TensorBoard\n")
    count_epochs = all(run.epochs is not None for run in runs)
    for run in runs:
        place = Path(run.source)
        inner = "" if place in (folder, folder.parent) else f"{place.relative_to(folder)}/"
        for name, value in run.final.items():
            curve = run.curves.get(name, [])
            if not curve:  # logged once, as what is tested in the end
                recorder.add(None, None, {}, {f"{inner}{name}": value})
            for i, point in enumerate(curve):
                if point is not None:
                    epoch = run.epochs[i] if count_epochs and run.epochs else None
                    step = run.steps[i] if run.steps is not None else None
                    recorder.add(step, epoch, {}, {f"{inner}{name}": point})


def _parse_json_line(line: str) -> dict[str, Any]:
    """The numbers of a line that is a JSON object; empty for any other."""
    if not line.lstrip().startswith("{"):
        return {}
    try:
        found = json.loads(line)
    except ValueError:
        return {}
    return dict(_flatten(found))


def _flatten(values: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Numbers by name, `val/acc` of a nested object; what is said of examples as it is, all else left out."""
    for key, value in values.items():
        name = f"{prefix}{key}"
        if isinstance(value, Mapping):
            yield from _flatten(value, f"{name}/")
        elif type(value) in (int, float) or (name in NAMES and isinstance(value, list)):
            yield name, value
        elif isinstance(value, str) and value.strip("+-").lower() in ("nan", "inf", "infinity"):  # JSON has no such
            yield name, float(value)


def _parse_cells(row: Mapping[str, Any]) -> dict[str, Any]:
    """The numbers of a row of text."""
    found = {}
    for name, text in row.items():
        with suppress(TypeError, ValueError):  # an empty cell, or words
            found[str(name).strip()] = float(text)
    return found


def _add_rows(recorder: Recorder, rows: list[dict[str, Any]], only_last: bool = False) -> None:
    """Rows with an epoch or a step are points of curves. Of several without, each is an epoch, or the last counts."""
    numbered = [row for row in rows if "epoch" in row or "step" in row]
    plain = [row for row in rows if not ("epoch" in row or "step" in row)]
    if len(plain) > 1 and not only_last and not numbered:
        for epoch, row in enumerate(plain):
            recorder.add_mapping(row, epoch)
        return
    for row in [*numbered, *plain[-1:]]:
        recorder.add_mapping(row)
