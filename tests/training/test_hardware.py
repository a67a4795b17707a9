"""The slots of concurrent processes, and the GPU that trains."""

import getpass
import subprocess
import sys
import tempfile
import textwrap

import torch

from seedspread.training import environment, hardware
from tests.conftest import ROOT


def test_concurrent_processes_hold_different_slots_and_release_them(tmp_path):
    script = textwrap.dedent(f"""
        from pathlib import Path
        from seedspread.training.hardware import claim_slot
        print(claim_slot(Path({str(tmp_path)!r})), claim_slot(Path({str(tmp_path)!r})), flush=True)
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
        child.communicate("\n", timeout=300)


def test_a_slot_is_claimed_where_the_user_has_no_name(tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setattr(getpass, "getuser", lambda: {}["no such user"])
    assert hardware.claim_slot.__wrapped__() == 0
    assert hardware.claim_slot.__wrapped__() == 1  # the first is held


def test_the_environment_names_the_gpu_that_trains(monkeypatch):
    names = ["RTX 4090", "H100"]
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda device=0: names[torch.device(device).index])
    describe = environment.describe_machine.__wrapped__
    assert [describe(torch.device("cuda", i))["gpu"] for i in (0, 1)] == names
    assert describe(torch.device("cpu"))["gpu"] is None
