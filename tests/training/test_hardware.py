"""The slots of concurrent processes, the GPU that trains, and the memory of the process."""

import getpass
import re
import sys
import tempfile
from pathlib import Path

import pytest
import torch

from seedspread.training import environment, hardware
from tests.processes import CONTEXT


def hold_slot(folder, pipe):
    pipe.send([hardware.claim_slot(folder), hardware.claim_slot(folder)])
    pipe.recv()


def test_concurrent_processes_hold_different_slots_and_release_them(tmp_path):
    def start():
        ours, theirs = CONTEXT.Pipe()
        process = CONTEXT.Process(target=hold_slot, args=(tmp_path, theirs))
        process.start()
        return process, ours, ours.recv()

    first, _, slots = start()
    assert slots == [0, 0]
    second, release_second, slots = start()
    assert slots == [1, 1]
    first.kill()
    first.join()
    third, release_third, slots = start()
    assert slots == [0, 0]
    for process, release in ((second, release_second), (third, release_third)):
        release.send(None)
        process.join()


def mapped_shares() -> list[float]:
    """Of each part of torch's library that is read only, the share that is mapped into this process."""
    parts = re.split(r"^(?=[0-9a-f]+-[0-9a-f]+ )", Path("/proc/self/smaps").read_text(), flags=re.MULTILINE)
    parts = [part for part in parts if re.match(r"\S+ r--p .*/libtorch_cpu\.so$", part.partition("\n")[0])]
    return [int(re.search(r"^Rss: +(\d+)", p, re.M)[1]) / int(re.search(r"^Size: +(\d+)", p, re.M)[1]) for p in parts]


def map_and_look(pipe):
    pipe.send((mapped_shares(), hardware.map_constants(), mapped_shares()))


@pytest.mark.skipif(sys.platform != "linux", reason="maps of processes are Linux's")
def test_constants_are_mapped_beside_those_that_were_used():
    ours, theirs = CONTEXT.Pipe()
    process = CONTEXT.Process(target=map_and_look, args=(theirs,))
    process.start()
    before, done, after = ours.recv()
    process.join()
    if not done:
        pytest.skip("before Linux 5.14")
    assert before[1] < 1 and after[1:] == [1] * len(after[1:])


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
