"""Reading pictures: folders, archives, caches, and what is wrong with them."""

import io
import os
import tarfile
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torchvision
from PIL import Image

from seedspread.config.errors import InputError
from seedspread.data import cifar10
from seedspread.data.cifar10 import read_cifar10
from seedspread.data.class_folders import read_class_folders
from seedspread.data.digits import read_digits
from seedspread.data.picture_data import load_pictures
from seedspread.data.picture_files import read_picture_files
from seedspread.data.pictures import Pictures


def png(value: int, size: tuple[int, int] = (8, 8)) -> bytes:
    file = io.BytesIO()
    Image.new("RGB", size, (value, value, value)).save(file, "PNG")
    return file.getvalue()


def files(train: int = 3, test: int = 2, classes: str = "ab") -> dict[str, bytes]:
    """Pictures by path; each holds one value that encodes part, class and position."""
    return {
        f"{part}/{label}/{i}.png": png(100 * (part == "test") + 10 * c + i)
        for part, n in (("train", train), ("test", test))
        for c, label in enumerate(classes)
        for i in range(n)
    }


def folder(where: Path, contents: dict[str, bytes]) -> Path:
    for name, data in contents.items():
        (where / name).parent.mkdir(parents=True, exist_ok=True)
        (where / name).write_bytes(data)
    return where


def archive(path: Path, contents: dict[str, bytes]) -> Path:
    if path.suffix == ".zip":
        with zipfile.ZipFile(path, "w") as out:
            for name, data in contents.items():
                out.writestr(name, data)
    else:
        with tarfile.open(path, "w:xz" if path.suffix == ".xz" else "w") as out:
            for name, data in contents.items():
                info = tarfile.TarInfo(name)
                info.size = len(data)
                out.addfile(info, io.BytesIO(data))
    return path


def values(pictures: Pictures) -> list[int]:
    return pictures.images[:, 0, 0, 0].tolist()


def test_folders_and_archives_give_the_same_pictures(tmp_path):
    sources = [folder(tmp_path / "folder", files())]
    sources += [archive(tmp_path / f"a{suffix}", files()) for suffix in (".tar", ".tar.xz", ".zip")]
    nested = {f"top/{name}": data for name, data in files().items()}
    sources.append(archive(tmp_path / "nested.zip", nested))
    sets = [read_class_folders(str(source), tmp_path / "cache", 8) for source in sources]
    # one of each class, then the next of each: chunked augmentation draws in this order
    assert values(sets[0].train) == [0, 10, 1, 11, 2, 12]
    assert sets[0].train.labels.tolist() == [0, 1] * 3
    assert values(sets[0].test) == [100, 110, 101, 111]
    assert sets[0].classes == ("a", "b")
    assert len({found.fingerprint for found in sets}) == 1


def test_without_a_split_every_fifth_picture_is_held_out(tmp_path):
    contents = {f"{label}/{i}.png": png(10 * c + i) for c, label in enumerate("ab") for i in range(6)}
    found = read_class_folders(str(folder(tmp_path / "in", contents)), tmp_path / "cache", 8)
    assert values(found.test) == [4, 14]
    assert sorted(values(found.train)) == [0, 1, 2, 3, 5, 10, 11, 12, 13, 15]


def test_pictures_of_any_shape_are_resized_and_cropped_at_the_centre(tmp_path):
    wide = np.zeros((20, 60, 3), np.uint8)
    wide[:, 20:40] = 200
    file = io.BytesIO()
    Image.fromarray(wide).save(file, "PNG")
    contents = {**files(), "train/a/0.png": file.getvalue()}
    found = read_class_folders(str(folder(tmp_path / "in", contents)), tmp_path / "cache", 10)
    assert found.train.images.shape == (6, 10, 10, 3)
    assert (found.train.images[0, :, 2:8] == 200).all()


def test_grey_pictures_of_16_bits_are_scaled_and_not_clipped(tmp_path):
    contents = files()
    grey = (np.arange(64, dtype=np.uint16) * 1040).reshape(8, 8)  # up to 65,520
    for name in contents:
        file = io.BytesIO()
        Image.fromarray(grey).save(file, "PNG")
        contents[name] = file.getvalue()
    root = folder(tmp_path / "grey", contents)
    expected = np.round(grey / 257).astype(np.uint8)
    found = read_class_folders(str(root), tmp_path, 8).train.images[0]
    listed = read_picture_files(str(root), tmp_path, 8).train.load(0)
    for picture in (found, np.asarray(listed)):
        assert (picture == expected[:, :, None]).all() and len(np.unique(picture)) == 64


def test_the_cache_is_reused_follows_changes_and_survives_damage(tmp_path, monkeypatch):
    source, cache = folder(tmp_path / "in", files()), tmp_path / "cache"
    first = read_class_folders(str(source), cache, 8)
    with monkeypatch.context() as patch:
        patch.setattr("seedspread.data.class_folders._decode_parts", lambda *_: pytest.fail("decoded again"))
        again = read_class_folders(str(source), cache, 8)
    expected = values(first.train)
    assert again.fingerprint == first.fingerprint and values(again.train) == expected
    (entry,) = cache.iterdir()
    for part in entry.glob("*.npy"):
        os.truncate(part, 100)
    assert values(read_class_folders(str(source), cache, 8).train) == expected
    (entry,) = cache.iterdir()
    pixels = entry / "train_images.npy"
    pixels.write_bytes(pixels.read_bytes()[:-50] + b"\x07" * 50)  # same shape, other pixels
    assert values(read_class_folders(str(source), cache, 8).train) == expected
    (source / "train/a/0.png").write_bytes(png(77))
    changed = read_class_folders(str(source), cache, 8)
    assert values(changed.train)[0] == 77 and changed.fingerprint != first.fingerprint
    assert not [path for path in cache.iterdir() if path.name.startswith(".")]


def test_a_balanced_subset_is_fixed_and_equal_over_classes():
    labels = np.array([0, 0, 1, 0, 1, 2, 2, 1])
    pictures = Pictures(np.arange(8, dtype=np.uint8).reshape(8, 1, 1, 1), labels)
    assert pictures.balanced_subset(6, 3, "data.train_size").images.ravel().tolist() == [0, 1, 2, 4, 5, 6]
    assert pictures.balanced_subset(None, 3, "data.train_size") is pictures
    with pytest.raises(InputError, match=r"data.train_size=7: .* multiple of the 3 classes"):
        pictures.balanced_subset(7, 3, "data.train_size")
    with pytest.raises(InputError, match="at most 6"):
        pictures.balanced_subset(9, 3, "data.train_size")


def broken(contents: dict[str, bytes]) -> dict[str, bytes]:
    return {**contents, "train/b/1.png": contents["train/b/1.png"][:40]}


@pytest.mark.parametrize(
    "contents, says",
    [
        ({"notes.txt": b"hello"}, "no pictures in train/<class>"),
        (files(classes="a"), "1 class found, at least 2 are needed"),
        ({**files(), "train/c/0.png": png(1)}, "class 'c' has no pictures"),
        (broken(files()), "train/b/1.png: not a whole picture"),
        ({**files(), "../../evil.png": png(1)}, "unsafe path '../../evil.png'"),
        ({**files(), "/evil.png": png(1)}, "unsafe path '/evil.png'"),
    ],
)
@pytest.mark.parametrize("suffix", [".tar", ".zip"])
def test_bad_archives_are_named_and_leave_no_cache(tmp_path, contents, says, suffix):
    source = archive(tmp_path / f"in{suffix}", contents)
    with pytest.raises(InputError, match=says.replace("(", "\\(")):
        read_class_folders(str(source), tmp_path / "cache", 8)
    assert not (tmp_path / "cache").exists()
    assert not (tmp_path.parent / "evil.png").exists()


def test_hidden_files_of_macos_in_a_zip_are_skipped(tmp_path):
    source = archive(tmp_path / "in.zip", {**files(), "__MACOSX/train/a/._0.png": b"x", "train/a/.DS_Store.png": b"x"})
    assert len(read_class_folders(str(source), tmp_path / "cache", 8).train) == 6


def test_links_in_an_archive_are_refused(tmp_path):
    with tarfile.open(tmp_path / "in.tar", "w") as out:
        link = tarfile.TarInfo("train/a/0.png")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        out.addfile(link)
    with pytest.raises(InputError, match="train/a/0.png is a link"):
        read_class_folders(str(tmp_path / "in.tar"), tmp_path / "cache", 8)


def test_a_torn_archive_is_named(tmp_path):
    source = archive(tmp_path / "in.tar.xz", files())
    os.truncate(source, source.stat().st_size // 2)
    with pytest.raises(InputError, match=r"in\.tar\.xz: not a whole .* archive"):
        read_class_folders(str(source), tmp_path / "cache", 8)


def test_missing_sources_are_named(tmp_path):
    with pytest.raises(InputError, match=r"data.source=/nowhere: no such file"):
        read_class_folders("/nowhere", tmp_path, 8)
    with pytest.raises(InputError, match="data.source is not set"):
        read_class_folders(None, tmp_path, 8)


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


def test_the_digits_are_all_there(tmp_path):
    digits = read_digits(None, tmp_path, 8)
    assert len(digits.train) == 1297 and len(digits.test) == 500
    assert np.bincount(digits.test.labels).min() >= 45
    assert digits.train.images.max() == 255


def test_real_cifar10_pictures(cifar_pictures, cache):
    found = read_cifar10(cifar_pictures, Path(cache), 32)
    assert found.train.images.shape == (50_000, 32, 32, 3) and found.test.images.shape == (10_000, 32, 32, 3)
    assert np.bincount(found.train.labels).tolist() == [5000] * 10
    assert found.classes[0] == "airplane" and found.classes[9] == "truck"
    mean = found.train.images[::7].reshape(-1, 3).mean(0) / 255
    np.testing.assert_allclose(mean, (0.4913, 0.4821, 0.4465), atol=2e-3)


def test_a_process_reads_its_pictures_once(small):
    import torch
    from hydra.utils import instantiate

    from seedspread.config.streams import Streams

    load_pictures.cache_clear()
    for seed in range(3):
        instantiate(small().data, _partial_=True)(streams=Streams.of(seed), device=torch.device("cpu"))
    assert load_pictures.cache_info().misses == 1
