"""Logs that Lightning, TensorBoard, W&B and MLflow wrote of the same five runs, and what was logged."""

import gzip
import json
from pathlib import Path

import pytest

from seedspread.records.logs.find import read_runs
from seedspread.records.logs.table import Wanted

HERE = Path(__file__).parent


def read_truth():
    """By seed and metric the steps and values at the source."""
    stored = json.loads((HERE / "truth.json").read_text())
    return {int(seed): curves for seed, curves in stored.items()}


def unpack_store(folder):
    """MLflow's store as it wrote it."""
    path = folder / "mlflow.db"
    path.write_bytes(gzip.decompress((HERE / "mlflow.db.gz").read_bytes()))
    return path


@pytest.fixture(scope="session")
def truth():
    return read_truth()


@pytest.fixture
def mlflow_db(tmp_path):
    return unpack_store(tmp_path)


@pytest.fixture
def read():
    """The runs in files, of whichever format they are."""

    def read_all(*paths, format="auto", experiment=None, **wanted):
        return read_runs([str(path) for path in paths], format, Wanted(**wanted), experiment)[1]

    return read_all


@pytest.fixture
def write(tmp_path):
    """Write a small file below the test's folder."""

    def write_text(name, text):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        return path

    return write_text
