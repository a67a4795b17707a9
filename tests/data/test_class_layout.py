"""Folders as people have them: what is read, what is left out with a word, and what is refused."""

import io
import os
import re
import stat
import tarfile
import zipfile

import numpy as np
import pytest
from PIL import Image

from seedspread.config.errors import InputError
from seedspread.data.class_folders import read_class_folders
from seedspread.data.picture_files import read_picture_files
from tests.data.pictures import archive, files, folder, png, values

KINDS = ["folder", ".tar", ".tar.xz", ".zip", "listed"]


def moved(contents, *changes):
    """`contents` with the beginnings of paths changed."""
    for old, new in changes:
        contents = {name.replace(old, new, 1) if name.startswith(old) else name: d for name, d in contents.items()}
    return contents


def as_picture(value, kind):
    file = io.BytesIO()
    Image.new("RGB", (8, 8), (value,) * 3).save(file, kind, **({"lossless": True} if kind == "WEBP" else {}))
    return file.getvalue()


@pytest.fixture(params=KINDS)
def read(request, tmp_path):
    """A function of files by path, and of empty folders: what a reader finds in a folder or an archive of them.

    It returns classes, and the grey values of the pictures to train on and of those to score, in order of the paths.
    """

    def read(contents, empty=()):
        if request.param in ("folder", "listed"):
            source = folder(tmp_path / "in", contents)
            for path in empty:
                (source / path).mkdir(parents=True)
        else:
            source = archive(tmp_path / f"in{request.param}", contents)
            add_folders(source, empty)
        if request.param != "listed":
            found = read_class_folders(str(source), tmp_path / "cache", 8)
            return found.classes, sorted(values(found.train)), sorted(values(found.test))
        listed = read_picture_files(str(source), tmp_path, 8)
        pixels = [
            sorted(int(np.asarray(part.load(i))[0, 0, 0]) for i in range(len(part)))
            for part in (listed.train, listed.test)
        ]
        return listed.classes, *pixels

    read.cache = tmp_path / "cache"
    return read


def add_folders(path, empty):
    if path.suffix == ".zip":
        with zipfile.ZipFile(path, "a") as out:
            for name in empty:
                out.writestr(f"{name}/", "")
    elif empty:
        with tarfile.open(path, "r:*") as before:
            members = [(member, before.extractfile(member).read()) for member in before]
        with tarfile.open(path, "w:xz" if path.suffix == ".xz" else "w") as out:
            for member, data in members:
                out.addfile(member, io.BytesIO(data))
            for name in empty:
                info = tarfile.TarInfo(name)
                info.type = tarfile.DIRTYPE
                out.addfile(info)


FOUND = (("a", "b"), [0, 1, 2, 10, 11, 12], [100, 101, 110, 111])


@pytest.mark.parametrize(
    "contents",
    [
        files(),
        moved(files(), ("", "deep/down/")),
        moved(files(), ("test/", "val/")),
        moved(files(), ("train/", "Training/"), ("test/", "Testing/")),
        moved(files(), ("train/a/0", "train/a/2019/first/0"), ("test/b/1", "test/b/2020/1")),
        {**files(), ".DS_Store": b"x", "Thumbs.db": b"x", "train/a/Thumbs.db": b"x", "train/.git/0.png": b"x",
         "__MACOSX/train/a/._0.png": b"x", "train/b/.0.png.swp": b"x", "test/a/desktop.ini": b"x"},
        {name.replace(".png", ".PNG"): data for name, data in files().items()},
    ],
    ids=["plain", "deep down", "val", "Training", "folders in a class", "files of systems", "upper case"],
)  # fmt: skip
def test_these_folders_are_read_without_a_word(read, contents, capsys):
    assert read(contents) == FOUND
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize("kind, ending", [("GIF", ".gif"), ("TIFF", ".TIF"), ("BMP", ".bmp"), ("WEBP", ".webp")])
def test_a_folder_of_gif_or_tiff_only_is_read(read, kind, ending):
    contents = {
        name.replace(".png", ending): as_picture(data, kind) for name, data in zip(files(), range(10), strict=True)
    }
    classes, train, test = read(contents)
    assert classes == ("a", "b") and train + test == list(range(10))


def test_without_parts_a_class_is_the_first_folder_and_not_the_last(read):
    contents = {f"pets/{label}/{i % 2}/{i}.png": png(10 * c + i) for c, label in enumerate("ab") for i in range(6)}
    classes, train, test = read(contents)
    assert classes == ("a", "b") and len(train) == 10
    assert test == [3, 13]  # the fifth of each class in order of its paths: 0, 2, 4, 1, 3, 5


def test_a_class_may_have_the_name_of_a_part(read):
    contents = {f"{label}/{i}.png": png(10 * c + i) for c, label in enumerate(["bus", "train"]) for i in range(5)}
    assert read(contents) == (("bus", "train"), [0, 1, 2, 3, 10, 11, 12, 13], [4, 14])


def test_endings_that_are_not_read_are_counted_and_named(read, capsys):
    others = {f"train/a/{i}.heic": b"x" for i in range(3)} | {"test/labels.npy": b"x", "README": b"x"}
    assert read({**files(), **others}) == FOUND
    said = capsys.readouterr().out
    assert "5 files with endings that are not read (3 .heic, " in said and "1 without" in said and "1 .npy" in said
    assert said.endswith(" were left out\n") and said.count("\n") == 1


def test_what_is_left_out_is_said_at_the_first_reading(tmp_path, capsys):
    source = folder(tmp_path / "in", {**files(), "notes.txt": b"x"})
    read_class_folders(str(source), tmp_path / "cache", 8)
    assert "1 file with an ending that is not read (1 .txt) was left out" in capsys.readouterr().out
    read_class_folders(str(source), tmp_path / "cache", 8)
    assert capsys.readouterr().out == ""


def test_pictures_outside_of_class_folders_are_counted_and_named(read, capsys):
    others = {"train/loose.png": png(1), "preview.png": png(1), "extra/c/1.png": png(1)}
    assert read({**files(), **others}) == FOUND
    named = ", ".join(sorted(others))
    assert f"3 pictures outside of class folders ({named}) were left out" in capsys.readouterr().out


def test_black_symbols_on_a_transparent_background_are_counted_and_named(tmp_path, capsys):
    file = io.BytesIO()
    Image.fromarray(np.dstack([np.zeros((8, 8, 3), np.uint8), np.arange(64, dtype=np.uint8).reshape(8, 8)])).save(
        file, "PNG"
    )
    source = folder(tmp_path / "in", files() | dict.fromkeys(("train/a/7.png", "test/b/7.png"), file.getvalue()))
    read_class_folders(str(source), tmp_path / "cache", 8)
    expected = (
        "2 of 12 pictures are of one colour, because transparency is dropped (train/a/7.png, test/b/7.png); put them"
    )
    assert expected in capsys.readouterr().out


def test_an_unlabelled_test_folder_is_left_out_beside_a_sorted_val(read, capsys):
    contents = moved(files(), ("test/", "val/")) | {f"test/{i}.png": png(1) for i in range(7)}
    assert read(contents) == FOUND
    assert "7 pictures outside of class folders (test/0.png, " in capsys.readouterr().out


REFUSED = {
    "classes that differ": (
        moved(files(classes="abc"), ("test/a/", "test/A/")), (),
        "train/ and test/ hold different classes: only in train/: a; only in test/: A; rename or remove them",
    ),
    "a class without test pictures": (
        {name: data for name, data in files(classes="abc").items() if not name.startswith("test/c")}, (),
        "train/ and test/ hold different classes: only in train/: c; ",
    ),
    "an empty test folder": (
        files(test=0), ["test"],
        "nothing to score: test/ holds no pictures; fill test/<class>/, or name train/ itself: every fifth",
    ),
    "no test folder": (files(test=0), (), "nothing to score: there is no test/ or val/ beside train/; fill test/"),
    "no train folder": (files(train=0), (), "nothing to train on: there is no train/ beside test/; it should hold"),
    "pictures to score without classes": (
        {name.replace("test/a/", "test/").replace("test/b/", "test/b"): data for name, data in files().items()}, (),
        "pictures lie in test/ without a class folder;\nsort them into test/<class>/, or name train/ itself: every",
    ),
    "no class folders": (
        {f"{part}/{i}.png": png(i) for part in ("train", "test") for i in range(5)}, (),
        "pictures lie in test/, train/ without class folders; sort them into train/<class>/ and so on",
    ),
    "pictures alone": ({f"{i}.png": png(i) for i in range(5)}, (), "pictures lie in it without a class folder"),
    "an empty class": (files(), ["train/c", "test/c"], "no pictures in train/c/, test/c/; add pictures, or remove"),
    "an empty class without parts": (
        {f"{label}/{i}.png": png(i) for label in "ab" for i in range(5)}, ["c"], "no pictures in c/; add pictures",
    ),
    "a class of other files": (
        {**files(), **{f"{part}/c/{i}.heic": b"x" for part in ("train", "test") for i in range(4)}}, (),
        "no pictures in train/c/ (4 files with other endings), test/c/ (4 files with other endings); add",
    ),
    "few pictures without parts": (
        {f"{label}/{i}.png": png(i) for label, n in (("a", 5), ("b", 4), ("c", 1)) for i in range(n)}, (),
        "fewer than 5 pictures in class b (4), c (1); without train/ and test/ every fifth picture",
    ),
    "one class": (files(classes="a"), (), "1 class found, at least 2 are needed (a); it should hold train/<class>/"),
    "two train folders": (
        {f"fold{n}/{name}": data for n in (1, 2) for name, data in files().items()}, (),
        "fold1/train/, fold2/train/ could each be the train part; name the folder that holds one of them",
    ),
    "parts in two folders": (
        moved(files(), ("train/", "x/train/"), ("test/", "y/test/")), (),
        "x/train/, y/test/ do not lie in one folder; move them into one",
    ),
    "nothing": ({}, ["train", "test"], "no pictures in it; it should hold train/<class>/*.jpg and test/<class>/*.jpg"),
    "no pictures": ({"a/x.heic": b"x"}, (), "no pictures in it, but 1 file with an ending that is not read (1 .heic)"),
}  # fmt: skip


@pytest.mark.parametrize("contents, empty, says", REFUSED.values(), ids=REFUSED)
def test_these_folders_are_refused_before_a_picture_is_decoded(read, contents, empty, says, monkeypatch):
    monkeypatch.setattr("seedspread.data.class_folders.decode_picture", lambda *_: pytest.fail("decoded"))
    with pytest.raises(InputError, match=rf"^data\.(source|root)=.*: {re.escape(says)}") as raised:
        read(contents, empty)
    assert str(raised.value).count("\n") <= 1 and len(str(raised.value)) < 500
    assert not read.cache.exists()


def test_links_to_class_folders_and_pictures_are_followed(tmp_path, capsys):
    source = folder(tmp_path / "in", files(classes="a"))
    other = folder(tmp_path / "other", moved(files(), ("train/b", "many"), ("test/b", "few")))
    (source / "train/b").symlink_to(other / "many")
    (source / "test/b").symlink_to("../../other/few")
    (source / "train/a/2.png").unlink()
    (source / "train/a/2.png").symlink_to(other / "train/a/2.png")
    (tmp_path / "link").symlink_to(source)
    for top in (source, tmp_path / "link"):
        found = read_class_folders(str(top), tmp_path / "cache", 8)
        assert (found.classes, sorted(values(found.train)), sorted(values(found.test))) == FOUND
        listed = read_picture_files(str(top), tmp_path, 8)
        assert listed.train.names == tuple(f"train/{name}/{i}.png" for name in "ab" for i in range(3))
    assert capsys.readouterr().out == ""


def add_dead_link(root):
    (root / "train/a/9.png").symlink_to("/nowhere/9.png")


def add_dead_class(root):
    (root / "train/c").symlink_to("/nowhere/c")


def add_loop(root):
    (root / "train/a/up").symlink_to("../..")


def add_link_to_itself(root):
    (root / "train/c").symlink_to("c")


def add_pipe(root):
    os.mkfifo(root / "train/a/9.png")


def add_name_of_another_encoding(root):
    (root / os.fsdecode(b"train/a/caf\xe9.png")).write_bytes(png(1))


@pytest.mark.parametrize("reader", [read_class_folders, read_picture_files])
@pytest.mark.parametrize(
    "add, says",
    [
        (add_dead_link, "train/a/9.png is a dead link to /nowhere/9.png; correct or remove it"),
        (add_dead_class, "train/c is a dead link to /nowhere/c; correct or remove it"),
        (add_loop, r"train/a/up is a link to /.*/in, which holds it; correct or remove it"),
        (add_link_to_itself, r"train/c cannot be read \(Too many levels of symbolic links\); correct or remove it"),
        (add_pipe, "train/a/9.png is neither file nor folder; correct or remove it"),
        (add_name_of_another_encoding, r"the name train/a/caf\\udce9\.png is not UTF-8; rename it"),
    ],
)
def test_what_cannot_be_read_is_named_before_a_picture_is_decoded(tmp_path, reader, add, says):
    source = folder(tmp_path / "in", files())
    add(source)
    with pytest.raises(InputError, match=f"^data\\.(source|root)=.*/in: {says}$"):
        reader(str(source), tmp_path / "cache", 8)
    assert not (tmp_path / "cache").exists()


def test_all_dead_links_are_counted(tmp_path):
    source = folder(tmp_path / "in", files())
    for i in range(8):
        (source / f"train/a/dead{i}.png").symlink_to("nowhere")
    with pytest.raises(
        InputError, match=r"train/a/dead0\.png is a dead link to nowhere, .* and 3 more; correct or remove them"
    ):
        read_picture_files(str(source), tmp_path, 8)


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads every folder")
def test_a_folder_without_permission_is_named(tmp_path):
    source = folder(tmp_path / "in", files())
    (source / "train/b").chmod(0)
    with pytest.raises(InputError, match=r"train/b cannot be listed \(Permission denied\)"):
        read_picture_files(str(source), tmp_path, 8)


def test_a_link_in_a_zip_is_named(tmp_path):
    source = archive(tmp_path / "in.zip", files())
    with zipfile.ZipFile(source, "a") as out:
        link = zipfile.ZipInfo("train/a/9.png")
        link.external_attr = (stat.S_IFLNK | 0o777) << 16
        out.writestr(link, "0.png")
    with pytest.raises(InputError, match=r"train/a/9\.png is a link .*; create the archive of the files themselves"):
        read_class_folders(str(source), tmp_path / "cache", 8)


def test_a_hard_link_in_a_tar_is_the_picture_once_more(tmp_path):
    source = archive(tmp_path / "in.tar", files())
    with tarfile.open(source, "a") as out:
        link = tarfile.TarInfo("./train/b/3.png")
        link.type, link.linkname = tarfile.LNKTYPE, "train/b/2.png"
        out.addfile(link)
    assert sorted(values(read_class_folders(str(source), tmp_path / "cache", 8).train)) == [0, 1, 2, 10, 11, 12, 12]


def test_a_zip_with_backslashes_and_a_tar_that_begins_with_a_dot_are_read(tmp_path):
    with zipfile.ZipFile(tmp_path / "in.zip", "w") as out:
        for name, data in files().items():
            out.writestr(name.replace("/", "\\"), data)
    sources = [tmp_path / "in.zip", archive(tmp_path / "in.tar", {f"./{name}": data for name, data in files().items()})]
    for source in sources:
        found = read_class_folders(str(source), tmp_path / "cache", 8)
        assert (found.classes, sorted(values(found.train)), sorted(values(found.test))) == FOUND


def test_an_encrypted_archive_and_a_picture_in_the_place_of_an_archive_are_named(tmp_path):
    source = archive(tmp_path / "in.zip", files())
    data = bytearray(source.read_bytes())
    for signature, flags in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        place = -1
        while (place := data.find(signature, place + 1)) >= 0:
            data[place + flags] |= 1  # bit 0 of the flags says that a file is encrypted
    source.write_bytes(data)
    with pytest.raises(InputError, match=r"in\.zip: File .* is encrypted.*; create the archive again"):
        read_class_folders(str(source), tmp_path / "cache", 8)
    (tmp_path / "cat.png").write_bytes(png(1))
    with pytest.raises(InputError, match=r"cat\.png: not a whole \.tar.* archive .*; name a folder or an archive"):
        read_class_folders(str(tmp_path / "cat.png"), tmp_path / "cache", 8)
    assert not (tmp_path / "cache").exists()


def test_all_broken_pictures_are_named_at_once(tmp_path):
    broken = dict.fromkeys(("train/a/1.png", "test/b/0.png", "test/b/1.png"), b"x")
    source = folder(tmp_path / "in", {**files(), **broken})
    named = r"/in: train/a/1\.png: not a whole picture .*; replace or remove it\n2 more: test/b/0\.png, test/b/1\.png$"
    with pytest.raises(InputError, match=named):
        read_class_folders(str(source), tmp_path / "cache", 8)
    assert not (tmp_path / "cache").exists()


def test_reading_ends_after_twenty_broken_pictures(tmp_path):
    contents = files(train=30, test=30)
    source = folder(tmp_path / "in", contents | {name: b"x" for name in contents if "/a/" in name})
    with pytest.raises(InputError, match=r"\n19 more: .*; reading ended there$"):
        read_class_folders(str(source), tmp_path / "cache", 8)


def test_pictures_that_fit_neither_memory_nor_disk_are_refused_before_they_are_decoded(tmp_path, monkeypatch):
    source = str(folder(tmp_path / "in", files()))
    monkeypatch.setattr("seedspread.data.class_folders.decode_picture", lambda *_: pytest.fail("decoded"))
    with pytest.raises(InputError, match=r"10 pictures of data\.size=1000000 take 27939\.7 GiB, .* data=picture_files"):
        read_class_folders(source, tmp_path / "cache", 10**6)
    monkeypatch.setattr("shutil.disk_usage", lambda _: type("Usage", (), {"free": 100}))
    with pytest.raises(
        InputError, match=r"10 pictures of data\.size=8 take 0\.0 GiB, .*/cache has .* data\.cache=PATH"
    ):
        read_class_folders(source, tmp_path / "cache", 8)


def test_a_cache_that_cannot_be_written_is_named_before_a_picture_is_decoded(tmp_path, monkeypatch):
    source = str(folder(tmp_path / "in", files()))
    (tmp_path / "file").write_text("")
    monkeypatch.setattr("seedspread.data.class_folders.decode_picture", lambda *_: pytest.fail("decoded"))
    for cache, why in ((tmp_path / "file", "it is a file"), (tmp_path / "file" / "below", "Not a directory")):
        with pytest.raises(InputError, match=rf"cannot keep the decoded pictures in .*: {why}; .*data\.cache=PATH"):
            read_class_folders(source, cache, 8)
