"""Slots of processes side by side."""

import subprocess
import sys
import textwrap

from tests.conftest import ROOT


def test_processes_side_by_side_hold_different_slots_and_give_them_back(tmp_path):
    script = textwrap.dedent(f"""
        from pathlib import Path
        from seedspread.training.hardware import own_slot
        print(own_slot(Path({str(tmp_path)!r})), own_slot(Path({str(tmp_path)!r})), flush=True)
        input()
    """)

    def start():
        child = subprocess.Popen(
            [sys.executable, "-c", script], cwd=ROOT, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        return child, child.stdout.readline().split()

    first, slots = start()
    assert slots == ["0", "0"]
    second, slots = start()
    assert slots == ["1", "1"]
    first.kill()
    first.wait()
    third, slots = start()
    assert slots == ["0", "0"]
    for child in (second, third):
        child.communicate("\n", timeout=60)
