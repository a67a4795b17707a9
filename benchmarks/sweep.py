"""What a sweep costs beside training: `python -m benchmarks.sweep`, about 8 minutes on 2 cores.

Against Hydra's stock sweeper on the same trivial task; and with real training: time to the first seed of 10,000,
seconds outside training and scoring, memory over 1,000 seeds, two workers of one thread against one of two.
"""

import argparse
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from seedspread.records.record import Record
from seedspread.records.study import Study

STOCK = ("hydra/sweeper=basic", "hydra/launcher=basic")


def sweep(results: Path, module: str, *arguments: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", module, "-m", f"results={results}", "report=false", *arguments]
    return subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True
    )


def first_record(results: Path, process: subprocess.Popen[str]) -> float:
    """Seconds from now to the first record below `results`."""
    began = time.perf_counter()
    while not list(results.glob("*/seeds/0*.json")) and process.poll() is None:
        time.sleep(0.01)
    return time.perf_counter() - began


def finished(process: subprocess.Popen[str], timeout: float | None = None) -> None:
    """Wait for a sweep; it ends with its workers where time is up or this process is told to stop."""
    try:
        out, _ = process.communicate(timeout=timeout)
    except BaseException:
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
        raise
    if process.returncode:
        raise SystemExit(out)


def records(results: Path) -> list[Record]:
    (folder,) = results.iterdir()
    return list(Study.load(folder).scan().records.values())


def trivial_task(seeds: int, rounds: int) -> None:
    """Ours and the stock sweeper, taking turns."""
    took: dict[str, list[tuple[float, float]]] = {"ours": [], "ours, jobs=1": [], "Hydra's stock sweeper": []}
    extra = {"ours": (), "ours, jobs=1": ("jobs=1",), "Hydra's stock sweeper": STOCK}
    for _ in range(rounds):
        for name, arguments in extra.items():
            with tempfile.TemporaryDirectory() as folder:
                began = time.perf_counter()
                process = sweep(Path(folder), "benchmarks.trivial", f"seed=range(0,{seeds})", *arguments)
                first = first_record(Path(folder), process)
                finished(process)
                took[name].append((first, time.perf_counter() - began))
    print(f"{seeds} trivial jobs, median of {rounds}")
    for name, times in took.items():
        first, whole = (statistics.median(column) for column in zip(*times, strict=True))
        print(f"  {name:22} first record after {first:6.1f} s, all after {whole:6.1f} s")


def ten_thousand(rounds: int) -> None:
    """The first seed of 10,000, and skipping what is done."""
    firsts = []
    for _ in range(rounds):
        with tempfile.TemporaryDirectory() as folder:
            arguments = ("seed=range(0,10000)", "experiment=digits", "trainer.max_epochs=1")
            process = sweep(Path(folder), "src.train", *arguments)
            first = first_record(Path(folder), process)
            os.killpg(process.pid, signal.SIGKILL)
            process.communicate()
            trained = sum(records(Path(folder))[0].seconds.values())
            firsts.append(first - trained)
    print(f"seed=range(0,10000): work on the first seed begins after {statistics.median(firsts):.1f} s")
    with tempfile.TemporaryDirectory() as folder:
        finished(sweep(Path(folder), "benchmarks.trivial", "seed=range(0,10000)"))
        skips = []
        for _ in range(rounds):
            began = time.perf_counter()
            process = sweep(Path(folder), "benchmarks.trivial", "seed=range(0,20000)")
            while process.poll() is None and not list(Path(folder).glob("*/seeds/01*.json")):
                time.sleep(0.02)
            skips.append(time.perf_counter() - began)
            os.killpg(process.pid, signal.SIGKILL)
            process.communicate()
            for path in Path(folder).glob("*/seeds/01*.json"):
                path.unlink()
    print(f"20,000 asked, 10,000 done: the first new seed is recorded after {statistics.median(skips):.1f} s")


def overhead_and_memory(seeds: int) -> None:
    """One process that trains many short seeds."""
    import psutil  # here: other benchmarks, which use this file, run where it is not installed

    with tempfile.TemporaryDirectory() as folder:
        process = sweep(
            Path(folder), "src.train", f"seed=range(0,{seeds})", "experiment=digits", "trainer.max_epochs=1", "jobs=1"
        )
        memory: dict[int, int] = {}
        while process.poll() is None:
            done = len(list(Path(folder).glob("*/seeds/0*.json")))
            memory[done] = psutil.Process(process.pid).memory_info().rss // 2**20
            time.sleep(0.2)
        finished(process)
        # before the last seed: summing up at the end reads all records at once
        early, late = (memory[pick(n for n in memory if 20 <= n < seeds)] for pick in (min, max))
        setups = [record.seconds["setup"] for record in records(Path(folder))][1:]
        print(
            f"{seeds} seeds of digits in one process: {1000 * statistics.median(setups):.0f} ms a seed outside "
            f"training and scoring; memory {early} MiB after 20 seeds, {late} MiB before the last"
        )


def workers_or_threads(experiment: str, seeds: int, rounds: int, *more: str) -> None:
    rates: dict[str, list[float]] = {"2 workers, 1 thread each": [], "1 worker, 2 threads": []}
    for _ in range(rounds):
        for name, setting in zip(rates, (("jobs=2", "threads=1"), ("jobs=1", "threads=2")), strict=True):
            with tempfile.TemporaryDirectory() as folder:
                began = time.perf_counter()
                finished(
                    sweep(
                        Path(folder), "src.train", f"seed=range(0,{seeds})", f"experiment={experiment}", *setting, *more
                    )
                )
                rates[name].append(seeds / (time.perf_counter() - began) * 3600)
    two, one = (statistics.median(rate) for rate in rates.values())
    print(f"{experiment}, {seeds} seeds, start-up included, median of {rounds}: {two:.0f} seeds/h with 2 workers, "
          f"{one:.0f} with 1 worker of 2 threads: {two / one:.2f} times")  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seeds", type=int, default=1000, help="seeds of the memory measurement")
    parser.add_argument("--cifar", help="CIFAR-10 pictures, to compare workers and threads on cifar_quick too")
    options = parser.parse_args()
    trivial_task(100, options.rounds)
    ten_thousand(options.rounds)
    overhead_and_memory(options.seeds)
    workers_or_threads("digits", 40, options.rounds)
    if options.cifar:
        workers_or_threads("cifar_quick", 4, 1, f"data.source={options.cifar}")


if __name__ == "__main__":
    main()
