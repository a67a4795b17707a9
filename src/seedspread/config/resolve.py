"""What `auto` means on this machine: accelerator, precision, memory format, seeds in a step, number of workers."""

import os
import re
import shutil
import subprocess
from pathlib import Path

from omegaconf import DictConfig, open_dict

from seedspread.config.errors import InputError
from seedspread.config.targets import drop_left_over_keys

SEEDS_IN_A_STACK = 64  # on a GPU
GRAPH_MODES = ("reduce-overhead", "max-autotune")  # of torch.compile
GPU_DRIVERS = ("/proc/driver/nvidia", "/dev/kfd")  # CUDA; ROCm, whose GPUs torch lists as CUDA devices


def resolve_accelerator(choice: str) -> str:
    """`choice`, with auto turned into gpu where CUDA is there and into cpu elsewhere."""
    if choice == "cpu":
        return choice
    import torch

    if choice == "gpu" and not torch.cuda.is_available():
        raise InputError("trainer=gpu: torch sees no CUDA device here; trainer=cpu trains without one")
    return "gpu" if torch.cuda.is_available() else "cpu"


def has_fast_bf16(accelerator: str) -> bool:
    """Whether the hardware multiplies in bfloat16: a GPU from Ampere on, a CPU with AVX512-BF16 or AMX."""
    import torch

    if accelerator == "gpu":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    probes = (getattr(torch.cpu, name, None) for name in ("_is_avx512_bf16_supported", "_is_amx_tile_supported"))
    return any(probe() for probe in probes if probe is not None)


def resolve_precision(choice: str, accelerator: str, key: str = "trainer.precision") -> str:
    """`choice` of `key`, with auto turned into bf16-mixed where that is fast and into 32-true elsewhere.

    Raises InputError for what Lightning would replace by another precision on a CPU.
    """
    if choice == "auto":
        return "bf16-mixed" if has_fast_bf16(accelerator) else "32-true"
    if choice == "16-mixed" and accelerator == "cpu":
        raise InputError(f"{key}={choice}: not on a CPU; say bf16-mixed, or 32-true")
    return choice


def resolve_memory_format(choice: str, precision: str | int) -> str:
    """`choice`, with auto turned into channels_last for half precision and contiguous for single."""
    if choice != "auto":
        return choice
    return "channels_last" if "16" in str(precision) else "contiguous"


def resolve_score_batch(batch_size: int, accelerator: str) -> int:
    """How many examples are scored at once: on a GPU five training batches, which need no more memory than one step.

    Scoring keeps the activations of a layer or two, training those of all. On a CPU more than 500 are not faster.
    """
    return max(500, 5 * batch_size) if accelerator == "gpu" else 500


def resolve_config(cfg: DictConfig) -> DictConfig:
    """`cfg` with every `auto` decided for this machine, and network and schedule free of settings of others.

    Raises InputError for what this machine does not have, and for settings that the network does not take.
    """
    if cfg.trainer.max_epochs is None and cfg.trainer.max_steps < 1:  # Lightning would train 1,000 epochs
        raise InputError("trainer.max_epochs=null: say how long, for example trainer.max_steps=5000")
    check_butterfly(cfg)
    cfg = cfg.copy()
    with open_dict(cfg):
        cfg.trainer.accelerator = resolve_accelerator(cfg.trainer.accelerator)
        if not (cfg.get("module") or {}).get("_target_"):
            cfg.module = None
        elif cfg.trainer.precision == "auto":
            cfg.trainer.precision = "32-true"  # Lightning's default, which a module of others was written for
        cfg.trainer.precision = resolve_precision(cfg.trainer.precision, cfg.trainer.accelerator)
        if cfg.get("backbone"):
            choice = cfg.backbone.precision
            cfg.backbone.precision = resolve_precision(choice, cfg.trainer.accelerator, "backbone.precision")
        cfg.memory_format = resolve_memory_format(cfg.memory_format, cfg.trainer.precision)
        if cfg.data.get("score_batch_size") == "auto":
            cfg.data.score_batch_size = resolve_score_batch(cfg.data.batch_size, cfg.trainer.accelerator)
    check_capture(cfg)
    drop_left_over_keys(cfg)
    return cfg


def check_capture(cfg: DictConfig) -> None:
    """Raise InputError where `capture` is set and there is no GPU, or torch.compile captures graphs itself."""
    if not cfg.get("capture"):
        return
    if cfg.trainer.accelerator != "gpu":
        raise InputError("capture=true: needs a CUDA device, and this trains on a CPU; set capture=false")
    if (mode := (cfg.compile or {}).get("mode")) in GRAPH_MODES:
        raise InputError(f"capture=true: compile.mode={mode} captures graphs of its own; set one of the two")


def check_butterfly(cfg: DictConfig) -> None:
    """Raise InputError where training ends before the bit of `butterfly` is flipped."""
    epoch, epochs = cfg.get("butterfly"), cfg.trainer.max_epochs
    if epoch is not None and epochs is not None and epoch >= epochs:
        raise InputError(f"butterfly={epoch}: choose an epoch below trainer.max_epochs={epochs}")


def stack_size(cfg: DictConfig) -> int:
    """How many seeds of a resolved config train in one step; InputError where `stack` does not fit the config."""
    probe = cfg.data.get("backbone") is not None and cfg.data.views != 0
    plain = (
        probe
        and not cfg.logger
        and not cfg.checkpoint.keep
        and not cfg.trainer.enable_checkpointing
        and cfg.ckpt_path is None
    )
    clip = cfg.trainer.get("gradient_clip_val")
    jointly = [f"trainer.gradient_clip_val={clip}"] if clip is not None else []
    if cfg.trainer.precision == "16-mixed":  # the scaler skips the step of all where one gradient overflows
        jointly.append("trainer.precision=16-mixed")
    if cfg.trainer.devices > 1:
        jointly.append(f"trainer.devices={cfg.trainer.devices}")
    if "gradient_norms" in (cfg.callbacks or {}):
        jointly.append("callbacks=gradient_norms")
    if cfg.get("butterfly") is not None:
        jointly.append(f"butterfly={cfg.butterfly}")
    if cfg.get("capture"):
        jointly.append("capture=true")
    if cfg.get("trace"):
        jointly.append("trace=true")
    if cfg.stack == "auto":
        return SEEDS_IN_A_STACK if plain and not jointly and cfg.trainer.accelerator == "gpu" else 1
    if (size := cfg.stack) > 1 and not plain:
        raise InputError(
            f"stack={size}: needs linear probes on kept features, without a logger or kept checkpoints; set stack=1"
        )
    if size > 1 and jointly:
        raise InputError(f"stack={size}: {jointly[0]} does not treat each head alone; set stack=1")
    return size


def is_local(cfg: DictConfig) -> bool:
    """Whether seeds train on this machine."""
    return str(cfg.executor._target_).endswith(".LocalExecutor")


def count_workers(cfg: DictConfig) -> tuple[int | None, int]:
    """How many seeds train at once, and how many GPUs of this machine they share.

    That is `jobs`; by default one a GPU, or one for `threads` cores; None for as many as a cluster has room for.
    """
    given = None if cfg.jobs == "auto" else cfg.jobs
    if not is_local(cfg):
        return given, 0
    gpus, together = count_gpus(cfg), cfg.trainer.devices if "trainer" in cfg else 1
    if gpus and together > gpus:
        raise InputError(f"trainer.devices={together}: this machine has {gpus} GPUs")
    return given or gpus // together * cfg.workers_per_gpu or max(1, count_cores() // (cfg.threads * together)), gpus


def count_cores() -> int:
    """CPU cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def has_gpu_driver() -> bool:
    """Whether NVIDIA's or AMD's driver is there: without either there is no need to import torch and count GPUs."""
    return any(Path(place).exists() for place in GPU_DRIVERS) or shutil.which("nvidia-smi") is not None


def count_listed_gpus() -> int:
    """How many GPUs CUDA_VISIBLE_DEVICES or NVIDIA's driver lists; torch, which a script may lack, is not asked."""
    given = os.environ.get("CUDA_VISIBLE_DEVICES")
    if given is not None:
        return len([device for device in given.split(",") if device.strip() not in ("", "-1")])
    if shutil.which("nvidia-smi") is None:
        return 0
    listed = subprocess.run(["nvidia-smi", "-L"], capture_output=True, text=True, check=False)
    return len(re.findall(r"^GPU \d+", listed.stdout, re.MULTILINE))


def count_gpus(cfg: DictConfig) -> int:
    """How many GPUs a sweep on this machine trains on, or `gpus` where it runs scripts: auto takes all."""
    if "trainer" not in cfg:
        return count_listed_gpus() if cfg.gpus == "auto" else int(cfg.gpus)
    if cfg.trainer.accelerator != "cpu" and has_gpu_driver():
        import torch

        return torch.cuda.device_count() if torch.cuda.is_available() else 0
    return 0
