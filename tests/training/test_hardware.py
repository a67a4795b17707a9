import subprocess
import sys
import textwrap

import pytest

from seedspread.config import resolve
from seedspread.config.errors import InputError
from seedspread.training import hardware
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


def test_auto_is_decided_by_what_the_hardware_has(monkeypatch):
    for fast, precision, layout in ((True, "bf16-mixed", "channels_last"), (False, "32-true", "contiguous")):
        monkeypatch.setattr(hardware, "has_fast_bf16", lambda _, fast=fast: fast)
        assert resolve.resolve_precision("auto", "cpu") == precision
        assert resolve.resolve_memory_format("auto", precision) == layout
    assert resolve.resolve_precision("32-true", "cpu") == "32-true"
    with pytest.raises(InputError, match="memory_format=nhwc"):
        resolve.resolve_memory_format("nhwc", "32-true")
    with pytest.raises(InputError, match=r"trainer.accelerator=tpu"):
        resolve.resolve_accelerator("tpu")
