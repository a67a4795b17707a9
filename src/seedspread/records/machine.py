"""The machine and code that a result depends on, as far as both are known without torch."""

import os
import platform
import re
import subprocess
from collections.abc import Iterable
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

NUMERIC_FLAGS = re.compile(r"avx|fma|amx|sse4|neon|asimd|bf16|sve")
# Environment variables that change results; the number of threads is recorded apart.
VARIABLES = ("MALLOC_", "CUBLAS_", "DNNL_", "ONEDNN_", "ATEN_CPU_CAPABILITY", "NVIDIA_TF32_OVERRIDE", "LD_PRELOAD")


@cache
def describe_system(code: Path) -> dict[str, Any]:
    """Python, system, processor, variables that change results, and the git commit of the folder `code`."""
    changes = _git(code, "status", "--porcelain", "--untracked-files=no")
    return {
        "python": platform.python_version(),
        "system": platform.platform(),
        "cpu": _cpu("model name") or platform.processor() or platform.machine(),
        "cpu_flags": _cpu_flags(),
        "variables": {name: value for name, value in sorted(os.environ.items()) if name.startswith(VARIABLES)},
        "git_commit": _git(code, "rev-parse", "HEAD"),
        "git_dirty": None if changes is None else bool(changes),
    }


def package_versions(packages: Iterable[str]) -> dict[str, str | None]:
    """The installed version of each distribution; None where there is none."""
    return {package: _version(package) for package in packages}


def gpu_driver() -> str | None:
    """The version of NVIDIA's driver; None without one."""
    try:
        found = re.search(r"\b\d+\.\d+(\.\d+)?\b", Path("/proc/driver/nvidia/version").read_text())
    except OSError:
        return None
    return found[0] if found else None


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


def _git(folder: Path, *arguments: str) -> str | None:
    try:
        done = subprocess.run(
            ["git", "-C", str(folder), *arguments],
            capture_output=True,
            text=True,
            timeout=10,
            check=True,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip()


@cache  # it parses a file, and each seed of a process asks
def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None
