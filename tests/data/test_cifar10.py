"""CIFAR-10 from each of its sources."""

from pathlib import Path

import numpy as np
import pytest
import torchvision

from seedspread.config.errors import InputError
from seedspread.data import cifar10
from seedspread.data.cifar10 import read_cifar10


def test_cifar10_without_a_network_shows_all_three_sources(tmp_path, monkeypatch):
    def no_network(*_args, **_kwargs):
        raise OSError("no route to host")

    monkeypatch.setattr(torchvision.datasets.utils, "_urlretrieve", no_network)
    with pytest.raises(InputError) as raised:
        read_cifar10(None, tmp_path / "cache", 32)
    for source in ("cifar-10-python.tar.gz", "train/<class>/*.jpg", "connect to the network"):
        assert source in str(raised.value)


def test_a_damaged_cifar10_archive_is_named(tmp_path):
    (tmp_path / cifar10.ARCHIVE).write_bytes(b"torn")
    with pytest.raises(InputError, match=r"cifar-10-python\.tar\.gz is damaged: SHA-256"):
        read_cifar10(str(tmp_path), tmp_path / "cache", 32)
    (tmp_path / cifar10.ARCHIVE).unlink()
    (tmp_path / cifar10.UNPACKED).mkdir()
    with pytest.raises(InputError, match="cifar-10-batches-py is damaged"):
        read_cifar10(str(tmp_path / cifar10.UNPACKED), tmp_path / "cache", 32)


def test_the_original_arrays_are_read_through_torchvision(tmp_path, monkeypatch):
    """Small files in torchvision's own format, with checksums to match."""
    import hashlib
    import pickle

    base = tmp_path / cifar10.UNPACKED
    base.mkdir()
    rng = np.random.default_rng(0)

    def part(name: str, contents: dict) -> list[str]:
        data = pickle.dumps(contents)
        (base / name).write_bytes(data)
        return [name, hashlib.md5(data).hexdigest()]

    def batch(name: str) -> list[str]:
        return part(name, {"data": rng.integers(0, 256, (20, 3072), np.uint8), "labels": [i % 10 for i in range(20)]})

    monkeypatch.setattr(cifar10.CIFAR10, "train_list", [batch("data_batch_1")])
    monkeypatch.setattr(cifar10.CIFAR10, "test_list", [batch("test_batch")])
    name, md5 = part("batches.meta", {"label_names": list("abcdefghij")})
    monkeypatch.setattr(cifar10.CIFAR10, "meta", {"filename": name, "key": "label_names", "md5": md5})
    for source in (tmp_path, base):
        found = read_cifar10(str(source), tmp_path / "cache", 32)
        assert found.train.images.shape == (20, 32, 32, 3) and found.classes == tuple("abcdefghij")
    raw = pickle.loads((base / "data_batch_1").read_bytes())["data"]
    assert (found.train.images.transpose(0, 3, 1, 2).reshape(20, -1) == raw).all()


def test_real_cifar10_pictures(cifar_pictures, cache):
    found = read_cifar10(cifar_pictures, Path(cache), 32)
    assert found.train.images.shape == (50_000, 32, 32, 3) and found.test.images.shape == (10_000, 32, 32, 3)
    assert np.bincount(found.train.labels).tolist() == [5000] * 10
    assert found.classes[0] == "airplane" and found.classes[9] == "truck"
    mean = found.train.images[::7].reshape(-1, 3).mean(0) / 255
    np.testing.assert_allclose(mean, (0.4913, 0.4821, 0.4465), atol=2e-3)
