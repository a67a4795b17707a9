"""TensorBoard's event files: one run for each folder that holds any.

An event file is a sequence of records: length (8 bytes), its checksum, an Event in protocol buffers, its checksum.
TensorBoard's own reader checks and keeps far more and takes several times as long.
"""

import struct
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from google.protobuf.message import DecodeError
from tensorboard.compat.proto.event_pb2 import Event
from tensorboard.plugins.hparams.plugin_data_pb2 import HParamsPluginData
from tensorboard.util.tensor_util import make_ndarray

from seedspread.config.errors import InputError
from seedspread.records.logs.hparams import read_hparams
from seedspread.records.logs.run import Collector, Run, path_names

MARK = ".tfevents."  # in the name of every event file
SESSION = "_hparams_/session_start_info"
FLOATS = (1, 2, 14, 19)  # DataType of float, double, bfloat16 and half


def read_tensorboard(files: Sequence[Path]) -> list[Run]:
    """The runs of these event files, in the order of their folders.

    What `add_hparams` of torch writes into a folder of its own, below that of its run, is part of that run.
    """
    folders: dict[Path, list[Path]] = defaultdict(list)
    for file in files:
        folders[file.parent].append(file)
    runs = {folder: _read_folder(folder, sorted(inner)) for folder, inner in folders.items()}
    for folder in sorted(runs, key=lambda path: -len(path.parts)):
        if runs[folder].hparams and folder.parent in runs:
            _join(runs[folder.parent], runs.pop(folder))
    return [run.finish(max(folders[folder])) for folder, run in runs.items()]


def _join(run: Collector, part: Collector) -> None:
    run.hparams = part.hparams | run.hparams
    for metric, values in part.values.items():
        run.values.setdefault(metric, values)


def _read_folder(folder: Path, files: Sequence[Path]) -> Collector:
    run = Collector(str(folder), path_names(folder), read_hparams(folder / "hparams.yaml"), without_step=0)
    plugins: dict[str, str] = {}  # by tag; only the first value of a tag names its plugin
    for file in files:
        for event in read_events(file):
            if not event.summary.value:
                continue
            run.times.append(event.wall_time)
            for value in event.summary.value:
                plugin = plugins.setdefault(value.tag, value.metadata.plugin_data.plugin_name)
                if plugin == "hparams":
                    if value.tag == SESSION:
                        run.hparams = _session_hparams(value.metadata.plugin_data.content) | run.hparams
                elif (number := _scalar(value)) is not None:
                    if value.tag == "epoch":
                        run.add_epoch(event.step, number)
                    else:
                        run.add(value.tag, event.step, number)
    if all(number == -1 for _, number in run.values.get("hp_metric", [])):
        run.values.pop("hp_metric", None)  # what Lightning writes where no metric was named
    return run


def _scalar(value: Any) -> float | None:
    """The number in a summary, or None where it is a histogram, a picture or a text."""
    if value.HasField("simple_value"):
        return float(value.simple_value)
    if value.HasField("tensor") and value.tensor.dtype in FLOATS:
        array = make_ndarray(value.tensor)
        return float(array.reshape(())) if array.size == 1 else None
    return None


def _session_hparams(content: bytes) -> dict[str, Any]:
    stored = HParamsPluginData.FromString(content).session_start_info.hparams
    found: dict[str, Any] = {}
    for key in stored:
        kind = stored[key].WhichOneof("kind")
        value: Any = getattr(stored[key], kind) if kind else None
        found[key] = int(value) if kind == "number_value" and value.is_integer() else value
    return found


def read_events(file: Path) -> Iterator[Event]:
    """The events of a file; InputError where it is torn or damaged."""
    try:
        data = file.read_bytes()
    except OSError as error:
        raise InputError(f"{file}: cannot be read: {error.strerror}") from error
    records = list(_split(data, file))
    if (damaged := find_damaged([record[:-4] for record in records], [record[-4:] for record in records])) is not None:
        raise InputError(f"{file}: damaged: the checksum of event {damaged + 1} does not fit; restore a whole copy")
    try:
        for record in records:
            yield Event.FromString(record[:-4])
    except DecodeError as error:
        raise InputError(f"{file}: damaged: it holds what is no event of TensorBoard") from error


def _split(data: bytes, file: Path) -> Iterator[bytes]:
    """Each record with its checksum."""
    start = 0
    while start < len(data):
        length = struct.unpack_from("<Q", data, start)[0] if start + 12 <= len(data) else len(data)
        end = start + 12 + length + 4
        if end > len(data):
            raise InputError(
                f"{file}: torn: its last event, from byte {start:,} of {len(data):,}, is not whole; restore the file, "
                "or leave out the run, which may still be written"
            )
        yield data[start + 12 : end]
        start = end


LONGEST_CHECKED = 4096  # bytes; scalars take less than a hundred, and a picture has a checksum of its own
_POLYNOMIAL = 0x82F63B78  # CRC-32C, Castagnoli


def _crc_table() -> np.ndarray:
    table = np.arange(256, dtype=np.uint32)
    for _ in range(8):
        table = np.where(table & 1, (table >> np.uint32(1)) ^ np.uint32(_POLYNOMIAL), table >> np.uint32(1))
    return table


_TABLE = _crc_table()


def find_damaged(records: Sequence[bytes], checksums: Sequence[bytes]) -> int | None:
    """The first record, of at most LONGEST_CHECKED bytes, that its masked CRC-32C does not fit; None where all fit.

    Records of one length are computed at once, a byte of each in a step.
    """
    lengths: Mapping[int, list[int]] = defaultdict(list)
    for place, record in enumerate(records):
        if len(record) <= LONGEST_CHECKED:
            lengths[len(record)].append(place)
    return min((place for places in lengths.values() for place in _unfitting(places, records, checksums)), default=None)


def _unfitting(places: Sequence[int], records: Sequence[bytes], checksums: Sequence[bytes]) -> Iterable[int]:
    data = np.frombuffer(b"".join(records[place] for place in places), dtype=np.uint8).reshape(len(places), -1)
    crc = np.full(len(places), 0xFFFFFFFF, dtype=np.uint32)
    for column in np.ascontiguousarray(data.T):
        crc = _TABLE[(crc ^ column) & 0xFF] ^ (crc >> np.uint32(8))
    crc = ~crc
    masked = ((crc >> np.uint32(15)) | (crc << np.uint32(17))) + np.uint32(0xA282EAD8)
    stored = np.frombuffer(b"".join(checksums[place] for place in places), dtype="<u4")
    return [places[i] for i in np.flatnonzero(masked != stored).tolist()]
