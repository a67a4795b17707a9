"""Folders and archives of pictures, their cache, and what is wrong with them."""

import contextlib
import io
import multiprocessing
import os
import re
import tarfile

import numpy as np
import pytest
from PIL import Image

from seedspread.config.errors import InputError
from seedspread.data.class_folders import read_class_folders
from seedspread.data.picture_files import read_picture_files
from tests.data.pictures import archive, files, folder, png, values


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
    expected = grey // 256
    found = read_class_folders(str(root), tmp_path, 8).train.images[0]
    listed = read_picture_files(str(root), tmp_path, 8).train.load(0)
    for picture in (found, np.asarray(listed)):
        assert (picture == expected[:, :, None]).all() and len(np.unique(picture)) == 64


def test_the_cache_is_reused_follows_changes_and_survives_damage(tmp_path, monkeypatch):
    source, cache = folder(tmp_path / "in", files()), tmp_path / "cache"
    first = read_class_folders(str(source), cache, 8)
    with monkeypatch.context() as patch:
        patch.setattr("seedspread.data.class_folders._decode", lambda *_: pytest.fail("decoded again"))
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


def test_of_several_processes_one_decodes_and_the_others_wait(tmp_path):
    source = str(folder(tmp_path / "in", {**files(train=200), "notes.txt": b"x"}))
    context = multiprocessing.get_context("fork")
    barrier, found = context.Barrier(3), context.Queue()

    def read():
        with (tmp_path / f"said by {os.getpid()}").open("w") as said, contextlib.redirect_stdout(said):
            barrier.wait()
            found.put(read_class_folders(source, tmp_path / "cache", 8).fingerprint)

    processes = [context.Process(target=read) for _ in range(3)]
    for process in processes:
        process.start()
    assert len({found.get(timeout=60) for _ in processes}) == 1
    for process in processes:
        process.join()
    said = sorted(path.read_text() for path in tmp_path.glob("said by *"))
    assert said[:2] == ["", ""] and "1 file with an ending that is not read" in said[2]
    assert len(list((tmp_path / "cache").iterdir())) == 1


def broken(contents: dict[str, bytes]) -> dict[str, bytes]:
    return {**contents, "train/b/1.png": contents["train/b/1.png"][:40]}


@pytest.mark.parametrize(
    "contents, says",
    [
        ({"notes.txt": b"hello"}, "no pictures in it, but 1 file with an ending that is not read (1 .txt)"),
        (files(classes="a"), "1 class found, at least 2 are needed"),
        ({**files(), "train/c/0.png": png(1)}, "train/ and test/ hold different classes: only in train/: c; rename"),
        (broken(files()), "train/b/1.png: not a whole picture"),
        ({**files(), "../../evil.png": png(1)}, "unsafe path '../../evil.png'"),
        ({**files(), "/evil.png": png(1)}, "unsafe path '/evil.png'"),
    ],
)
@pytest.mark.parametrize("suffix", [".tar", ".zip"])
def test_bad_archives_are_named_and_leave_no_cache(tmp_path, contents, says, suffix):
    source = archive(tmp_path / f"in{suffix}", contents)
    with pytest.raises(InputError, match=re.escape(says)):
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
