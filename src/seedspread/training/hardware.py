"""What `auto` stands for on this machine, and the process-wide settings that make a seed fast and repeatable."""

import ctypes
import fcntl
import gc
import getpass
import itertools
import os
import sys
import tempfile
from functools import cache
from pathlib import Path
from typing import IO

import torch

from seedspread.config.errors import InputError

MEMORY_FORMATS = {"channels_last": torch.channels_last, "contiguous": torch.contiguous_format}

_held: list[IO[str]] = []  # locks live as long as their files are open


def select_device(accelerator: str) -> torch.device:
    """The device that this process trains on."""
    return (
        torch.device("cuda", claim_slot() % torch.cuda.device_count()) if accelerator == "gpu" else torch.device("cpu")
    )


@cache
def claim_slot(folder: Path | None = None) -> int:
    """The smallest number that no other process of this machine's user holds; held until this process ends.

    Workers side by side, of one sweep or of several, so come to train on different GPUs.
    """
    folder = folder or Path(tempfile.gettempdir()) / f"seedspread-{getpass.getuser()}"
    folder.mkdir(exist_ok=True)
    for slot in itertools.count():
        lock = (folder / f"slot-{slot}").open("w")
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.close()
            continue
        _held.append(lock)
        return slot
    raise AssertionError("itertools.count ends never")


def make_repeatable(accelerator: str, threads: int) -> None:
    """One process trains with `threads` CPU threads and, on a GPU, with the deterministic kernels.

    The number of threads is part of what a seed reproduces: sums are split among them.
    """
    if not isinstance(threads, int) or threads < 1:
        raise InputError(f"threads={threads}: at least 1")
    torch.set_num_threads(threads)
    # Deterministic mode would also fill fresh memory, which finds bugs and costs 7 % of a step on a CPU.
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]
    if accelerator == "gpu":
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
        torch.backends.cudnn.benchmark = False


@cache
def keep_memory() -> bool:
    """Let glibc keep freed memory instead of handing it back to the system after every step; say whether it does.

    Same bits, and 3-13 % less time per step on a CPU (benchmarks/step.py measures it): activations are large, and each
    fresh page has to be zeroed by the kernel.
    """
    if not sys.platform.startswith("linux"):
        return False
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError):
        return False  # another C library
    m_trim_threshold, m_mmap_max = -1, -4
    return bool(mallopt(m_mmap_max, 0)) and bool(mallopt(m_trim_threshold, 2**31 - 1))


def collect_garbage() -> None:
    """Free the cycles that trainers leave behind, 100 KiB a seed, so that memory stays flat over a sweep.

    It takes 30 ms; the 400,000 objects of the imports are set aside once, so that no collection looks through them.
    """
    gc.collect()
    if gc.get_freeze_count() == 0:
        gc.freeze()
