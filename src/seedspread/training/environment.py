"""The machine and packages that a result depends on; read once per process."""

from functools import cache
from pathlib import Path
from typing import Any

import torch

from seedspread.records.machine import describe_system, gpu_driver, package_versions

PACKAGES = ("torch", "torchvision", "lightning", "hydra-core", "omegaconf", "numpy", "pillow", "timm")


@cache
def describe_machine(device: torch.device) -> dict[str, Any]:
    """Packages, Python, system, processor, the GPU where `device` is one, its driver, and the commit of this code."""
    gpu = device.type == "cuda"
    rocm = torch.version.hip  # ROCm calls its devices cuda as well
    return {
        "packages": package_versions(PACKAGES),
        **describe_system(Path(__file__).parent),
        "cpu_capability": torch.backends.cpu.get_cpu_capability(),
        "gpu": torch.cuda.get_device_name(device) if gpu else None,
        "gpu_driver": gpu_driver() if gpu else None,
        "cuda": (f"ROCm {rocm}" if rocm else torch.version.cuda) if gpu else None,
        "cudnn": torch.backends.cudnn.version() if gpu else None,
    }
