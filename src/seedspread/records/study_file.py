"""A study in one file, to publish or to move: `seedspread export` writes it, `seedspread import` restores the study.

A Parquet table with one row per seed, which any data-frame library reads:

    seed, status          of the record
    val/acc ...           the final value of each metric, in the unit of the record
    curves/val/acc ...    its curve, a list
    examples/predictions  what the seed said of each test example: the bytes of an array, of the type in the field's
                          metadata
    record                every other field of the record, as JSON

The schema's metadata hold study.yaml and the index of test examples. Paths of the machine that trained are left out.
"""

import base64
import io
import json
import os
import re
import shlex
import tempfile
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import yaml

from seedspread.config.errors import InputError
from seedspread.config.identity import compute_digest
from seedspread.records.example_results import hash_results
from seedspread.records.examples import DAMAGED, ExampleIndex, pack_examples
from seedspread.records.files import unwritable_error, write_atomically
from seedspread.records.metric import Metric
from seedspread.records.record import Record, find_fault
from seedspread.records.study import Study, study_folder

STUDY, INDEX, NAME = b"seedspread.study", b"seedspread.examples", b"seedspread.name"
CURVES, EXAMPLES = "curves/", "examples/"
LEVEL = 19  # of zstd: a file is written once
# An absolute path, in a text of any kind; the slashes of a URL follow a colon, a slash or a letter.
_PATH = re.compile(r"(?<![\w.:/\\-])(?:~|[A-Za-z]:)?[/\\](?:[^\s'\"=,;()\[\]{}/\\]+[/\\])*(?=[^\s'\"=,;()\[\]{}/\\])")

Array = np.ndarray


@dataclass(frozen=True)
class StudyFile:
    """The contents of a file: the study's name and its study.yaml, records, test examples, and what each seed said of
    them."""

    name: str
    stored: Mapping[str, Any]
    records: Sequence[Record]
    index: ExampleIndex | None
    examples: Mapping[int, Mapping[str, Array]]


def is_study_file(path: Path) -> bool:
    """Whether `path` was written by `write_study_file`."""
    try:
        return path.suffix == ".parquet" and STUDY in (pq.read_schema(path).metadata or {})
    except (OSError, pa.ArrowException):
        return False


def write_study_file(study: Study, path: Path) -> StudyFile:
    """Write `study` to `path`, atomically, and return what the file holds.

    Raises InputError where the study has no record that counts, version 1 wrote it, or `path` cannot be written.
    """
    contents = _collect(study)
    table = _to_table(contents)
    buffer = io.BytesIO()
    pq.write_table(table, buffer, compression="zstd", compression_level=LEVEL)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(path, buffer.getvalue())
    except OSError as error:
        raise InputError(f"cannot write {path}: {error.strerror or error}. Name another folder with folder=") from error
    return contents


def read_study_file(path: Path) -> StudyFile:
    """The study in `path`; InputError where it is torn or was edited."""
    try:
        contents = _from_table(pq.read_table(path))
        digest, metric = contents.stored["digest"], Metric.read(contents.stored["metric"])
        faults = [(record.seed, find_fault(record, metric)) for record in contents.records]
        faults += [(record.seed, "of another config") for record in contents.records if record.config_digest != digest]
        faults += [(record.seed, "labels that do not fit their hash") for record in _find_altered(contents)]
    except (OSError, pa.ArrowException, ValueError, KeyError, TypeError, yaml.YAMLError, zlib.error) as error:
        raise InputError(f"{path} is no whole file of a study ({type(error).__name__}); fetch it again") from error
    if found := next(((seed, fault) for seed, fault in faults if fault), None):
        raise InputError(f"{path} was edited: seed {found[0]}: {found[1]}; fetch it again")
    if digest != compute_digest(contents.stored["config"]):
        raise InputError(f"{path} was edited: its digest does not fit its config; fetch it again")
    return contents


def restore_study(contents: StudyFile, results: Path, name: str | None = None) -> tuple[Study, list[int]]:
    """Write the study under its name, or under `name`, into `results`: the study, and the seeds that are new there.

    Where the study exists, the seeds that it lacks are added. Raises InputError where it is of another config, other
    data or other test examples, or where a seed has another result there; nothing is written then.
    """
    folder = study_folder(str(results), name or contents.name)
    if not folder.exists():
        try:
            _write_whole(contents, folder)
            return Study.load(folder), [record.seed for record in contents.records]
        except FileExistsError:
            pass  # somebody else was faster: what they lack is added
        except OSError as error:
            raise unwritable_error(folder, error) from error
    study = Study.open(folder, contents.stored["config"], metric=Metric.read(contents.stored["metric"]))
    for name_, check in (("data_sha256", study.check_data), ("pretrained_sha256", study.check_pretrained)):
        if sha256 := contents.stored.get(name_):
            check(sha256)
    if contents.index is not None:
        study.check_examples(contents.index)
    known = study.scan().records
    for record in contents.records:
        if record.seed in known and (what := _find_difference(known[record.seed], record)):
            raise InputError(
                f"seed {record.seed} is in {folder} with {what}; none is imported.\n"
                f"Name a study of its own, for example study={folder.name}_2, and compare the two"
            )
    new = [record for record in contents.records if record.seed not in known]
    for record in new:
        said = dict(contents.examples.get(record.seed, {}))
        study.write(record, said.pop("predictions", None), None, **said)
    return study, [record.seed for record in new]


def _write_whole(contents: StudyFile, folder: Path) -> None:
    """Write a study that is not there yet: whole or not at all, and on the disk before it has its name."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".draft-", dir=folder.parent) as scratch:
        study = Study(Path(scratch, folder.name), contents.stored["config"])
        for place in (study.record_path(0), study.index_path):
            place.parent.mkdir(parents=True)
        (study.folder / "study.yaml").write_text(yaml.safe_dump(dict(contents.stored), sort_keys=False))
        if contents.index is not None:
            study.index_path.write_bytes(contents.index.to_npz())
        for record in contents.records:
            if said := contents.examples.get(record.seed):
                study.examples_path(record.seed).write_bytes(_pack(said, contents.index))
            study.record_path(record.seed).write_bytes(record.to_json())
        os.sync()
        study.folder.rename(folder)


def _pack(said: Mapping[str, Array], index: ExampleIndex | None) -> bytes:
    more = dict(said)
    return pack_examples(more.pop("predictions", None), int(index.labels.max()) + 1 if index else 0, **more)


def _find_difference(known: Record, record: Record) -> str | None:
    """In what the results of a seed differ, for a message; None where they do not."""
    for name in ("weights_sha256", "predictions_sha256", "status", "final", "curves"):
        if getattr(known, name) != getattr(record, name):
            return f"another result ({name})"
    return None


def _find_altered(contents: StudyFile) -> list[Record]:
    """The records whose seed has other labels per example than the record's hash says."""
    return [
        record
        for record in contents.records
        if (labels := contents.examples.get(record.seed, {}).get("predictions")) is not None
        and record.predictions_sha256 not in (None, hash_results({"predictions": labels})[1])
    ]


def _collect(study: Study) -> StudyFile:
    study.check_trainable()
    records = list(study.scan().records.values())
    if not records:
        raise InputError(f"{study.folder} holds no record yet: nothing is exported")
    stored = yaml.safe_load((study.folder / "study.yaml").read_text())
    config = leave_out_places(stored["config"])
    if config != stored["config"]:
        digest = compute_digest(config)
        stored |= {"config": config, "digest": digest}
        records = [replace(record, config_digest=digest) for record in records]
    try:
        index = study.read_index()
    except DAMAGED:
        index = None
    examples = {}
    for record in records:
        try:
            examples[record.seed] = study.examples(record.seed)
        except DAMAGED:
            continue
    return StudyFile(study.name, stored, [_leave_out_places(record) for record in records], index, examples)


def _leave_out_places(record: Record) -> Record:
    values = {name: leave_out_places(getattr(record, name)) for name in _TEXTS}
    if record.command:
        words = [word for word in shlex.split(record.command) if not word.startswith("results=")]
        values["command"] = leave_out_places(shlex.join(words))
    return replace(record, **values)


_TEXTS = ("reason", "environment", "data_source", "features", "pretrained", "resumed_from", "resumed_with")


def leave_out_places(value: Any) -> Any:
    """`value` with the last part of a path for every absolute path in its texts.

    >>> leave_out_places(["data.source=/home/me/cifar.tar", "https://host/a/b", "a/b"])
    ['data.source=cifar.tar', 'https://host/a/b', 'a/b']
    """
    if isinstance(value, str):
        return _PATH.sub("", value)
    if isinstance(value, Mapping):
        return {leave_out_places(key): leave_out_places(one) for key, one in value.items()}
    return [leave_out_places(one) for one in value] if isinstance(value, list | tuple) else value


def _to_table(contents: StudyFile) -> pa.Table:
    records = contents.records
    columns: dict[str, tuple[pa.DataType, list[Any], dict[str, str]]] = {
        "seed": (pa.int64(), [record.seed for record in records], {}),
        "status": (pa.string(), [str(record.status) for record in records], {}),
    }
    for name in dict.fromkeys(name for record in records for name in record.final):
        columns[name] = (pa.float64(), [record.final.get(name) for record in records], {})
    for name in dict.fromkeys(name for record in records for name in record.curves):
        columns[CURVES + name] = (pa.list_(pa.float64()), [record.curves.get(name) for record in records], {})
    for name in dict.fromkeys(name for said in contents.examples.values() for name in said):
        columns[EXAMPLES + name] = _examples_column(contents, name)
    columns["record"] = (pa.string(), [_rest(record) for record in records], {})
    metadata = {STUDY: yaml.safe_dump(dict(contents.stored), sort_keys=False).encode(), NAME: contents.name.encode()}
    if contents.index is not None:
        metadata[INDEX] = base64.b64encode(zlib.compress(contents.index.to_npz(), 9))
    fields = [pa.field(name, kind, metadata=meta) for name, (kind, _, meta) in columns.items()]
    arrays = [pa.array(values, kind) for kind, values, _ in columns.values()]
    return pa.table(arrays, schema=pa.schema(fields, metadata))


def _examples_column(contents: StudyFile, name: str) -> tuple[pa.DataType, list[Any], dict[str, str]]:
    """The arrays `name` of all seeds as bytes, and their type: (N, ...) with all but N the same for all seeds."""
    arrays = {seed: said[name] for seed, said in contents.examples.items() if name in said}
    kinds = {seed: (array.dtype.str, array.shape[1:]) for seed, array in arrays.items()}
    kind, tail = next(iter(kinds.values()))
    if odd := [seed for seed, found in kinds.items() if found != (kind, tail)]:
        raise InputError(f"seed {odd[0]} of {contents.name} has {name} of another type than seed {next(iter(kinds))}")
    values = [arrays[record.seed].tobytes() if record.seed in arrays else None for record in contents.records]
    return pa.binary(), values, {"dtype": kind, "shape": json.dumps([-1, *tail])}


def _rest(record: Record) -> str:
    """What no other column holds of a record; of its final values those that are None, which are null there."""
    stored = json.loads(record.to_json())
    stored = {key: value for key, value in stored.items() if key not in ("seed", "status", "curves")}
    return json.dumps(stored | {"final": {name: None for name, value in record.final.items() if value is None}})


def _from_table(table: pa.Table) -> StudyFile:
    metadata = table.schema.metadata
    columns = {field.name: table.column(field.name).to_pylist() for field in table.schema}
    rest = [json.loads(text) for text in columns.pop("record")]
    seeds, statuses = columns.pop("seed"), columns.pop("status")
    curves = {name.removeprefix(CURVES): columns.pop(name) for name in [*columns] if name.startswith(CURVES)}
    said = {name.removeprefix(EXAMPLES): columns.pop(name) for name in [*columns] if name.startswith(EXAMPLES)}
    records = []
    for row, (seed, status, stored) in enumerate(zip(seeds, statuses, rest, strict=True)):
        stored |= {"seed": seed, "status": status, "curves": _row(curves, row)}
        stored["final"] = _row(columns, row) | stored["final"]
        records.append(Record.parse(json.dumps(stored).encode()))
    types = {name: table.schema.field(EXAMPLES + name).metadata for name in said}
    examples = {
        seed: {
            name: np.frombuffer(data, types[name][b"dtype"].decode()).reshape(json.loads(types[name][b"shape"]))
            for name, data in _row(said, row).items()
        }
        for row, seed in enumerate(seeds)
    }
    packed = metadata.get(INDEX)
    index = ExampleIndex.read(io.BytesIO(zlib.decompress(base64.b64decode(packed)))) if packed else None
    return StudyFile(
        metadata[NAME].decode(),
        yaml.safe_load(metadata[STUDY]),
        records,
        index,
        {seed: found for seed, found in examples.items() if found},
    )


def _row(columns: Mapping[str, Sequence[Any]], row: int) -> dict[str, Any]:
    return {name: values[row] for name, values in columns.items() if values[row] is not None}
