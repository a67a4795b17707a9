"""The machine and packages that a result depends on; read once per process."""

import os
import platform
import re
import subprocess
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import torch

PACKAGES = ("torch", "torchvision", "lightning", "hydra-core", "omegaconf", "numpy", "pillow", "timm")
NUMERIC_FLAGS = re.compile(r"avx|fma|amx|sse4|neon|asimd|bf16|sve")
# Environment variables that change results; the number of threads is recorded as torch reports it.
VARIABLES = ("MALLOC_", "CUBLAS_", "DNNL_", "ONEDNN_", "ATEN_CPU_CAPABILITY", "NVIDIA_TF32_OVERRIDE", "LD_PRELOAD")


def _cpu(*names: str) -> str | None:
    """The value of the first line of /proc/cpuinfo with one of these names; None where there is none."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return None
    return next((line.split(":", 1)[1].strip() for line in lines if line.split(":")[0].strip() in names), None)


def _cpu_flags() -> str | None:
    """The processor's instruction sets that kernels are chosen by."""
    flags = _cpu("flags", "Features")
    return " ".join(sorted(flag for flag in flags.split() if NUMERIC_FLAGS.search(flag))) if flags else None


def _gpu_driver() -> str | None:
    try:
        found = re.search(r"\b\d+\.\d+(\.\d+)?\b", Path("/proc/driver/nvidia/version").read_text())
    except OSError:
        return None
    return found[0] if found else None


def _git(*arguments: str) -> str | None:
    try:
        done = subprocess.run(
            ["git", "-C", str(Path(__file__).parent), *arguments],
            capture_output=True,
            text=True,
            timeout=10,
            check=True,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip()


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


@cache
def describe_machine(device: torch.device) -> dict[str, Any]:
    """Packages, Python, system, processor, the GPU where `device` is one, its driver, and the commit of this code."""
    changes = _git("status", "--porcelain", "--untracked-files=no")
    gpu = device.type == "cuda"
    rocm = torch.version.hip  # ROCm calls its devices cuda as well
    return {
        "packages": {package: _version(package) for package in PACKAGES},
        "python": platform.python_version(),
        "system": platform.platform(),
        "cpu": _cpu("model name") or platform.processor() or platform.machine(),
        "cpu_flags": _cpu_flags(),
        "cpu_capability": torch.backends.cpu.get_cpu_capability(),
        "gpu": torch.cuda.get_device_name(device) if gpu else None,
        "gpu_driver": _gpu_driver() if gpu else None,
        "cuda": (f"ROCm {rocm}" if rocm else torch.version.cuda) if gpu else None,
        "cudnn": torch.backends.cudnn.version() if gpu else None,
        "variables": {name: value for name, value in sorted(os.environ.items()) if name.startswith(VARIABLES)},
        "git_commit": _git("rev-parse", "HEAD"),
        "git_dirty": None if changes is None else bool(changes),
    }
