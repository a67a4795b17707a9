"""Each seed is a run of its own in the group of its study; nothing leaves the machine."""

import importlib.util
import json
import sqlite3
import struct
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from wandb.proto.wandb_internal_pb2 import Record

from seedspread.commands.train import train
from seedspread.config.errors import InputError
from seedspread.records.study import Study

QUICK = ("-m", "seed=1,2", "experiment=digits", "trainer.max_epochs=1", "model.width=4")


@pytest.fixture(autouse=True)
def _offline(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    for name, value in (("WANDB_MODE", "offline"), ("WANDB_ERROR_REPORTING", "false"), ("DO_NOT_TRACK", "true")):
        monkeypatch.setenv(name, value)
    for name in ("WANDB_PROJECT", "MLFLOW_TRACKING_URI"):
        monkeypatch.delenv(name, raising=False)


def wandb_records(path: Path) -> Iterator[Record]:
    """Records of an offline run: a log of LevelDB after 7 bytes, pieces of a record in blocks of 32 KiB."""
    content, at, joined = path.read_bytes(), 7, b""
    while at + 7 <= len(content):
        if (left := 32768 - at % 32768) < 7:
            at += left
            continue
        _, length, piece = struct.unpack_from("<IHB", content, at)
        joined += content[at + 7 : at + 7 + length]
        at += 7 + length
        if piece in (1, 4):  # whole, last
            yield Record.FromString(joined)
            joined = b""


def wandb_runs(folder: Path) -> dict[str, tuple[str, str, dict[str, float], int]]:
    """Name of each offline run: its project, group, last values and exit code."""
    runs = {}
    for path in folder.glob("offline-run-*/*.wandb"):
        last: dict[str, float] = {}
        for record in wandb_records(path):
            kind = record.WhichOneof("record_type")
            if kind == "run":
                run = record.run
            elif kind == "history":
                last.update(
                    {item.key or item.nested_key[0]: json.loads(item.value_json) for item in record.history.item}
                )
            elif kind == "exit":
                code = record.exit.exit_code
        runs[run.display_name] = run.project, run.run_group, last, code
    return runs


def mlflow_runs(database: Path) -> dict[str, tuple[str, str, float]]:
    """Name of each run: its experiment, status and last val/acc."""
    with sqlite3.connect(database) as connection:
        rows = connection.execute(
            "select r.name, e.name, r.status, m.value from runs r join experiments e using (experiment_id)"
            " join latest_metrics m using (run_uuid) where m.key = 'val/acc'"
        ).fetchall()
    return {name: tuple(rest) for name, *rest in rows}


@pytest.mark.parametrize("jobs", [1, 2])
def test_wandb(command, tmp_path, jobs):
    code, _, err = command(*QUICK, f"jobs={jobs}", "logger=wandb", "study=mine")
    assert code == 0, err
    runs = wandb_runs(tmp_path / "logs" / "wandb")
    assert sorted(runs) == ["seed-1", "seed-2"]
    records = Study.load(tmp_path / "results" / "mine").scan().records
    for name, (project, group, last, exit_code) in runs.items():
        assert (project, group, exit_code) == ("seedspread", "mine", 0)
        assert last["val/acc"] == pytest.approx(records[int(name[-1])].final["val/acc"])


def test_mlflow(command, tmp_path):
    code, _, err = command(*QUICK, "jobs=2", "logger=mlflow", "study=mine")  # at once: one database, one experiment
    assert code == 0, err
    runs = mlflow_runs(tmp_path / "logs" / "mlflow.db")
    records = Study.load(tmp_path / "results" / "mine").scan().records
    assert runs == {
        f"seed-{seed}": ("mine", "FINISHED", pytest.approx(record.final["val/acc"])) for seed, record in records.items()
    }


@pytest.mark.parametrize("logger", ["wandb", "mlflow"])
def test_they_change_no_weights(small, logger):
    weights = [
        train(small("trainer.max_epochs=1", *more)).weights_sha256 for more in ([f"logger={logger}"], ["study=no"])
    ]
    assert weights[0] == weights[1]


@pytest.mark.parametrize("logger", ["wandb", "mlflow"])
def test_a_missing_package(small, logger, monkeypatch, tmp_path):
    find = importlib.util.find_spec
    monkeypatch.setattr("seedspread.training.loggers.find_spec", lambda name: None if name == logger else find(name))
    with pytest.raises(InputError, match=rf"logger={logger}: {logger} is not installed; .*pip install '\.\[loggers\]'"):
        train(small(f"logger={logger}"))
    assert not (tmp_path / "results" / "digits").exists()
    assert sys.modules.get("wandb") is None or sys.modules["wandb"].run is None
