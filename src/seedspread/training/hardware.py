"""The device of this process, and the process-wide settings that make a seed fast and repeatable."""

import ctypes
import gc
import getpass
import itertools
import os
import sys
import tempfile
from functools import cache
from pathlib import Path

import torch
from filelock import FileLock, Timeout

MEMORY_FORMATS = {"channels_last": torch.channels_last, "contiguous": torch.contiguous_format}

_held: list[FileLock] = []  # a lock ends when its object is deleted


def select_device(accelerator: str, rank: int | None = None) -> torch.device:
    """The device that this process trains on, alone or as `rank` of several that train a seed together."""
    if accelerator != "gpu":
        return torch.device("cpu")
    return torch.device("cuda", claim_slot() % torch.cuda.device_count() if rank is None else rank)


@cache
def claim_slot(folder: Path | None = None) -> int:
    """The smallest number that no other process of this user on this machine holds; held until this process ends.

    The workers of one or several sweeps so train on different GPUs.
    """
    # By number: in a container the user's name may be unknown.
    user = os.getuid() if hasattr(os, "getuid") else getpass.getuser()
    folder = folder or Path(tempfile.gettempdir()) / f"seedspread-{user}"
    folder.mkdir(exist_ok=True)
    for slot in itertools.count():  # pragma: no branch
        lock = FileLock(folder / f"slot-{slot}")
        try:
            lock.acquire(timeout=0)
        except Timeout:
            continue
        _held.append(lock)
        return slot
    raise AssertionError("unreachable: itertools.count is infinite")


def make_repeatable(accelerator: str, threads: int, deterministic: bool | str) -> None:
    """Let this process train with `threads` CPU threads and, on a GPU, with deterministic kernels.

    `deterministic` is the Trainer's; features are extracted before there is one. The bits of a result depend on the
    number of threads, which split sums.
    """
    torch.set_num_threads(threads)
    # Deterministic mode would also fill new tensors, which finds bugs and takes 7 % of a step on a CPU.
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]
    if accelerator == "gpu":
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
        torch.backends.cudnn.benchmark = False
        torch.use_deterministic_algorithms(bool(deterministic), warn_only=deterministic == "warn")


@cache
def keep_memory() -> bool:
    """Let glibc keep freed memory instead of returning it to the system after every step; whether it does.

    The same bits in 3-13 % less time per step on a CPU (measured by benchmarks/step.py): activations are large, and the
    kernel zeroes each new page.
    """
    if not sys.platform.startswith("linux"):
        return False
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError):
        return False  # another C library
    m_trim_threshold, m_mmap_max = -1, -4
    return bool(mallopt(m_mmap_max, 0)) and bool(mallopt(m_trim_threshold, 2**31 - 1))


def map_constants() -> bool:
    """Map all constants of torch's library into this process, which maps pages as it uses them; whether that was done.

    Vector functions such as expm1, which CELU computes, load constants. With these pages alone mapped, CELU took ten
    times as long on a virtual AMD EPYC (Zen 5), a seed of `digits` 1.2 times: the processor seems to read ahead, and to
    search the page tables in vain each time. The kernel may take pages back, and a child process begins without them:
    it is done for each seed, in 3 ms.
    """
    try:
        lines = Path("/proc/self/maps").read_text().splitlines()
        madvise = ctypes.CDLL(None).madvise
    except (OSError, AttributeError):
        return False  # another system
    madv_populate_read = 22
    parts = [line.split() for line in lines if line.endswith("/libtorch_cpu.so")]
    ranges = [[int(end, 16) for end in part[0].split("-")] for part in parts if part[1] == "r--p"]
    done = [madvise(ctypes.c_void_p(a), ctypes.c_size_t(b - a), madv_populate_read) == 0 for a, b in ranges[1:]]
    return bool(done) and all(done)  # not before Linux 5.14


def collect_garbage() -> None:
    """Free the reference cycles that trainers leave, 100 KiB a seed, so that memory stays constant over a sweep."""
    gc.collect()
