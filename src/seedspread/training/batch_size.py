"""The batch size that trains fastest here: `seedspread batch_size experiment=cifar_short`.

Doubles the batch size until memory or data are exhausted or throughput stops rising, and recommends the smallest size
near the best throughput: by speed alone, not by a score (Deep Learning Tuning Playbook, Godbole et al. 2023). Each size
is measured in its own process, on real training steps; nothing is recorded as a seed.
"""

import math
import resource
import sys
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import suppress
from dataclasses import dataclass
from itertools import pairwise
from multiprocessing import get_context
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from omegaconf import DictConfig, OmegaConf, open_dict

from seedspread.config.errors import InputError, find_input_error
from seedspread.config.overrides import without_epoch_lines

if TYPE_CHECKING:
    import lightning as L

WARM_UP_STEPS, STEPS, MIN_STEPS = 3, 10, 3
# Of timed steps: at least STEPS and SECONDS, but after MAX_SECONDS no more than MIN_STEPS are needed.
SECONDS, MAX_SECONDS = 1.0, 20.0
OUT_OF_MEMORY = ("out of memory", "can't allocate memory", "not enough memory", "ALLOC_FAILED")
MAX_EPOCHS = 10**6  # more than the clock allows


@dataclass(frozen=True)
class Measurement:
    """A batch size: median seconds per step, loading included, and the peak memory of its process in bytes.

    Memory is what torch allocates on a GPU, or the resident set on a CPU, libraries and pictures included. `pictures`
    is the size of the training set.
    """

    batch: int
    seconds: float
    memory: int
    steps: int
    pictures: int
    on_gpu: bool = False

    @property
    def rate(self) -> float:
        """Pictures per second."""
        return self.batch / self.seconds


class OutOfMemory(Exception):
    """This batch does not fit into memory."""


def measure_batch_size(cfg: DictConfig, batch: int, scratch: str) -> Measurement:
    """Time steps of `batch` pictures in this process, which must not have trained before.

    Raises OutOfMemory, and InputError for invalid settings.
    """
    import torch

    from seedspread.training.build import build_run, open_study
    from seedspread.training.run import fit

    cfg = without_epoch_lines(cfg.copy())
    with open_dict(cfg):
        cfg.results, cfg.logger, cfg.ckpt_path = scratch, None, None
        cfg.data.batch_size = batch
        cfg.trainer.enable_checkpointing = False
        cfg.trainer.default_root_dir = scratch
    try:
        cfg, study = open_study(cfg)
        OmegaConf.resolve(cfg)  # before max_epochs changes: the schedule is that of the study
        with open_dict(cfg):
            cfg.trainer.limit_val_batches = 0
        cfg.trainer.max_epochs = MAX_EPOCHS  # an epoch of large batches may have a single step
        classifier, data, header, device = build_run(cfg, study, cfg.seed)
        clock = _build_step_clock(device)
        fit(cfg, classifier, data, [clock], device)
    except Exception as error:
        if (input_error := find_input_error(error)) is not None:
            raise input_error from None
        if isinstance(error, MemoryError) or any(message in str(error) for message in OUT_OF_MEMORY):
            raise OutOfMemory from None
        raise RuntimeError(f"{type(error).__name__}: {error}") from None  # an exception that can be pickled
    resident = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
    memory = torch.cuda.max_memory_allocated(device) if device.type == "cuda" else resident
    seconds = clock.seconds()
    pictures, on_gpu = header["train_examples"], device.type == "cuda"
    return Measurement(batch, float(np.median(seconds)), memory, len(seconds), pictures, on_gpu)


def _prefer_as_oom_victim() -> None:
    """Let the system kill this process first where memory is exhausted."""
    with suppress(OSError):  # another system
        Path("/proc/self/oom_score_adj").write_text("1000")


def _build_step_clock(device: Any) -> Any:
    """A callback that times steps, from the end of one to the end of the next, and stops after enough of them."""
    import lightning as L
    import torch

    class Clock(L.Callback):
        def __init__(self) -> None:
            self.marks: list[Any] = []
            self.started = 0.0

        def on_train_batch_end(
            self, trainer: "L.Trainer", pl_module: "L.LightningModule", outputs: Any, batch: Any, batch_idx: int
        ) -> None:
            self.marks.append(self._now())
            timed = len(self.marks) - WARM_UP_STEPS
            if timed == 0:
                self.started = time.perf_counter()
            elapsed = time.perf_counter() - self.started
            enough = timed >= STEPS and elapsed >= SECONDS
            if enough or (timed >= MIN_STEPS and elapsed >= MAX_SECONDS):
                trainer.should_stop = True

        def _now(self) -> Any:
            if device.type != "cuda":
                return time.perf_counter()
            event = torch.cuda.Event(enable_timing=True)  # recorded without synchronising
            event.record()
            return event

        def seconds(self) -> list[float]:
            marks = self.marks[WARM_UP_STEPS - 1 :]
            if device.type != "cuda":
                return np.diff(marks).tolist()
            torch.cuda.synchronize(device)
            return [start.elapsed_time(end) / 1000 for start, end in pairwise(marks)]

    return Clock()


def run_in_process(function: Callable[..., Any], *arguments: Any) -> Any:
    """The result of `function` in a new process; raises OutOfMemory where the process is killed."""
    context = get_context("forkserver")
    context.set_forkserver_preload(["seedspread.training.run"])  # once for all sizes: the imports take seconds
    with ProcessPoolExecutor(1, context, initializer=_prefer_as_oom_victim) as pool:
        try:
            return pool.submit(function, *arguments).result()
        except BrokenProcessPool:
            raise OutOfMemory(": its process was killed") from None


def free_memory() -> float:
    """Bytes available to new processes on this machine, within the limit of a container; infinite if unknown."""
    free = [math.inf]
    try:
        lines = Path("/proc/meminfo").read_text().splitlines()
        free += [1024 * float(line.split()[1]) for line in lines if line.startswith("MemAvailable")]
        limit, used = (Path(f"/sys/fs/cgroup/memory.{name}").read_text().strip() for name in ("max", "current"))
        free += [float(limit) - float(used)] if limit != "max" else []
    except OSError:
        pass  # not Linux, or no limit
    return min(free)


def double_batch_size(
    measure: Callable[[int], Measurement],
    start: int,
    gain: float,
    free: Callable[[], float] = lambda: math.inf,
    show: Callable[[Measurement], None] = lambda measurement: None,
) -> tuple[list[Measurement], str]:
    """Measurements of batch sizes doubled from `start`, and the reason why they end.

    They end where memory or data are exhausted, or where two sizes in a row gain less than `gain` percent. `free`
    returns the available memory in bytes: on a CPU a size that would exceed it, by extrapolation, is not measured.
    `show` is called with each measurement. Raises InputError where the first size does not fit.
    """
    found: list[Measurement] = []
    batch, slow = start, 0
    while True:
        if len(found) > 1:
            needed = found[-1].memory + 2 * (found[-1].memory - found[-2].memory)
            if not found[-1].on_gpu and needed > (available := free()):
                return (
                    found,
                    f"{batch:,} pictures would need {needed / 2**30:.1f} GiB, {available / 2**30:.1f} are free",
                )
        try:
            found.append(measure(batch))
        except OutOfMemory as error:
            if not found:
                raise InputError(
                    f"start={start}: out of memory{error}; choose a smaller start or a smaller model"
                ) from None
            return found, f"out of memory at {batch:,} pictures{error}"
        best_before = max((one.rate for one in found[:-1]), default=0.0)
        slow = slow + 1 if found[-1].rate < best_before * (1 + gain / 100) else 0
        show(found[-1])
        if slow == 2:
            return found, f"two sizes in a row gained less than {gain:g} % throughput"
        batch *= 2
        if batch > found[-1].pictures:
            return found, f"{batch:,} is more than the {found[-1].pictures:,} training pictures"


def recommend(found: Sequence[Measurement], within: float) -> Measurement:
    """The smallest batch size whose throughput is within `within` percent of the best."""
    best = max(one.rate for one in found)
    return min((one for one in found if one.rate >= best * (1 - within / 100)), key=lambda one: one.batch)


def prepare_features(cfg: DictConfig, scratch: str) -> None:
    """Extract the features of a frozen backbone first: they are not part of a step."""
    from seedspread.training.build import prepare_study

    with open_dict(cfg):
        cfg.results = scratch
    prepare_study(cfg)
