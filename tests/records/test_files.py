"""Atomic writes, under real kills."""

import subprocess
import sys
import textwrap
import time

from seedspread.records.files import write_atomically


def test_a_killed_writer_leaves_the_old_contents_or_the_new(tmp_path):
    """Real SIGKILLs while a process rewrites a file as fast as it can."""
    target = tmp_path / "file"
    script = f"""
        from pathlib import Path
        from seedspread.records.study import write_atomically
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
