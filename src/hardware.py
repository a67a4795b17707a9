"""What `auto` stands for on this machine, and the process-wide settings that make a seed fast and repeatable."""

import ctypes
import fcntl
import getpass
import itertools
import os
import sys
import tempfile
from functools import cache
from pathlib import Path
from typing import IO

import torch

from src.errors import InputError

PRECISIONS = ("32-true", "bf16-mixed", "16-mixed", "bf16-true", "16-true", "64-true")
MEMORY_FORMATS = {"channels_last": torch.channels_last, "contiguous": torch.contiguous_format}

_held: list[IO[str]] = []  # locks live as long as their files are open


def accelerator(choice: str) -> str:
    """`choice`, with auto turned into gpu where CUDA is there and into cpu elsewhere."""
    if choice not in ("auto", "cpu", "gpu"):
        raise InputError(f"trainer.accelerator={choice}: choose auto, cpu or gpu")
    if choice == "gpu" and not torch.cuda.is_available():
        raise InputError("trainer=gpu: torch sees no CUDA device here; trainer=cpu trains without one")
    if choice == "auto":
        return "gpu" if torch.cuda.is_available() else "cpu"
    return choice


def device(accelerator: str) -> torch.device:
    """The device that this process trains on."""
    return torch.device("cuda", own_slot() % torch.cuda.device_count()) if accelerator == "gpu" else torch.device("cpu")


@cache
def own_slot(folder: Path | None = None) -> int:
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


def has_fast_bf16(accelerator: str) -> bool:
    """Whether the hardware multiplies in bfloat16: a GPU from Ampere on, a CPU with AVX512-BF16 or AMX."""
    if accelerator == "gpu":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    probes = (getattr(torch.cpu, name, None) for name in ("_is_avx512_bf16_supported", "_is_amx_tile_supported"))
    return any(probe() for probe in probes if probe is not None)


def precision(choice: str, accelerator: str, key: str = "trainer.precision") -> str:
    """`choice` of `key`, with auto turned into bf16-mixed where that is fast and into 32-true elsewhere.

    Raises InputError for what there is not, and for what Lightning would replace by another precision on a CPU.
    """
    if choice == "auto":
        return "bf16-mixed" if has_fast_bf16(accelerator) else "32-true"
    if choice not in PRECISIONS:
        raise InputError(f"{key}={choice}: choose auto, {', '.join(PRECISIONS)}")
    if choice == "16-mixed" and accelerator == "cpu":
        raise InputError(f"{key}={choice}: not on a CPU; say bf16-mixed, or 32-true")
    return choice


def memory_format(choice: str, precision: str | int) -> str:
    """`choice`, with auto turned into channels_last for half precision and contiguous for single."""
    if choice != "auto":
        if choice not in MEMORY_FORMATS:
            raise InputError(f"memory_format={choice}: choose auto, {' or '.join(MEMORY_FORMATS)}")
        return choice
    return "channels_last" if "16" in str(precision) else "contiguous"


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
