"""Do the seeds agree: time and memory of `seedspread agree` on a made-up study: `python -m benchmarks.agree`.

10,000 seeds x 10,000 examples x 10 classes; `--seeds` and `--examples` make it smaller. Seeds are right on each example
at a rate of the example's own, about 92 %. With `--probabilities` they keep those of all classes as well. Before that,
what it takes a seed to write its file.
"""

import argparse
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from benchmarks.report import CONFIG
from seedspread.records.examples import ExampleIndex, pack_examples
from seedspread.records.files import write_atomically
from seedspread.records.record import Record, Status
from seedspread.records.study import Study


def made_up(folder: Path, seeds: int, examples: int, classes: int, probabilities: bool = False) -> Study:
    """A study of one epoch, with the labels of all seeds, and their probabilities on wish."""
    study = Study.open(folder, CONFIG)
    rng = np.random.default_rng(0)
    truth, rate = rng.integers(0, classes, examples), rng.beta(4, 0.4, examples)
    wrong = rng.integers(0, classes, (5, examples))  # what each example may be taken for
    study.check_examples(ExampleIndex(truth, np.arange(examples)))
    for seed in range(seeds):
        labels = np.where(rng.random(examples) < rate, truth, wrong[rng.integers(5)])
        accuracy = float((labels == truth).mean())
        record = Record(
            seed=seed,
            status=Status.FINISHED,
            study=study.name,
            config_digest=study.digest,
            streams={"init": seed, "order": seed, "augment": seed},
            command=f"python -m src.train seed={seed}",
            environment={"packages": {}, "cpu": "made up", "threads": 1},
            test_examples=examples,
            epochs=[0],
            curves={"val/acc": [accuracy]},
            final={"val/acc": accuracy},
            seconds={"setup": 0.1, "train": 1.0, "score": 0.1},
            ended="2026-01-01T00:00:00+00:00",
        )
        study.record_path(seed).write_bytes(record.to_json())  # without fsync, which takes most of Study.write
        more = {"probabilities": _around(labels, classes, rng)} if probabilities else {}
        study.examples_path(seed).write_bytes(pack_examples(labels, classes, **more))
    return study


def _around(labels: np.ndarray, classes: int, rng: np.random.Generator) -> np.ndarray:
    """Probabilities of which these labels are the largest."""
    weights = rng.random((len(labels), classes), np.float32) ** 4
    weights[np.arange(len(labels)), labels] = 1 + 9 * rng.random(len(labels), np.float32)
    return weights / weights.sum(axis=1, keepdims=True)


def time_writing(folder: Path, examples: int, classes: int, probabilities: bool, files: int = 200) -> None:
    """What a seed spends on its file after training: packing and writing, until it is on the disk."""
    rng, took = np.random.default_rng(0), []
    labels = rng.integers(0, classes, examples)
    more = {"probabilities": _around(labels, classes, rng)} if probabilities else {}
    for seed in range(files):
        began = time.perf_counter()
        write_atomically(folder / f"{seed:06d}.npz", pack_examples(labels, classes, **more))
        took.append(1000 * (time.perf_counter() - began))
    size = (folder / "000000.npz").stat().st_size
    median, slow = statistics.median(took), np.quantile(took, 0.95)
    print(f"writing a seed's file: {median:.2f} ms, 95 % within {slow:.2f} ms, {size:,} bytes", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=10_000)
    parser.add_argument("--examples", type=int, default=10_000)
    parser.add_argument("--classes", type=int, default=10)
    parser.add_argument("--probabilities", action="store_true")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        time_writing(Path(scratch), options.examples, options.classes, options.probabilities)
        study = made_up(
            Path(scratch) / "made_up", options.seeds, options.examples, options.classes, options.probabilities
        )
        began = time.perf_counter()
        command = [sys.executable, "-m", "seedspread", "agree", f"study={study.name}", f"results={scratch}"]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        # Of memory an upper bound: a child begins with what this process holds, torch among it.
        seconds, used = time.perf_counter() - began, resource.getrusage(resource.RUSAGE_CHILDREN)
        print(
            f"agree, {options.seeds:,} seeds x {options.examples:,} examples x {options.classes} classes"
            f"{', with probabilities' if options.probabilities else ''}: "
            f"{seconds:.1f} s ({used.ru_utime + used.ru_stime:.1f} s of processor time), "
            f"{used.ru_maxrss / 2**20:.2f} GiB at most"
        )


if __name__ == "__main__":
    main()
