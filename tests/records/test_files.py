"""Atomic writes, under real kills, and errors that name the cause and the fix."""

import errno
import os
import subprocess
import sys
import textwrap
import time

import pytest

from seedspread.config.errors import InputError
from seedspread.records import files
from seedspread.records.files import check_writable, create_whole, publish, unwritable_error, write_atomically


def test_a_killed_writer_leaves_the_old_contents_or_the_new(tmp_path):
    """Real SIGKILLs while a process rewrites a file as fast as it can."""
    target = tmp_path / "file"
    script = f"""
        from pathlib import Path
        from seedspread.records.files import write_atomically
        n = 0
        while True:
            n += 1
            write_atomically(Path({str(target)!r}), str(n % 10).encode() * 100_000)
    """
    for _ in range(5):
        writer = subprocess.Popen([sys.executable, "-c", textwrap.dedent(script)])
        deadline = time.monotonic() + 20
        while not target.exists() and time.monotonic() < deadline:
            time.sleep(0.01)
        time.sleep(0.1)
        writer.kill()
        writer.wait()
        data = target.read_bytes()
        assert len(data) == 100_000 and len(set(data)) == 1
        target.unlink()


def test_writing_replaces(tmp_path):
    for data in (b"one", b"two"):
        write_atomically(tmp_path / "x", data)
        assert (tmp_path / "x").read_bytes() == data


@pytest.mark.parametrize(
    "code, fix",
    [
        (errno.ENOSPC, "No space left on device. Free some space, or name another folder with results=PATH"),
        (errno.EROFS, "Read-only file system. Name another folder with results=PATH"),
        (errno.ENAMETOOLONG, "File name too long. Choose a shorter study=NAME"),
        (errno.EACCES, "Permission denied. Change its permissions, or name another folder with results=PATH"),
    ],
)
def test_a_folder_that_cannot_be_written_is_named_with_the_fix_for_its_cause(tmp_path, code, fix):
    error = unwritable_error(tmp_path, OSError(code, os.strerror(code)))
    assert str(error).startswith(f"cannot write to {tmp_path}: {fix}")


def test_a_name_that_is_too_long_and_a_path_under_a_file_have_fixes_of_their_own(tmp_path):
    with pytest.raises(InputError, match="Choose a shorter study=NAME"):
        check_writable(tmp_path / ("x" * 300))
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="/file is a file, not a folder. Name another folder"):
        check_writable(tmp_path / "file" / "digits")


@pytest.mark.skipif(not os.access("/dev/full", os.W_OK), reason="needs /dev/full")
def test_a_full_disk_is_found_before_anything_trains(tmp_path, monkeypatch):
    """The probe holds bytes: a full disk creates empty files."""
    (tmp_path / "seeds").mkdir()
    (probe := tmp_path / "seeds" / ".probe").symlink_to("/dev/full")
    monkeypatch.setattr(files, "unique_draft", lambda path: probe)
    with pytest.raises(InputError, match="No space left on device. Free some space"):
        check_writable(tmp_path)
    assert list((tmp_path / "seeds").iterdir()) == []


@pytest.mark.parametrize("write", [publish, create_whole])
@pytest.mark.parametrize("code", [None, errno.EPERM, errno.ENOTSUP])
def test_of_several_writers_of_a_file_one_succeeds(write, code, tmp_path, monkeypatch):
    """Also where the file system has no links."""
    if code:
        monkeypatch.setattr(os, "link", lambda *_: (_ for _ in ()).throw(OSError(code, os.strerror(code))))
    target = tmp_path / "000003.json"
    assert [write(target, data) for data in (b"first", b"second")] == [True, False]
    assert target.read_bytes() == b"first" and list(tmp_path.iterdir()) == [target]


@pytest.mark.parametrize("code", [errno.EEXIST, errno.EIO])
def test_a_link_whose_answer_was_lost_counts(code, tmp_path, monkeypatch):
    link = os.link

    def lost(*names):
        link(*names)
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(os, "link", lost)
    assert publish(tmp_path / "000003.json", b"mine") and (tmp_path / "000003.json").read_bytes() == b"mine"
