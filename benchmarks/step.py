"""A training step of ours against a plain fp32 PyTorch loop: `python -m benchmarks.step`, 3 minutes on 2 cores.

Every measurement is a process of its own with one thread; the contenders take turns (A B C A B C ...). Prints medians
with their ratio to the plain loop, and the most memory each process held: its own (anonymous pages), and all.
"""

import json
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import ClassVar

import lightning as L

BATCH, STEPS, EPOCHS = 500, 5, 3
CONTENDERS = ("plain", "ours", "ours, stock malloc")


class EpochClock(L.Callback):
    """Seconds a step, one number an epoch; `latest` is the list of the last fit."""

    latest: ClassVar[list[float]] = []

    def on_fit_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        EpochClock.latest = []

    def on_train_epoch_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        self.began = time.perf_counter()

    def on_validation_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        EpochClock.latest.append((time.perf_counter() - self.began) / STEPS)


def _train_ours(width: int, stock_malloc: bool) -> list[float]:
    from hydra import compose, initialize_config_dir

    from src import hardware
    from src.train import train

    if stock_malloc:
        hardware.keep_memory = lambda: False  # type: ignore[assignment]
    with (
        tempfile.TemporaryDirectory() as results,
        initialize_config_dir(str(Path("conf").resolve()), version_base="1.3"),
    ):
        overrides = [
            "data.read._target_=benchmarks.plain.random_pictures",
            f"data.batch_size={BATCH}",
            f"model.width={width}",
            f"results={results}",
            "trainer=cpu",
            f"trainer.max_epochs={EPOCHS}",
            f"+trainer.limit_train_batches={STEPS}",
            "+callbacks.clock._target_=benchmarks.step.EpochClock",
        ]
        train(compose("train", overrides))
    # Run as a script this file is another module than the one Hydra imported.
    return sys.modules["benchmarks.step"].EpochClock.latest


def _most_memory(stop: threading.Event, found: dict[str, int]) -> None:
    """Watch this process's memory, in MiB, every 5 ms."""
    while not stop.wait(0.005):
        status = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
        for key in ("RssAnon", "VmHWM"):
            found[key] = max(found.get(key, 0), int(status[key].split()[0]) // 1024)


def measure(contender: str, width: int) -> dict[str, float]:
    """Run in a process of its own: median seconds a step after the first epoch, and peak memory."""
    stop, memory = threading.Event(), dict[str, int]()
    watcher = threading.Thread(target=_most_memory, args=(stop, memory))
    if sys.platform == "linux":
        watcher.start()
    if contender == "plain":
        from benchmarks.plain import train_plainly

        seconds = train_plainly(width, BATCH, STEPS, EPOCHS)
    else:
        seconds = _train_ours(width, stock_malloc=contender != "ours")
    stop.set()
    return {"seconds": statistics.median(seconds[1:]), **memory}


def main(rounds: int = 3) -> None:
    for width in (16, 64):
        results: dict[str, list[dict[str, float]]] = {contender: [] for contender in CONTENDERS}
        for _ in range(rounds):
            for contender in CONTENDERS:
                child = [sys.executable, "-m", "benchmarks.step", contender, str(width)]
                answer = subprocess.run(child, capture_output=True, text=True, check=True).stdout
                results[contender].append(json.loads(answer.splitlines()[-1]))
        plain = statistics.median(run["seconds"] for run in results["plain"])
        print(f"width {width}, batch {BATCH}, one thread, median of {rounds} processes of {STEPS * (EPOCHS - 1)} steps")
        for contender, runs in results.items():
            seconds = statistics.median(run["seconds"] for run in runs)
            own, whole = (max(run.get(key, 0) for run in runs) for key in ("RssAnon", "VmHWM"))
            times = f"{1000 * seconds:7.1f} ms/step  {plain / seconds:5.2f} x plain"
            print(f"  {contender:20} {times}  {own} MiB own, {whole} in all")


if __name__ == "__main__":
    if len(sys.argv) == 3:
        print(json.dumps(measure(sys.argv[1], int(sys.argv[2]))))
    else:
        main()
