"""What a sweep costs beside training: `python -m benchmarks.sweep`, about 12 minutes on 2 cores.

How soon the first of many seeds trains, beside a bare `import torch, lightning`; seconds between seeds, against Hydra's
stock sweeper; tasks a second and memory of the engine alone. Medians, and the range over the rounds.
"""

import argparse
import os
import pickle
import resource
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from hydra import compose, initialize_config_dir

from seedspread.config.compose import CONF
from seedspread.execution.leases import Worker
from seedspread.execution.local import LocalExecutor
from seedspread.execution.monitor import SweepMonitor
from seedspread.execution.plan import SeedJob, SeedQueue, SweepPlan
from seedspread.execution.scheduler import call, run_plan
from seedspread.execution.task import Task
from seedspread.records.progress import Progress
from seedspread.records.record import Record, Status
from seedspread.records.study import Study

STOCK = ("hydra/sweeper=basic", "hydra/launcher=basic")
WARM = 20  # seeds before a sweep runs evenly


def sweep(results: Path, module: str, *arguments: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", module, "-m", f"results={results}", "report=false", *arguments]
    return subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True
    )


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


def format_range(values: Sequence[float], digits: int = 1) -> str:
    low, high = (f"{pick(values):.{digits}f}" for pick in (min, max))
    return f"{statistics.median(values):.{digits}f} ({low} to {high})"


def time_import() -> float:
    began = time.time()
    subprocess.run([sys.executable, "-c", "import torch, lightning"], check=True)
    return time.time() - began


def time_first_step(results: Path, seeds: str, *, new: int = 0) -> float:
    """Seconds from the start of a sweep of digits to its first step on a seed from `new` on.

    A little more than that: what a seed does after its last step counts as well.
    """
    began = time.time()
    process = sweep(results, "src.train", f"seed={seeds}", "experiment=digits")
    place = results / "digits" / "seeds"
    while process.poll() is None and not any(int(path.stem) >= new for path in place.glob("[0-9]*.json")):
        time.sleep(0.1)
    early = process.poll() is not None
    if not early:
        os.killpg(process.pid, signal.SIGKILL)
    out, _ = process.communicate()
    if early:
        raise SystemExit(out)
    starts = []
    for path in place.glob("[0-9]*.json"):
        if int(path.stem) >= new:
            seconds = Record.parse(path.read_bytes()).seconds
            starts.append(path.stat().st_mtime - seconds["train"] - seconds["score"])
            path.unlink()
    return min(starts) - began


def first_of_many(rounds: int) -> None:
    """The first step of 10,000 seeds, and of 20,000 of which 10,000 are recorded."""
    imports, firsts, news = [], [], []
    with tempfile.TemporaryDirectory() as empty, tempfile.TemporaryDirectory() as half:
        finished(sweep(Path(half), "src.train", "seed=0", "experiment=digits"))
        study = Study.load(Path(half) / "digits")
        record = study.record(0)
        assert record is not None
        for seed in range(1, 10_000):
            study.record_path(seed).write_bytes(replace(record, seed=seed).to_json())
        for _ in range(rounds):
            imports.append(time_import())
            firsts.append(time_first_step(Path(empty), "range(0,10000)"))
            imports.append(time_import())
            news.append(time_first_step(Path(half), "range(0,20000)", new=10_000))
    print(f"import torch, lightning: {format_range(imports)} s")
    for what, times, bare in (
        ("first step of 10,000 seeds", firsts, imports[::2]),
        ("first step of 20,000 seeds, 10,000 recorded", news, imports[1::2]),
    ):
        beyond = [took - alone for took, alone in zip(times, bare, strict=True)]
        print(f"{what}: after {format_range(times)} s, {format_range(beyond)} s more than the import before it")


def train_digits(seeds: int, *arguments: str) -> dict[str, float]:
    """One process that trains many short seeds: what the command takes, and what passes between two seeds."""
    import psutil  # here: other benchmarks, which use this file, run where it is not installed

    with tempfile.TemporaryDirectory() as folder:
        began = time.time()
        asked = (f"seed=range(0,{seeds})", "experiment=digits", "trainer.max_epochs=1")
        process = sweep(Path(folder), "src.train", *asked, *arguments)
        memory: dict[int, int] = {}
        while process.poll() is None:
            done = len(list(Path(folder).glob("*/seeds/0*.json")))
            family: list[Any] = []
            try:
                family = [psutil.Process(process.pid), *psutil.Process(process.pid).children(recursive=True)]
                memory[done] = max(member.memory_info().rss for member in family) // 2**20
            except psutil.NoSuchProcess:
                pass
            time.sleep(0.5)
        finished(process)
        whole = time.time() - began
        found = records(Path(folder))
        ended = sorted(path.stat().st_mtime for path in Path(folder).glob("*/seeds/0*.json"))
    late = found[WARM:]
    own = statistics.mean(sum(record.seconds.values()) for record in late)
    # before the last seed: the report's reading comes after it
    first, last = (memory[pick(n for n in memory if WARM <= n < seeds)] for pick in (min, max))
    return {
        "first": ended[0] - began,
        "whole": whole,
        "setup": 1000 * statistics.median(record.seconds["setup"] for record in late),
        "between": 1000 * ((ended[-1] - ended[WARM - 1]) / len(late) - own),
        "memory": first,
        "memory_last": last,
    }


def between_seeds(seeds: int, rounds: int) -> None:
    """Ours and the stock sweeper, taking turns."""
    took: dict[str, list[dict[str, float]]] = {"seedspread": [], "Hydra's stock sweeper": []}
    for _ in range(rounds):
        for name, arguments in zip(took, (("jobs=1",), STOCK), strict=True):
            took[name].append(train_digits(seeds, *arguments))
    print(f"{seeds} seeds of digits, 1 epoch, one process")
    for name, each in took.items():
        column = {key: [one[key] for one in each] for key in each[0]}
        print(
            f"  {name}: first record after {format_range(column['first'])} s, all after {format_range(column['whole'])}"
            f" s; set-up {format_range(column['setup'])} ms a seed, between seeds {format_range(column['between'])} ms;"
            f" memory {format_range(column['memory'], 0)} MiB after {WARM}, {format_range(column['memory_last'], 0)} at"
            " the end"
        )


def answer(payload: tuple[bytes, int]) -> int:
    """A task that does nothing."""
    return payload[1]


_opened: tuple[str, Study, Worker] | None = None


def record_job(job: SeedJob) -> str | None:
    """As training's `train_job`, leases included; the record is made up."""
    global _opened
    if _opened is None or _opened[0] != job.sweep:
        _opened = job.sweep, Study.load(job.folder), Worker(job.folder, job.sweep)
    _, study, leases = _opened
    held = leases.acquire(job.seeds)
    for seed in held:
        final = {"train/loss": 1.0, "train/acc": 0.9, "val/loss": 1.0, "val/acc": 0.9 + seed % 100 / 10_000}
        made_up = Record(
            seed=seed,
            status=Status.FINISHED,
            study=study.name,
            config_digest=study.digest,
            environment={"threads": 1},
            test_examples=10_000,
            epochs=list(range(22)),
            curves={key: [value] * 22 for key, value in final.items()},
            final=final,
            seconds={"setup": 0.0, "train": 0.0, "score": 0.0},
            ended="2026-01-01T00:00:00+00:00",
        )
        if not study.is_done(seed):
            study.write(made_up, replaces=job.seeds[seed])
    leases.release(held)
    return None


class Sampled(SweepPlan):
    """A sweep's plan that notes the memory of this process after 1,000 tasks and after each further thousand."""

    done = 0
    memory: Sequence[float] = ()

    def complete(self, task: Task, value: str | None) -> str | None:
        self.done += 1
        if self.done % 1000 == 0:
            self.memory = [*self.memory, read_memory()]
        return super().complete(task, value)


def read_memory() -> float:
    """MiB of this process."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize() / 2**20


def engine_alone(tasks: int, rounds: int, workers: int = 8) -> None:
    """Tasks that do nothing, and then seeds with leases and records but without training."""
    with initialize_config_dir(str(Path(CONF)), version_base="1.3"):
        config = pickle.dumps(compose("train", ["experiment=digits"], return_hydra_config=True))
    measures: dict[str, Callable[[LocalExecutor, Path], Sequence[float]]] = {
        "tasks that do nothing": lambda executor, _: answer_many(executor, config, tasks),
        "seeds with lease and record": lambda executor, folder: record_many(executor, config, folder, tasks),
    }
    took: dict[str, list[float]] = {name: [] for name in measures}
    own: dict[str, list[float]] = {name: [] for name in measures}
    memory: Sequence[float] = ()
    with LocalExecutor(workers) as executor:
        call(executor, [Task("benchmarks.sweep:answer", (config, i), str(i)) for i in range(10 * workers)])
        for _ in range(rounds):
            for name, measure in measures.items():
                with tempfile.TemporaryDirectory() as folder:
                    began, spent = time.perf_counter(), time.process_time()
                    memory = measure(executor, Path(folder)) or memory
                    took[name].append(time.perf_counter() - began)
                    own[name].append(time.process_time() - spent)
    print(f"{tasks} tasks, {workers} local workers, {len(config)} bytes of config with each")
    for name, times in took.items():
        rate = format_range([tasks / seconds for seconds in times], 0)
        cost = format_range([1000 * seconds / tasks for seconds in own[name]], 2)
        print(f"  {name}: {rate} tasks a second; processor time of the parent {cost} ms a task")
    print(f"  memory of the parent: {memory[0]:.1f} MiB after 1,000 tasks, {memory[-1]:.1f} MiB after {tasks}")


def answer_many(executor: LocalExecutor, config: bytes, tasks: int) -> Sequence[float]:
    call(executor, [Task("benchmarks.sweep:answer", (config, i), str(i)) for i in range(tasks)])
    return ()


def record_many(executor: LocalExecutor, config: bytes, folder: Path, seeds: int) -> Sequence[float]:
    study = Study.open(folder / "trivial", {"trivial": True})
    queue = SeedQueue("benchmarks.sweep:record_job", config, study.folder, range(seeds), str(folder))
    with SweepMonitor(study.folder, range(seeds), Progress()) as monitor:
        plan = Sampled(queue, monitor, 1, executor.workers)
        run_plan(plan, executor, fail_fast=1)
    return plan.memory


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
    parser.add_argument("--part", choices=("engine", "first", "between", "workers"), help="one of them alone")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seeds", type=int, default=100, help="of the sweeps that train digits")
    parser.add_argument("--tasks", type=int, default=10_000, help="of the engine alone")
    parser.add_argument("--cifar", help="CIFAR-10 pictures, to compare workers and threads on cifar_quick too")
    options = parser.parse_args()
    if options.part in (None, "engine"):
        engine_alone(options.tasks, options.rounds)
    if options.part in (None, "first"):
        first_of_many(options.rounds)
    if options.part in (None, "between"):
        between_seeds(options.seeds, options.rounds)
    if options.part in (None, "workers"):
        workers_or_threads("digits", 40, options.rounds)
    if options.cifar:
        workers_or_threads("cifar_quick", 4, 1, f"data.source={options.cifar}")


if __name__ == "__main__":
    main()
