"""A sweep as its parent process sees it: which seeds to train, in which chunks, under which name, and how far it is.

Imports neither torch nor Lightning: the workers do, while the parent has nothing to wait for.
"""

import os
import re
import shlex
import shutil
import signal
import socket
import sys
import threading
import time
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any

from hydra.core.override_parser.types import Override
from omegaconf import DictConfig, OmegaConf
from rich.progress import BarColumn, TaskID, TextColumn
from rich.progress import Progress as Bar

from src.command_line import whole_number
from src.errors import InputError
from src.study.progress import Progress, duration, told
from src.study.store import LARGEST_SEED, Study, unwritable

if TYPE_CHECKING:
    from src.study.tensorboard import RunningBands

LINES_UP_TO = 50  # seeds; a larger sweep has one line in all
SECONDS_BETWEEN_LINES = 30.0
SECONDS_BETWEEN_POINTS = 15.0  # in TensorBoard, while a sweep runs
SWEEP_PID = "SEEDSPREAD_SWEEP_PID"
DEATHS = 3  # a seed whose worker died so often is recorded as failed
INTERRUPTED = threading.Event()  # Ctrl-C or SIGTERM came to the process of a sweep


def watch_parent() -> None:
    """Have workers that this process starts from here on end with it; see `watched_parent`."""
    os.environ[SWEEP_PID] = str(os.getpid())


def watched_parent() -> int | None:
    """The process of the sweep, where this process is a worker that it started itself; else None.

    A seed that trains in the sweep's own process outlives its shell, and a worker of Ray or Slurm outlives what
    started it there: for neither is the end of the parent process a reason to stop.
    """
    parent = os.getppid()
    return parent if os.environ.get(SWEEP_PID) == str(parent) else None


def chunks_for_workers(seeds: Sequence[int], workers: int) -> list[list[int]]:
    """Chunks that fall in size, so that `workers` processes end together and few jobs are composed.

    Each round hands out 70 % of what is left in equal parts, down to single seeds (after guided self-scheduling,
    Polychronopoulos and Kuck 1987).
    """
    chunks, start = [], 0
    while start < len(seeds):
        left = len(seeds) - start
        size = max(1, min(-(-7 * left // (10 * workers)), left // workers))
        for _ in range(workers):
            chunks.append(list(seeds[start : start + size]))
            start += size
    return [chunk for chunk in chunks if chunk]


def chunks_of(seeds: Sequence[int], size: int) -> list[list[int]]:
    """Chunks of `size` seeds."""
    return [list(seeds[i : i + size]) for i in range(0, len(seeds), size)]


def swept_seeds(override: Override) -> list[int]:
    """The seeds that `seed=...` names, each once, in their order; InputError for what is no seed, or for none."""
    try:
        values: list[Any] = list(override.sweep_iterator()) if override.is_sweep_override() else [override.value()]
    except ValueError as error:  # range(0,5,0)
        raise InputError(f"{override.input_line}: {error}; for example 'seed=range(0,20)'") from error
    if not values:
        raise InputError(f"{override.input_line}: no seeds; a range runs up to but without its end: 'seed=range(0,20)'")
    for value in values:
        if isinstance(value, str) and value.isdigit():
            continue
        if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= LARGEST_SEED:
            key = override.get_key_element()
            raise InputError(f"{key}={value}: a seed is a whole number from 0 to 2**63-1, for example {key}=3")
    return list(dict.fromkeys(int(value) for value in values))


def study_name(base: str, swept: Sequence[tuple[str, str]]) -> str:
    """The study of one combination of swept keys: digits-width16 for model.width=16."""
    parts = [f"{key.split('.')[-1].lstrip('+/~')}{value}" for key, value in swept]
    return re.sub(r"[^A-Za-z0-9._=+-]+", "_", "-".join([base, *parts]))


def workers(cfg: DictConfig) -> int:
    """How many processes train at once on this machine: `jobs`; by default one a GPU, or one for `threads` cores."""
    if cfg.jobs != "auto":
        return whole_number(cfg, "jobs")
    per_gpu = whole_number(cfg, "workers_per_gpu")
    if found := gpus(cfg):
        return found * per_gpu
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, cores // whole_number(cfg, "threads"))


def ask_for_huge_pages() -> None:
    """Have glibc of the processes that start from here on ask for pages of 2 MiB: the same bits in less time.

    Activations are large, and small pages cost misses in the translation buffer (benchmarks/step.py measures it). glibc
    2.35 and later read this when a process starts; other C libraries do not.
    """
    given = os.environ.get("GLIBC_TUNABLES", "")
    if "glibc.malloc.hugetlb" not in given:
        os.environ["GLIBC_TUNABLES"] = ":".join(filter(None, (given, "glibc.malloc.hugetlb=1")))


def gpus(cfg: DictConfig) -> int:
    """How many GPUs a sweep on this machine trains on."""
    if cfg.trainer.accelerator != "cpu" and (Path("/proc/driver/nvidia").exists() or shutil.which("nvidia-smi")):
        import torch

        return torch.cuda.device_count() if torch.cuda.is_available() else 0
    return 0


def in_stacks(cfg: DictConfig) -> bool:
    """Whether several seeds train in one step, which a worker wants in one chunk."""
    return cfg.get("backbone") is not None and (gpus(cfg) > 0 if cfg.stack == "auto" else cfg.stack != 1)


def check_writable(folder: Path) -> None:
    """Raise InputError where no study can be written into `folder`, before anything is trained."""
    try:
        (folder / "seeds").mkdir(parents=True, exist_ok=True)
        probe = folder / "seeds" / f".probe.{os.getpid()}"
        probe.write_text("")
        probe.unlink()
    except OSError as error:
        raise unwritable(folder, error) from error


def check_ray(launcher: DictConfig, timeout: float = 10.0) -> None:
    """Raise InputError where the Ray cluster that is asked for does not answer; Ray itself would wait for minutes."""
    address = OmegaConf.select(launcher, "ray.init.address")
    if address in (None, "auto", "local") or "://" in str(address):
        return
    host, _, port = str(address).rpartition(":")
    try:
        socket.create_connection((host, int(port)), timeout).close()
    except (OSError, ValueError) as error:
        raise InputError(
            f"hydra.launcher.ray.init.address={address}: no Ray cluster answers there ({error}); "
            "ray start --head prints the address, and auto finds a cluster on this machine"
        ) from error


def missing(folder: Path, seeds: Sequence[int], overwrite: bool = False) -> tuple[Progress, list[int]]:
    """What is recorded of `seeds`, and the seeds to train: those without a record, and those that failed."""
    if not (folder / "study.yaml").exists():
        return Progress(), list(seeds)
    records = Study.load(folder).scan().records
    known = Progress()
    for seed in seeds:
        if seed in records and not overwrite:
            known.add(records[seed])
    done = known.scores.keys() | known.diverged.keys()
    known.failed.clear()
    return known, [seed for seed in seeds if seed not in done]


def next_commands(study: Study, overrides: Sequence[str], asked: int) -> Iterator[str]:
    """What to type after a sweep that has a score: more seeds, and the best seed again."""
    progress = Progress.among(study.scan().records.values())
    if not progress.scores:
        return
    others = [override for override in overrides if not override.startswith(("seed=", "overwrite="))]
    more = shlex.join(["python", "-m", "src.train", "-m", f"seed=range(0,{10 * max(2, asked)})", *others])
    yield f"next: {more}   # adds seeds; recorded ones are kept"
    best = max(progress.scores, key=progress.scores.__getitem__)
    again = shlex.join(["python", "-m", "src.train", f"seed={best}", *others, "overwrite=true"])
    yield f"      {again}   # the best seed once more: the same bits"


def give_up(study: Study, seed: int, died: Exception) -> None:
    """Record `seed` as failed, whose worker died too often."""
    from src.training import record_failure

    reason = f"its worker died {DEATHS} times; is there enough memory for so many workers? (jobs=)"
    header = {"config_digest": study.digest, "study": study.name}
    record_failure(study, seed, reason, f"{type(died).__name__}: {died}\n", header)


@dataclass
class Streak:
    """Failures in a row that have one reason."""

    reason: str | None = None
    length: int = 0

    def add(self, reason: str | None) -> int:
        """Count a failure, or without a reason a success, which ends them; how many they are now."""
        self.length = 0 if not reason else self.length + 1 if reason == self.reason else 1
        self.reason = reason
        return self.length


@contextmanager
def interruptible() -> Iterator[None]:
    """Take SIGTERM, which Slurm sends before it takes a node away, for Ctrl-C, and remember either.

    Python drops an exception that is raised within a `__del__`, so there the signal is sent once more a moment later;
    where it is lost for another reason, who trains here looks at INTERRUPTED between seeds.
    """
    INTERRUPTED.clear()
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def interrupt(sign: int, frame: FrameType | None) -> None:
        INTERRUPTED.set()
        while frame:
            if frame.f_code.co_name == "__del__":
                threading.Timer(0.05, os.kill, (os.getpid(), sign)).start()
                return
            frame = frame.f_back
        raise KeyboardInterrupt

    before = {sign: signal.signal(sign, interrupt) for sign in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield
    finally:
        for sign, handler in before.items():
            signal.signal(sign, handler)


class Watch:
    """Follows a sweep by the records that appear in its folder, whoever writes them, and tells how far it is.

    Up to LINES_UP_TO seeds: a line each. More: one line, written anew in a terminal, elsewhere every 30 s at most.
    With `bands` TensorBoard is told as well, every 15 s at most.
    """

    def __init__(self, folder: Path, todo: Collection[int], before: Progress, bands: bool = False) -> None:
        self.folder, self.waiting, self.progress, self.bands = folder, set(todo), before, bands
        self.total = len(before.scores) + len(before.diverged) + len(todo)
        self.began = time.monotonic()
        self.came = 0
        self._each = len(todo) <= LINES_UP_TO
        self._bar = self._live_bar() if sys.stdout.isatty() and not self._each else None
        self._last_line = self._last_point = time.monotonic()
        self._points: RunningBands | None = None
        self._ended, self._looking = threading.Event(), threading.Lock()
        self._before = self._written()
        self._thread = threading.Thread(target=self._follow, daemon=True)

    def __enter__(self) -> "Watch":
        if self._bar:
            self._bar.start()
        self._thread.start()
        return self

    def __exit__(self, *_: Any) -> None:
        self._ended.set()
        self._thread.join()
        self._look()
        if self._points:
            self._points.close()
        if self._bar:
            self._bar.stop()

    def _live_bar(self) -> Bar:
        bar = Bar(BarColumn(bar_width=20), TextColumn("{task.fields[line]}"), transient=True)
        bar.add_task("", total=self.total, line=self.folder.name)
        return bar

    def missing(self) -> list[int]:
        """The seeds that have no record of this sweep yet."""
        self._look()
        return sorted(self.waiting)

    def _written(self) -> dict[int, int]:
        """When the records of the seeds that are waited for were written, those of an earlier sweep included."""
        entries = ((entry.name.removesuffix(".json"), entry) for entry in os.scandir(self.folder / "seeds"))
        return {int(s): entry.stat().st_mtime_ns for s, entry in entries if s.isdigit() and int(s) in self.waiting}

    def _follow(self) -> None:
        while not self._ended.wait(0.5):
            self._look()

    def _look(self) -> None:
        """Take in the records that came since the last look."""
        try:
            study = Study.load(self.folder)
        except InputError:
            return  # no worker has opened it yet
        with self._looking:
            for seed, written in sorted(self._written().items()):
                if written != self._before.get(seed) and (record := study.record(seed)):
                    self.waiting.discard(seed)
                    self.came += 1
                    self.progress.add(record)
                    if self._each:
                        print(told(record), flush=True)
        if self.bands and self.progress.scores and time.monotonic() - self._last_point >= SECONDS_BETWEEN_POINTS:
            self._last_point = time.monotonic()
            self._add_point()
        if self._bar:
            self._bar.update(TaskID(0), completed=self.total - len(self.waiting), line=self.line())
        elif not self._each and time.monotonic() - self._last_line >= SECONDS_BETWEEN_LINES:
            self._last_line = time.monotonic()
            print(self.line(), flush=True)

    def _add_point(self) -> None:
        """Let TensorBoard show the scores so far."""
        from src.study.tensorboard import RunningBands  # takes a second

        self._points = self._points or RunningBands(self.folder)
        self._points.add(self.progress.scores.values())

    def line(self) -> str:
        """Done of total, the scores so far, rate, time left, failures."""
        elapsed = time.monotonic() - self.began
        rate = self.came / elapsed * 3600
        left = f"{duration(len(self.waiting) / rate * 3600)} left" if self.came else "no seed done yet"
        done = f"{self.folder.name}  {self.total - len(self.waiting)}/{self.total}"
        return "  ".join(part for part in (done, self.progress.line(), f"{rate:.0f} seeds/h", left) if part)
