"""Processes that race for the leases of one folder, while some of them are killed.

    python racing.py FOLDER PROCESSES SEEDS KILLS [apart]

Each takes a lease, works under a lock of the kernel on a file of the seed, and records the seed. The kernel frees a
lock when its process ends, so that a lock which is taken proves a second living holder. `apart`: each process claims to
be on a machine of its own, so that nobody sees who is gone, and leases expire. Imports no torch: it forks.
"""

import fcntl
import os
import random
import signal
import sys
import time
from dataclasses import replace
from pathlib import Path

from seedspread.execution.leases import EXPIRY, Observer, Worker
from seedspread.records.files import create_whole


def race(folder: Path, seeds: int, apart: bool, draw: random.Random) -> None:
    """Work until each seed is recorded."""
    worker = Worker(folder, beat=0.5)
    observer = Observer(folder, expiry=10.0 if apart else EXPIRY)
    if apart:
        worker.holder = replace(worker.holder, machine=f"machine of {os.getpid()}")
    log = os.open(folder / "log", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    while missing := [seed for seed in range(seeds) if not (folder / "done" / str(seed)).exists()]:
        time.sleep(0.5 * draw.random())
        for seed in draw.sample(missing, min(5, len(missing))):
            if not observer.is_free(seed) or not worker.acquire([seed]):
                continue
            done = folder / "done" / str(seed)
            if not done.exists():
                with (folder / "locks" / str(seed)).open("w") as file:
                    try:
                        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    except BlockingIOError:
                        os.write(log, f"shared {seed}\n".encode())
                    time.sleep(draw.random())
                    os.write(log, f"worked {seed}\n".encode())
                    if create_whole(done, b""):
                        os.write(log, f"recorded {seed}\n".encode())
            worker.release([seed])
    worker.close()


def start(folder: Path, seeds: int, apart: bool, number: int, gate: tuple[int, int], dies: bool) -> None:
    """A process that races once the gate opens; one that `dies` is killed soon after, whatever it is at."""
    if os.fork():
        return
    draw = random.Random(number)
    os.close(gate[1])
    os.read(gate[0], 1)  # until the parent has closed its end too
    if dies:
        signal.setitimer(signal.ITIMER_REAL, 0.001 + 2 * draw.random())  # SIGALRM, which nobody handles
    race(folder, seeds, apart, draw)
    os._exit(0)


def main(folder: Path, processes: int, seeds: int, kills: int, apart: bool) -> None:
    for name in ("running", "done", "locks"):
        (folder / name).mkdir()
    gate = os.pipe()
    for number in range(processes):
        start(folder, seeds, apart, number, gate, dies=number < kills)
    os.close(gate[1])
    ends = [os.waitpid(-1, 0)[1] for _ in range(processes)]
    assert set(ends) <= {0, signal.SIGALRM}, ends
    print(ends.count(signal.SIGALRM), "killed")


if __name__ == "__main__":
    main(Path(sys.argv[1]), *map(int, sys.argv[2:5]), apart="apart" in sys.argv)
