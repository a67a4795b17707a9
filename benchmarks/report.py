"""A report of 10,000 seeds, and bands against tensorboard-reducer: `python -m benchmarks.report`.

The study is made up: 10,000 seeds x 45 epochs x 10,000 test examples. With --keep FOLDER it stays for a look.
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
import pandas as pd
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.util.tensor_util import make_ndarray
from torch.utils.tensorboard import SummaryWriter

from seedspread.records.examples import ExampleIndex, pack_examples
from seedspread.records.record import Record, Status
from seedspread.records.scores import Scores
from seedspread.records.study import Study
from tests import browser

# What tensorboard-reducer does, our way: from records to one run. Both are timed as commands, start-up included.
OURS = """
import sys
from pathlib import Path
from seedspread.report.study_words import Findings
from seedspread.records.scores import Scores
from seedspread.records.study import Study
from seedspread.report.tensorboard import write_run
write_run(Findings.of(Scores.of(Study.load(Path(sys.argv[1])))), {}, {})
"""
CONFIG = {"data": {"name": "made_up", "batch_size": 500}, "trainer": {"max_epochs": 45}}


def made_up(folder: Path, seeds: int, epochs: int, examples: int) -> Study:
    """A study of curves that rise to 90.7 ± 0.2 %, with errors on single examples to match."""
    study = Study.open(folder, CONFIG)
    rng = np.random.default_rng(0)
    rate = rng.beta(4, 0.4, examples)
    learnt = 0.8 * np.exp(-np.arange(epochs) / 4)
    environment = {"packages": {"torch": "0"}, "cpu": "made up", "threads": 1}
    study.check_examples(ExampleIndex(np.ones(examples, np.int64), np.arange(examples)))
    for seed in range(seeds):
        right = rng.random(examples) < rate
        curve = np.round(right.mean() - learnt + 0.001 * rng.standard_normal(epochs), 4)
        curve[-1] = right.mean()
        loss = 3 * (1 - curve)
        curves = {"train/loss": loss - 0.1, "train/acc": curve + 0.05, "val/loss": loss, "val/acc": curve}
        record = Record(
            seed=seed,
            status=Status.FINISHED,
            study=study.name,
            config_digest=study.digest,
            streams={"init": seed, "order": seed, "augment": seed},
            command=f"python -m src.train seed={seed}",
            environment=environment,
            test_examples=examples,
            epochs=list(range(epochs)),
            curves={key: values.tolist() for key, values in curves.items()},
            final={key: float(values[-1]) for key, values in curves.items()},
            seconds={"setup": 0.1, "train": 29.0, "score": 0.9},
            ended=f"2026-01-01T{seed // 3600:02}:{seed // 60 % 60:02}:{seed % 60:02}+00:00",
        )
        study.record_path(seed).write_bytes(record.to_json())  # without fsync, which takes most of Study.write
        study.examples_path(seed).write_bytes(pack_examples(right.astype(np.int64), 10))
    return study


def whole_report(study: Study) -> None:
    """Time and memory of the command, and how much of it is reading records."""
    began = time.perf_counter()
    Scores.of(study)
    reading = time.perf_counter() - began
    began = time.perf_counter()
    arguments = [f"study={study.name}", f"results={study.folder.parent}"]
    subprocess.run([sys.executable, "-m", "seedspread", "report", *arguments], check=True, stdout=subprocess.DEVNULL)
    whole = time.perf_counter() - began
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 2**20
    print(f"report of {study.name}: {whole:.1f} s, {peak:.2f} GiB at its peak; reading the records {reading:.1f} s")


def against_reducer(study: Study, seeds: int, rounds: int) -> None:
    """Mean, std, min and max over event files of one run a seed, against ours over records."""
    scores = Scores.of(study)
    with tempfile.TemporaryDirectory() as scratch:
        for seed in range(seeds):
            with SummaryWriter(str(Path(scratch) / "runs" / f"seed-{seed}")) as writer:  # as Lightning's logger does
                for metric, curves in scores.curves.items():
                    for epoch, value in enumerate(curves[seed].tolist(), start=1):
                        writer.add_scalar(metric, value, epoch)
        few = made_up(Path(scratch) / "few", 1, 1, 1).folder
        for path in (few / "seeds").iterdir():
            path.unlink()
        for seed in range(seeds):
            (few / "seeds" / f"{seed:06d}.json").write_bytes(study.record_path(seed).read_bytes())
        ours, theirs = [], []
        reducer = [str(Path(sys.executable).with_name("tb-reducer")), *map(str, Path(scratch).glob("runs/*"))]
        reducer += ["-r", "mean,std,min,max", "--overwrite", "-o"]
        for _ in range(rounds):
            began = time.perf_counter()
            subprocess.run([sys.executable, "-c", OURS, few], check=True)
            ours.append(time.perf_counter() - began)
            began = time.perf_counter()
            subprocess.run([*reducer, f"{scratch}/reduced"], check=True, capture_output=True)
            theirs.append(time.perf_counter() - began)
        subprocess.run([*reducer, f"{scratch}/reduced.csv"], check=True, capture_output=True)
        reduced = pd.read_csv(f"{scratch}/reduced.csv", header=[0, 1], index_col=0)["val/acc"]
        apart = max(
            float(np.abs(_values(few / "tensorboard", f"val_acc_percent/{name}") / reduced[name] - 1).max())
            for name in ("mean", "std", "min", "max")
        )
    ratio = statistics.median(theirs) / statistics.median(ours)
    print(
        f"{seeds} seeds, median of {rounds}: tensorboard-reducer {statistics.median(theirs):.1f} s, ours "
        f"{statistics.median(ours):.2f} s, {ratio:.0f} times as fast; mean, std, min, max agree to {apart:.0e}"
    )


def in_chromium(study: Study, rounds: int) -> None:
    """How long TensorBoard's page of the study takes to draw its first bands."""
    if reason := browser.missing():
        print(f"TensorBoard in Chromium: {reason}")
        return
    took = []
    with browser.tensorboard(study.folder.parent) as address:
        for _ in range(rounds):
            with browser.browser() as driver:
                began = time.perf_counter()
                driver.get(f"{address}#custom_scalars")
                browser.wait_until(lambda driver=driver: len(browser.drawn(driver, "path.area")) >= 6)
                took.append(time.perf_counter() - began)
    print(f"TensorBoard in Chromium, median of {rounds}: first bands drawn after {statistics.median(took):.1f} s")


def _values(folder: Path, tag: str) -> np.ndarray:
    events = EventAccumulator(str(folder), size_guidance={"tensors": 0}).Reload().Tensors(tag)
    return np.array([float(make_ndarray(event.tensor_proto)) for event in events])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=10_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--keep", type=Path)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        study = made_up((options.keep or Path(scratch)) / f"made_up_{options.seeds}", options.seeds, 45, 10_000)
        whole_report(study)
        in_chromium(study, options.rounds)
        against_reducer(study, 200, options.rounds)


if __name__ == "__main__":
    main()
