"""The batch size that trains fastest here: `seedspread batch_size experiment=cifar_short`.

Doubles the batch until memory or data end, or pictures a second rise no more, and recommends the smallest size near the
best rate: by speed alone, never by a score (Deep Learning Tuning Playbook, Godbole et al. 2023). Each size is measured
in a process of its own, on steps of the real training; nothing is recorded as a seed.
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

if TYPE_CHECKING:
    import lightning as L

WARM_UP_STEPS, STEPS, FEWEST_STEPS = 3, 10, 3
SECONDS, MOST_SECONDS = 1.0, 20.0  # of timed steps: more than STEPS fill the first, fewer may fill the second
NO_MEMORY = ("out of memory", "can't allocate memory", "not enough memory", "ALLOC_FAILED")
MANY = 10**6


@dataclass(frozen=True)
class Measured:
    """What a batch size takes: median seconds a step, loading included, and the peak memory of its process in bytes.

    Memory is what torch held on a GPU, or the resident set on a CPU, libraries and pictures included. `pictures` is how
    many there are to train on.
    """

    batch: int
    seconds: float
    memory: int
    steps: int
    pictures: int
    on_gpu: bool = False

    @property
    def rate(self) -> float:
        """Pictures a second."""
        return self.batch / self.seconds


class OutOfMemory(Exception):
    """This batch does not fit."""


def measure_batch_size(cfg: DictConfig, batch: int, scratch: str) -> Measured:
    """Time steps of `batch` pictures in this process, which has trained nothing yet.

    Raises OutOfMemory, and InputError for settings that cannot be.
    """
    import torch

    from seedspread.training.build import build_run, open_study
    from seedspread.training.run import fit

    cfg = cfg.copy()
    with open_dict(cfg):
        cfg.results, cfg.logger, cfg.ckpt_path = scratch, None, None
        cfg.data.batch_size = batch
        cfg.callbacks = {name: c for name, c in (cfg.callbacks or {}).items() if name != "epoch_lines"}
        cfg.trainer.limit_val_batches, cfg.trainer.enable_checkpointing = 0, False
        cfg.trainer.default_root_dir = scratch
    try:
        cfg, study = open_study(cfg)
        OmegaConf.resolve(cfg)  # the schedule is still that of the study's epochs
        cfg.trainer.max_epochs = MANY  # the clock ends it; of a large batch an epoch may have a single step
        classifier, data, header, device = build_run(cfg, study, cfg.seed)
        clock = _step_clock(device)
        fit(cfg, classifier, data, [clock], device)
    except Exception as error:
        if (told := find_input_error(error)) is not None:
            raise told from None
        if isinstance(error, MemoryError) or any(words in str(error) for words in NO_MEMORY):
            raise OutOfMemory from None
        raise RuntimeError(f"{type(error).__name__}: {error}") from None  # whatever it is, it can be pickled
    resident = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
    memory = torch.cuda.max_memory_allocated(device) if device.type == "cuda" else resident
    seconds = clock.seconds()
    pictures, on_gpu = header["train_examples"], device.type == "cuda"
    return Measured(batch, float(np.median(seconds)), memory, len(seconds), pictures, on_gpu)


def _die_first() -> None:
    """Where memory ends and the system kills a process for it, let it be this one."""
    with suppress(OSError):  # another system
        Path("/proc/self/oom_score_adj").write_text("1000")


def _step_clock(device: Any) -> Any:
    """A callback that times steps from the end of one to the end of the next, and stops when it has seen enough."""
    import lightning as L
    import torch

    class Clock(L.Callback):
        def __init__(self) -> None:
            self.marks: list[Any] = []
            self.began = 0.0

        def on_train_batch_end(
            self, trainer: "L.Trainer", pl_module: "L.LightningModule", outputs: Any, batch: Any, batch_idx: int
        ) -> None:
            self.marks.append(self._now())
            timed = len(self.marks) - WARM_UP_STEPS
            if timed == 0:
                self.began = time.perf_counter()
            elapsed = time.perf_counter() - self.began
            enough = timed >= STEPS and elapsed >= SECONDS
            if enough or (timed >= FEWEST_STEPS and elapsed >= MOST_SECONDS):
                trainer.should_stop = True

        def _now(self) -> Any:
            if device.type != "cuda":
                return time.perf_counter()
            event = torch.cuda.Event(enable_timing=True)  # the host need not wait for the device
            event.record()
            return event

        def seconds(self) -> list[float]:
            marks = self.marks[WARM_UP_STEPS - 1 :]
            if device.type != "cuda":
                return np.diff(marks).tolist()
            torch.cuda.synchronize(device)
            return [one.elapsed_time(other) / 1000 for one, other in pairwise(marks)]

    return Clock()


def run_alone(function: Callable[..., Any], *arguments: Any) -> Any:
    """The result of `function` in a process of its own; OutOfMemory where that is killed."""
    context = get_context("forkserver")
    context.set_forkserver_preload(["seedspread.training.run"])  # its imports take seconds; it trains nothing itself
    with ProcessPoolExecutor(1, context, initializer=_die_first) as pool:
        try:
            return pool.submit(function, *arguments).result()
        except BrokenProcessPool:
            raise OutOfMemory(", its process was killed") from None


def memory_left() -> float:
    """Bytes that new processes can have on this machine, within the limit of a container; infinite if unknown."""
    left = [math.inf]
    try:
        lines = Path("/proc/meminfo").read_text().splitlines()
        left += [1024 * float(line.split()[1]) for line in lines if line.startswith("MemAvailable")]
        most, used = (Path(f"/sys/fs/cgroup/memory.{name}").read_text().strip() for name in ("max", "current"))
        left += [float(most) - float(used)] if most != "max" else []
    except OSError:
        pass  # another system, or no such limit
    return min(left)


def double_batch_size(
    measure: Callable[[int], Measured],
    start: int,
    gain: float,
    left: Callable[[], float] = lambda: math.inf,
    show: Callable[[Measured], None] = lambda one: None,
) -> tuple[list[Measured], str]:
    """Sizes from `start` on, doubled until something ends it, and what that was; `gain` is in percent.

    `left` is the memory that a process can have, asked before each size: on a CPU none is begun that would need more of
    it, as far as the sizes before tell. `show` is given each as it is measured. Raises InputError where the first size
    does not fit.
    """
    found: list[Measured] = []
    batch, slow = start, 0
    while True:
        if len(found) > 1:
            needed = found[-1].memory + 2 * (found[-1].memory - found[-2].memory)
            if not found[-1].on_gpu and needed > (room := left()):
                return found, f"{batch:,} pictures would need {needed / 2**30:.1f} GiB, {room / 2**30:.1f} are free"
        try:
            found.append(measure(batch))
        except OutOfMemory as error:
            if not found:
                told = f"start={start}: out of memory{error}; name a smaller start, or a smaller model"
                raise InputError(told) from None
            return found, f"out of memory at {batch:,} pictures{error}"
        best_before = max((one.rate for one in found[:-1]), default=0.0)
        slow = slow + 1 if found[-1].rate < best_before * (1 + gain / 100) else 0
        show(found[-1])
        if slow == 2:
            return found, f"two sizes in a row gained less than {gain:g} % pictures a second"
        batch *= 2
        if batch > found[-1].pictures:
            return found, f"{batch:,} are more than the {found[-1].pictures:,} pictures there are"


def recommend(found: Sequence[Measured], within: float) -> Measured:
    """The smallest batch whose pictures a second are within so many percent of the best."""
    best = max(one.rate for one in found)
    return min((one for one in found if one.rate >= best * (1 - within / 100)), key=lambda one: one.batch)


def prepare_features(cfg: DictConfig, scratch: str) -> None:
    """Extract the features of a frozen backbone where there are none: not part of a step."""
    from seedspread.training.worker import prepare_study

    with open_dict(cfg):
        cfg.results = scratch
    prepare_study(cfg)
