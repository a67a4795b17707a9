"""A training step, each of its tricks taken away or added alone, against a plain fp32 loop and the machine's limits.

`python -m benchmarks.step`, 5 minutes on 2 cores. Every measurement is a process of its own; the contenders take turns
(A B C A B C ...). Prints medians with their ratio to the plain loop, the most memory each process held, and what the
arithmetic and the memory traffic of a step would take alone, at rates measured in the same run.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from math import nan
from pathlib import Path
from typing import Any, ClassVar

import lightning as L
import torch
from hydra import compose, initialize_config_dir
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.flop_counter import FlopCounterMode

from benchmarks.rivals import Recipe, objective, plain, resnet9
from seedspread.records.files import write_atomically

EPOCHS = 3  # the first is not counted
GPU = torch.cuda.is_available()
OURS = "ours"
# What a contender changes of `ours`: overrides, and variables of its process.
ON_CPU: dict[str, list[str]] = {
    OURS: [],
    "without huge pages": ["env:GLIBC_TUNABLES="],
    "without keeping memory": ["stock malloc"],
    "without bf16": ["trainer.precision=32-true", "memory_format=channels_last"],
    "without channels_last": ["memory_format=contiguous"],
    "without bf16 and channels_last": ["trainer.precision=32-true", "memory_format=contiguous"],
    "without foreach": ["+optimizer.foreach=false"],
}
ON_GPU: dict[str, list[str]] = {
    OURS: [],
    "captured": ["capture=true"],
    "without bf16": ["trainer.precision=32-true", "memory_format=channels_last"],
    "without channels_last": ["memory_format=contiguous"],
    "without fused SGD": ["+optimizer.foreach=true"],  # torch's own choice
    "not deterministic": ["trainer.deterministic=false"],
    "not deterministic, cudnn.benchmark": ["trainer.deterministic=false", "+trainer.benchmark=true"],
    "fp16, scaled": ["trainer.precision=16-mixed"],
    "fp16 weights": ["trainer.precision=16-true"],
    "bf16 weights": ["trainer.precision=bf16-true"],
    # last: they take longest, should time run out
    "compiled, CUDA graphs": ["compile={mode:reduce-overhead}"],
    "compiled": ["compile={mode:default}"],
    "captured, compiled": ["capture=true", "compile={mode:default}"],
}


class EpochClock(L.Callback):
    """Seconds an epoch of training; `latest` is the list of the last fit."""

    latest: ClassVar[list[float]] = []

    def on_fit_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        EpochClock.latest = []

    def on_train_epoch_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        _wait()
        self.began = time.perf_counter()

    def on_validation_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        _wait()
        EpochClock.latest.append(time.perf_counter() - self.began)


class Profile(L.Callback):
    """Profiles the steps of the second epoch: `latest` holds what was found."""

    every_step = False
    latest: ClassVar[dict[str, Any]] = {}

    def on_train_epoch_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        if trainer.current_epoch == 1:
            _wait()
            self.profiler, self.began = torch.profiler.profile(), time.perf_counter()
            self.profiler.start()

    def on_validation_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        if trainer.current_epoch == 1:
            _wait()
            wall = time.perf_counter() - self.began
            self.profiler.stop()
            steps, events = trainer.num_training_batches, self.profiler.key_averages()
            key = "self_device_time_total" if GPU else "self_cpu_time_total"
            busy = sum(event.self_device_time_total for event in events) / 1e6
            Profile.latest = {
                "ms_per_step": 1e3 * wall / steps,
                "launches_per_step": sum(event.count for event in events if "LaunchKernel" in event.key) / steps,
                "operators_per_step": sum(event.count for event in events if event.key.startswith("aten::")) / steps,
                "busy_share": busy / wall,
            }
            print(events.table(sort_by=key, row_limit=15, max_name_column_width=60))


def _wait() -> None:
    if GPU:
        torch.cuda.synchronize()


def recipe(width: int, batch: int, steps: int) -> list[str]:
    """Overrides of `cifar_short` on noise, one epoch of `steps` steps."""
    return [
        "experiment=cifar_short",
        "data.read._target_=benchmarks.rivals.random_pictures",
        f"data.source={batch * steps}x10",  # as good as nothing to score
        "optimizer.lr=0.001",  # noise must not diverge in any precision, which would end the training
        f"data.batch_size={batch}",
        f"model.width={width}",
        f"trainer.max_epochs={EPOCHS}",
        f"trainer={'gpu' if GPU else 'cpu'}",
    ]


def composed(overrides: list[str]) -> Any:
    with initialize_config_dir(str(Path("conf").resolve()), version_base="1.3"):
        return compose("train", overrides)


def _train_ours(overrides: list[str]) -> list[float]:
    from seedspread.commands.train import train
    from seedspread.training import hardware

    if "stock malloc" in overrides:
        overrides.remove("stock malloc")
        hardware.keep_memory = lambda: False  # type: ignore[assignment]
    with tempfile.TemporaryDirectory() as results:
        clock = "+callbacks.clock._target_=benchmarks.step.EpochClock"
        train(composed([*overrides, f"results={results}", clock]))
    # Run as a script this file is another module than the one Hydra imported.
    return sys.modules["benchmarks.step"].EpochClock.latest


def profile(width: int, batch: int, steps: int) -> dict[str, Any]:
    """Print the top 15 operators of an epoch of `steps` steps, and return counts and shares of a step."""
    from seedspread.commands.train import train

    with tempfile.TemporaryDirectory() as results:
        watch = "+callbacks.profile._target_=benchmarks.step.Profile"
        train(composed([*recipe(width, batch, steps), f"results={results}", "trainer.max_epochs=2", watch]))
    found = sys.modules["benchmarks.step"].Profile.latest
    print(", ".join(f"{name.replace('_', ' ')} {value:.3g}" for name, value in found.items()), flush=True)
    return {"width": width, "batch": batch, **found}


def _train_plainly(overrides: list[str]) -> list[float]:
    torch.set_num_threads(1)
    seconds: list[float] = []
    plain(Recipe.of(composed(overrides)), 0, "cuda" if GPU else "cpu", seconds)
    return seconds


def _most_memory(stop: threading.Event, found: dict[str, int]) -> None:
    """Watch this process's memory, in MiB, every 5 ms."""
    while not stop.wait(0.005):
        status = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
        for key in ("RssAnon", "VmHWM"):
            found[key] = max(found.get(key, 0), int(status[key].split()[0]) // 1024)


def measure(contender: str, overrides: list[str]) -> dict[str, float]:
    """In a process of its own: median seconds an epoch after the first, and peak memory in MiB."""
    stop, memory = threading.Event(), dict[str, int]()
    watcher = threading.Thread(target=_most_memory, args=(stop, memory))
    if sys.platform == "linux":
        watcher.start()
    seconds = _train_plainly(overrides) if contender == "plain loop" else _train_ours(overrides)
    stop.set()
    if GPU:
        memory["GPU"] = torch.cuda.max_memory_allocated() // 2**20
    return {"seconds": statistics.median(seconds[1:]), **memory}


class Traffic(TorchDispatchMode):
    """Bytes that the operations within the block read and write, each operation by itself; views cost nothing."""

    def __init__(self) -> None:
        super().__init__()
        self.bytes = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        out = func(*args, **(kwargs or {}))
        if not func.is_view:
            tensors = [leaf for leaf in tree_leaves((args, kwargs, out)) if isinstance(leaf, torch.Tensor)]
            self.bytes += sum(tensor.numel() * tensor.element_size() for tensor in tensors)
        return out


def limits(width: int, batch: int) -> dict[str, float]:
    """Of one step in bf16, channels_last: FLOP, bytes; and what this machine does at most, one CPU thread or a GPU."""
    torch.set_num_threads(1)
    device = "cuda" if GPU else "cpu"
    model = resnet9(3, width).to(device).to(memory_format=torch.channels_last)
    images = torch.randn(batch, 3, 32, 32, device=device).contiguous(memory_format=torch.channels_last)
    labels = torch.randint(0, 10, (batch,), device=device)
    with FlopCounterMode(display=False) as flop, Traffic() as traffic, torch.autocast(device, torch.bfloat16):
        objective(model(images).float(), labels).backward()
    size = 8192 if GPU else 1024
    a = torch.randn(size, size, device=device, dtype=torch.bfloat16)
    big = torch.empty(2**30 if GPU else 2**26, dtype=torch.uint8, device=device)
    target = torch.empty_like(big)
    product = _fastest(lambda: torch.mm(a, a))
    copy = _fastest(lambda: target.copy_(big))
    return {
        "flop": float(flop.get_total_flops()),
        "bytes": float(traffic.bytes),
        "peak_flop_per_s": 2 * size**3 / product,
        "peak_bytes_per_s": 2 * big.numel() / copy,
    }


def _fastest(run: Any, times: int = 12) -> float:
    seconds = []
    for _ in range(times):
        _wait()
        began = time.perf_counter()
        run()
        _wait()
        seconds.append(time.perf_counter() - began)
    return min(seconds)


deadline = float("inf")  # by time.monotonic(); main() of benchmarks.run sets it
lost: list[str] = []  # what failed or had no time left, and why


def child(module: str, *arguments: str, environment: dict[str, str] | None = None) -> Any:
    """What a process of its own prints as its last line, JSON; None where it fails or time is up, which is told."""
    what = " ".join(arguments)[:100]
    try:
        answer = subprocess.run(
            [sys.executable, "-m", module, *arguments],
            capture_output=True,
            text=True,
            env={**os.environ, **(environment or {})},
            timeout=time_left(),
        )
    except subprocess.TimeoutExpired:
        return missed(what, "no time left")
    if answer.returncode:
        return missed(what, (answer.stderr.strip().splitlines() or [f"exit code {answer.returncode}"])[-1])
    return json.loads(answer.stdout.strip().splitlines()[-1])


def time_left() -> float | None:
    """Seconds to the deadline, a moment at least; None where there is none."""
    return None if deadline == float("inf") else max(deadline - time.monotonic(), 0.1)


def missed(what: str, why: str) -> None:
    """Tell and keep what was not measured."""
    lost.append(f"{what}: {why}")
    print(f"  {lost[-1]}", flush=True)


def keep(path: Path, measured: Any) -> None:
    """Write what was measured as JSON, whole or not at all; end with one line where that cannot be."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(path, (json.dumps(measured, indent=1) + "\n").encode())
    except OSError as error:
        sys.exit(f"--json {path}: {error.strerror or error}; name another file")


def count(text: str) -> int:
    """A whole number of at least 1, of a command line."""
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text}: a whole number of at least 1")
    return int(text)


def table(width: int, batch: int, steps: int, rounds: int, only: list[str] | None = None) -> dict[str, Any]:
    """Measure all contenders at one size, print them, and return what was measured."""
    changes = {"plain loop": [], **(ON_GPU if GPU else ON_CPU)}
    bounds = child("benchmarks.step", "--limits", json.dumps([width, batch]))
    if bounds is None:
        return {}
    runs: dict[str, list[dict[str, float]]] = {name: [] for name in changes if only is None or name in only}
    for _ in range(rounds):
        for name in list(runs):
            variables = {"GLIBC_TUNABLES": "glibc.malloc.hugetlb=1"}  # as the workers of a sweep have
            variables |= dict(c[4:].split("=", 1) for c in changes[name] if c.startswith("env:"))
            overrides = [*recipe(width, batch, steps), *(c for c in changes[name] if not c.startswith("env:"))]
            found = child("benchmarks.step", "--child", json.dumps([name, overrides]), environment=variables)
            if found is None:
                if not runs[name]:
                    del runs[name]
            else:
                runs[name].append(found)
    seconds = {name: statistics.median(run["seconds"] for run in found) / steps for name, found in runs.items()}
    print(f"width {width}, batch {batch}, median of {rounds} processes of {steps * (EPOCHS - 1)} steps", flush=True)
    memory = {
        name: {key: max(run.get(key, 0) for run in found) for key in ("RssAnon", "VmHWM", "GPU")}
        for name, found in runs.items()
    }
    for name, each in seconds.items():
        held = memory[name]
        told = f"{held['RssAnon']} MiB own, {held['VmHWM']} in all" + (f", {held['GPU']} on the GPU" if GPU else "")
        print(
            f"  {name:34} {1000 * each:8.2f} ms/step  {seconds.get('plain loop', nan) / each:5.2f} x plain  "
            f"{bounds['flop'] / each / 1e12:7.3f} TFLOP/s  {told}"
        )
    arithmetic, traffic = bounds["flop"] / bounds["peak_flop_per_s"], bounds["bytes"] / bounds["peak_bytes_per_s"]
    print(
        f"  alone, its {bounds['flop'] / 1e9:.1f} GFLOP at {bounds['peak_flop_per_s'] / 1e12:.2f} TFLOP/s take "
        f"{1000 * arithmetic:.2f} ms, the {bounds['bytes'] / 1e6:.0f} MB its operations move one by one at "
        f"{bounds['peak_bytes_per_s'] / 1e9:.1f} GB/s {1000 * traffic:.2f} ms",
        flush=True,
    )
    return {"width": width, "batch": batch, "ms_per_step": {n: 1000 * s for n, s in seconds.items()}, "MiB": memory} | {
        "limits": bounds
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=count, default=3)
    parser.add_argument("--steps", type=count, default=100 if GPU else 5, help="steps an epoch")
    parser.add_argument("--widths", type=count, nargs="+", default=[64] if GPU else [16, 64])
    parser.add_argument("--batch", type=count, default=500)
    parser.add_argument("--only", nargs="+", choices=["plain loop", *(ON_GPU if GPU else ON_CPU)], help="contenders")
    parser.add_argument("--json", type=Path, help="write what was measured there as well")
    parser.add_argument("--profile", action="store_true", help="the operators of a step, instead")
    parser.add_argument("--child", help=argparse.SUPPRESS)
    parser.add_argument("--limits", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        print(json.dumps(measure(*json.loads(options.child))))
    elif options.limits:
        print(json.dumps(limits(*json.loads(options.limits))))
    elif options.profile:
        profiled = [profile(width, options.batch, options.steps) for width in options.widths]
        if options.json:
            keep(options.json, profiled)
    else:
        found: list[dict[str, Any]] = []
        for width in options.widths:
            if options.json:
                keep(options.json, found)  # first of all an empty list: what cannot be written is told before
            found.append(table(width, options.batch, options.steps, options.rounds, options.only))
        if options.json:
            keep(options.json, found)
        sys.exit(1 if lost else 0)


if __name__ == "__main__":
    main()
