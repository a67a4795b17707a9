"""Seeds a machine trains in an hour, against three rivals, and where the time goes: `make bench`.

Whole seeds, set-up and scoring included, in processes of one thread each (on a GPU: one process) that take turns:
ours, the recipe as a plain fp32 loop, and through stock Lightning with torchvision's transforms (benchmarks/rivals.py).
Then whole sweeps against Hydra's stock sweeper. With `--part growth step`: what a seed costs as work grows, and the
step by itself (benchmarks/step.py). Prints tables of medians with their range and writes all of it, with hardware and
versions, as JSON.
"""

import argparse
import json
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import wraps
from importlib import import_module
from math import nan
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks import step
from benchmarks.rivals import Recipe, plain, resident, stock_lightning
from benchmarks.step import GPU, child, composed, count, keep, missed, time_left
from benchmarks.sweep import STOCK, finished, records, sweep

DEVICE = "cuda" if GPU else "cpu"
HUGE_PAGES = {"GLIBC_TUNABLES": "glibc.malloc.hugetlb=1"}  # as the workers of a sweep have
RIVALS = {"plain loop": plain, "stock Lightning": stock_lightning}
NOISE = "data.read._target_=benchmarks.rivals.random_pictures"
# What is trained: an experiment at a stated size. On a CPU the full cifar_short would take an hour for each contender.
SIZES: dict[str, list[str]] = {
    "digits, 20 epochs": ["experiment=digits"],
    "cifar_quick, 2 epochs of 5,000 pictures, 2,000 scored": [
        "experiment=cifar_quick", NOISE, "data.source=5000x2000", "trainer.max_epochs=2"
    ],
    "cifar_short, 22 epochs of 50,000 pictures, 10,000 scored" if GPU else
    "cifar_short, 1 epoch of 5,000 pictures, 1,000 scored": [
        "experiment=cifar_short", NOISE, *(["data.source=50000x10000"] if GPU else ["trainer.max_epochs=1"])
    ],
}  # fmt: skip
SMALL = ["trainer.max_epochs=1", "model.width=4"]


class Clock:
    """Seconds by part; what a part calls that is a part itself counts there and not here."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self._parts, self._since = ["set-up"], time.perf_counter()

    def _turn(self) -> None:
        if GPU:
            torch.cuda.synchronize()
        now = time.perf_counter()
        part = self._parts[-1]
        self.seconds[part] = self.seconds.get(part, 0.0) + now - self._since
        self._since = now

    @contextmanager
    def part(self, name: str) -> Iterator[None]:
        self._turn()
        self._parts.append(name)
        try:
            yield
        finally:
            self._turn()
            self._parts.pop()

    def watch(self, owner: Any, name: str, part: str) -> None:
        """Count the calls of `owner.name` as `part`; of a generator, the time to each item."""
        function = getattr(owner, name)

        @wraps(function)
        def timed(*args: Any, **kwargs: Any) -> Any:
            with self.part(part):
                return function(*args, **kwargs)

        @wraps(function)
        def timed_items(*args: Any, **kwargs: Any) -> Iterator[Any]:
            items = function(*args, **kwargs)
            while True:
                with self.part(part):
                    item = next(items, None)
                if item is None:
                    return
                yield item

        setattr(owner, name, timed_items if name == "__iter__" else timed)


def in_parts() -> Clock:
    """A clock on the parts of a seed of ours. On a GPU it waits for the device at each turn, which costs time too."""
    import lightning as L

    from seedspread.data.loader import ScoreLoader, TrainLoader
    from seedspread.records.study import Study
    from seedspread.training import build
    from seedspread.training.epoch_loop import EpochLoop
    from seedspread.training.module import Classifier

    clock = Clock()
    clock.watch(L.Trainer, "fit", "Lightning")
    for loader in (TrainLoader, ScoreLoader):
        clock.watch(loader, "__iter__", "data")
    for owner, name in (
        (EpochLoop, "_take_step"),
        (Classifier, "training_step"),
        (torch.Tensor, "backward"),
        (Classifier, "on_train_epoch_start"),
    ):
        clock.watch(owner, name, "training")
    for name in ("validation_step", "on_validation_epoch_start", "on_validation_epoch_end"):
        clock.watch(Classifier, name, "scoring")
    clock.watch(Study, "write", "records")
    clock.watch(build, "build_optimizer", "set-up")
    # SGD.step also calls the closure that does the rest of the step: only its arithmetic counts.
    clock.watch(import_module("torch.optim.sgd"), "sgd", "training")
    return clock


def train_ours(overrides: list[str], seeds: int, parts: bool) -> dict[str, Any]:
    """In a process of its own: seconds of each seed after the first, accuracies, and one seed's seconds by part."""
    began = time.perf_counter()
    cfg = composed([*overrides, f"trainer={'gpu' if GPU else 'cpu'}"])
    hydra = time.perf_counter() - began
    from seedspread.training.build import open_study
    from seedspread.training.run import train_seed

    clock = in_parts() if parts else None
    with tempfile.TemporaryDirectory() as results:
        cfg.results = results
        cfg, study = open_study(cfg)
        train_seed(cfg, study, 0)  # reads the data, warms up
        if clock:
            clock._turn()
            clock.seconds.clear()
        seconds = []
        for seed in range(1, seeds + 1):
            began = time.perf_counter()
            train_seed(cfg, study, seed)
            seconds.append(time.perf_counter() - began)
        if clock:
            clock._turn()
        done = records(Path(results))
    by_part = {part: spent / seeds for part, spent in clock.seconds.items()} if clock else {}
    accuracies = [record.final["val/acc"] for record in done[1:]]
    return {"seconds": seconds, "accuracies": accuracies, "parts": by_part, "hydra_seconds": hydra}


def train_rival(name: str, overrides: list[str], seeds: int) -> dict[str, Any]:
    if whole := name == "all cores":
        name = "plain loop"
    else:
        torch.set_num_threads(1)
    recipe = Recipe.of(composed(overrides))
    if not whole:  # ours has warmed up as well
        if name == "plain loop":
            resident(recipe, DEVICE)
        RIVALS[name](recipe.short(), 0, DEVICE)
    seconds, accuracies = zip(*(RIVALS[name](recipe, seed, DEVICE) for seed in range(1, seeds + 1)), strict=True)
    return {"seconds": seconds, "accuracies": accuracies}


def one_seed(title: str, overrides: list[str], rounds: int, seeds: int) -> dict[str, Any]:
    """Ours and the rivals, taking turns; stock Lightning, far behind and slow to wait for, once."""
    found: dict[str, list[dict[str, Any]]] = {"ours": [], **{name: [] for name in RIVALS}}

    def run(name: str, parts: bool = False) -> Any:
        arguments = json.dumps([name, overrides, seeds, parts])
        return child("benchmarks.run", "--child", arguments, environment=HUGE_PAGES if name == "ours" else {})

    parts = run("ours", parts=True)
    for turn in range(rounds):
        for name, runs in found.items():
            if (turn == 0 or name != "stock Lightning") and (told := run(name)) is not None:
                runs.append(told)
    if not found["ours"]:
        return {}
    every = {name: [s for run in runs for s in run["seconds"]] for name, runs in found.items()}
    seconds = {name: statistics.median(each) for name, each in every.items() if each}
    accuracy = {n: statistics.mean(a for run in runs for a in run["accuracies"]) for n, runs in found.items() if runs}
    print(f"{title}, {'one process on a GPU' if GPU else 'one thread'}, {rounds} turns of {seeds} seeds, medians")
    for name, each in seconds.items():
        ratio = f"{each / seconds['ours']:5.2f} x ours"
        learnt = f"  accuracy {100 * accuracy[name]:.1f} %" if "digits" in title else ""
        print(f"  {name:16} {each:8.3f} s a seed ({spread(every[name])})  {3600 / each:7.0f} seeds/h  {ratio}{learnt}")
    measured = {"what": title, "seconds": seconds, "range": every, "accuracy": accuracy}
    if parts is not None:
        spent = parts["parts"]
        whole = sum(spent.values())
        shares = ", ".join(f"{part} {100 * s / whole:.1f} %" for part, s in sorted(spent.items(), key=lambda x: -x[1]))
        print(f"  of a seed of ours: {shares}; once a process: Hydra {parts['hydra_seconds']:.2f} s", flush=True)
        measured |= {"parts": spent, "hydra": parts["hydra_seconds"]}
    return measured


def swept(folder: Path, *arguments: str) -> bool:
    """Whether a sweep of ours ran to its end in time."""
    try:
        finished(sweep(folder, "src.train", *arguments), time_left())
    except subprocess.TimeoutExpired:
        missed(" ".join(arguments), "no time left")
        return False
    except SystemExit as failed:
        if not isinstance(failed.code, str):
            raise  # this process is told to stop
        missed(" ".join(arguments), (failed.code.strip().splitlines() or ["?"])[-1])
        return False
    return True


def whole_sweeps(title: str, overrides: list[str], seeds: int, rounds: int) -> dict[str, Any]:
    """By the commands that users type, start-up included, taking turns: all cores for each, as it takes them itself."""
    arguments = (f"seed=range(0,{seeds})", *overrides)
    plainly = json.dumps(["all cores", overrides, seeds, False])
    runs: dict[str, Callable[[Path], Any]] = {
        "ours": lambda folder: swept(folder, *arguments),
        "Hydra's stock sweeper": lambda folder: swept(folder, *arguments, *STOCK),
        "plain loop": lambda _: child("benchmarks.run", "--child", plainly) is not None,
    }
    took: dict[str, list[float]] = {name: [] for name in runs}
    for _ in range(rounds):
        for name, run in runs.items():
            with tempfile.TemporaryDirectory() as folder:
                began = time.perf_counter()
                if run(Path(folder)):
                    took[name].append(time.perf_counter() - began)
    medians = {name: statistics.median(seconds) for name, seconds in took.items() if seconds}
    print(f"{title}: {seeds} seeds on the whole machine, start-up included, medians of {rounds}")
    for name, seconds in medians.items():
        rate = f"{3600 * seeds / seconds:6.0f} seeds/h  {seconds / medians.get('ours', nan):5.2f} x ours"
        print(f"  {name:22} {seconds:7.1f} s ({spread(took[name])})  {rate}", flush=True)
    return {"what": title, "seeds": seeds, "seconds": medians, "range": took}


def spread(seconds: list[float]) -> str:
    """The smallest and the largest of them."""
    return f"{min(seconds):.2f} to {max(seconds):.2f}"


def growth(counts: list[int], small: list[str]) -> dict[str, Any]:
    """What grows with seeds, pictures and width: measured, with the straight line through it."""
    found: dict[str, Any] = {}
    rows = []
    for seeds in counts:
        with tempfile.TemporaryDirectory() as folder:
            began = time.perf_counter()
            if swept(Path(folder), f"seed=range(0,{seeds})", "experiment=digits", "trainer.max_epochs=1", *small):
                rows.append((seeds, time.perf_counter() - began))
    found["seeds of digits, 1 epoch, a whole sweep"] = rows
    quick = ["experiment=cifar_quick", NOISE, "data.train_size=null", "data.test_size=null", "trainer.max_epochs=2"]
    for title, setting, values in (
        ("training pictures, cifar_quick, 2 epochs", "data.source={}x1000", (5000, 10_000, 20_000)),
        ("width, cifar_quick, 2 epochs", "model.width={}", (16, 32, 64)),
    ):
        rows = []
        for value in values if not small else values[:2]:
            shrunk = [o for o in small if not o.startswith(setting.split("=")[0]) and "epochs" not in o]
            changed = [*quick, setting.format(value), *shrunk]
            if (told := child("benchmarks.run", "--child", json.dumps(["ours", changed, 1, False]))) is not None:
                rows.append((value, statistics.median(told["seconds"])))
        found[title] = rows
    for title, rows in found.items():
        if len(rows) < 2:
            continue
        x, y = np.array(rows, dtype=float).T
        slope, constant = np.polyfit(x, y, 1)
        told = ", ".join(f"{int(n):,}: {s:.2f} s" for n, s in rows)
        # Arithmetic grows with the square of the width: a line is no summary of it.
        line = f"; {1000 * slope:.3f} ms each and {constant:.2f} s" if "width" not in title else ""
        print(f"{title}: {told}{line}", flush=True)
    return {title: {"measured": rows} for title, rows in found.items()}


def on_one_gpu(overrides: list[str]) -> dict[str, float]:
    """Several workers on one GPU: seeds an hour by when their records were written, start-up left out."""
    rates: dict[str, float] = {}
    for workers in (1, 4, 2, 8):  # in the order of what they tell, should time run out
        seeds = max(4, 3 * workers)
        with tempfile.TemporaryDirectory() as folder:
            side_by_side = (f"workers_per_gpu={workers}", *(() if GPU else (f"jobs={workers}",)))
            if not swept(Path(folder), f"seed=range(0,{seeds})", *side_by_side, *overrides):
                break
            ended = sorted(path.stat().st_mtime for path in Path(folder).glob("*/seeds/0*.json"))
        first, last = ended[workers - 1], ended[-1]  # the first seed of each worker begins with imports
        rates[str(workers)] = 3600 * (seeds - workers) / (last - first)
        print(f"  {workers} workers on one device: {rates[str(workers)]:.0f} seeds/h", flush=True)
    return rates


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=count, default=3)
    parser.add_argument("--json", type=Path, default=Path("logs/bench.json"))
    parser.add_argument("--part", nargs="+", choices=("seed", "sweep", "growth", "step", "workers"))
    parser.add_argument("--small", action="store_true", help="sizes at which nothing but the running is measured")
    parser.add_argument("--limit", type=float, default=float("inf"), help="begin nothing after so many seconds")
    parser.add_argument("--child", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        name, overrides, seeds, parts = json.loads(options.child)
        found = train_ours(overrides, seeds, parts) if name == "ours" else train_rival(name, overrides, seeds)
        print(json.dumps(found))
        return
    from seedspread.training.environment import describe_machine

    for sign in (signal.SIGTERM, signal.SIGINT):
        signal.signal(sign, lambda number, _: sys.exit(128 + number))  # on the way out sweeps are ended
    step.deadline = time.monotonic() + options.limit
    small = SMALL if options.small else []
    rounds = 1 if options.small else options.rounds
    wanted = options.part or ["seed", "sweep"]
    measured: dict[str, Any] = {
        "machine": describe_machine(torch.device("cuda" if torch.cuda.is_available() else "cpu")),
        "when": datetime.now(UTC).isoformat(timespec="seconds"),
    }
    measured |= {"cores": os.cpu_count(), "rounds": rounds, "lost": step.lost}
    keep(options.json, measured)  # what cannot be written is told before half an hour
    sizes = list(SIZES.items())
    measurements: dict[str, Callable[[], Any]] = {
        "seed": lambda: [
            one_seed(title, [*overrides, *small], rounds, 1 if small or "cifar_short" in title else 2)
            for title, overrides in (reversed(sizes) if GPU else sizes)  # there the last is what matters most
        ],
        "sweep": lambda: [
            whole_sweeps(title, [*overrides, *small], 2 if small else seeds, min(rounds, 2))
            for (title, overrides), seeds in zip(sizes, (20, 6), strict=False)
        ],
        "growth": lambda: growth([2, 4] if small else [10, 100, 1000], small),
        "step": lambda: [
            step.table(width, 20 if small else 500, steps, rounds)
            for width, steps in ([(4, 2)] if small else [(64, 100)] if GPU else [(16, 5), (64, 2)])
        ],
        "workers": lambda: on_one_gpu([*sizes[0 if small else -1][1], *small]),
    }
    for part in wanted:
        measured[part] = measurements[part]()
        keep(options.json, measured)
    print(f"all of it in {options.json}")
    sys.exit(1 if step.lost else 0)


if __name__ == "__main__":
    main()
