"""1,000 runs of 50 epochs imported, against reading them alone: `python -m benchmarks.imports`.

The logs are made up: folders of Lightning's CSVLogger, as it writes them, and of TensorBoard by torch's SummaryWriter,
eight metrics an epoch. The rivals read the same files into one table and stop there: pandas.read_csv, and TensorBoard's
EventAccumulator, which tbparse and tensorboard-reducer read with. Each is a process of its own, start-up included.
"""

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

METRICS = [f"{part}_{what}" for part in ("train", "val") for what in ("loss", "acc", "f1", "auc")]
PANDAS = """
import sys
from pathlib import Path
import pandas as pd
frames = [pd.read_csv(file).assign(run=file.parent.name) for file in sorted(Path(sys.argv[1]).glob("*/metrics.csv"))]
table = pd.concat(frames)
assert table["val_loss"].notna().sum() == 50 * len(frames)
"""
ACCUMULATOR = """
import sys
from pathlib import Path
import pandas as pd
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
rows = []
for folder in sorted(Path(sys.argv[1]).iterdir()):
    events = EventAccumulator(str(folder), size_guidance={"scalars": 0}).Reload()
    rows += [(folder.name, tag, e.step, e.value) for tag in events.Tags()["scalars"] for e in events.Scalars(tag)]
table = pd.DataFrame(rows, columns=["run", "tag", "step", "value"])
assert (table["tag"] == "val_loss").sum() == 50 * len(set(table["run"]))
"""


def make_logs(folder: Path, runs: int, epochs: int) -> tuple[Path, Path]:
    """Folders of `runs` runs as CSVLogger and as SummaryWriter write them."""
    from torch.utils.tensorboard import SummaryWriter

    rng = np.random.default_rng(0)
    lightning, tensorboard = folder / "lightning_logs", folder / "tensorboard"
    for run in range(runs):
        curves = np.exp(-np.arange(epochs) / 20)[:, None] * rng.uniform(0.9, 1.1, len(METRICS)) + 0.01 * rng.random(
            (epochs, len(METRICS))
        )
        version = lightning / f"version_{run}"
        version.mkdir(parents=True)
        lines = [",".join(["epoch", "step", *METRICS])]
        for epoch, row in enumerate(curves.tolist()):
            at, halves = f"{epoch},{10 * epoch + 9}", (list(map(str, row[:4])), list(map(str, row[4:])))
            lines += [",".join([at, *[""] * 4, *halves[1]]), ",".join([at, *halves[0], *[""] * 4])]
        (version / "metrics.csv").write_text("\n".join(lines) + "\n")
        (version / "hparams.yaml").write_text(f"hidden: 64\nlr: 0.1\nseed: {run}\n")
        with SummaryWriter(tensorboard / f"seed_{run}") as writer:
            for epoch, row in enumerate(curves.tolist()):
                for metric, value in zip(METRICS, row, strict=True):
                    writer.add_scalar(metric, value, epoch)
    return lightning, tensorboard


def seconds(command: list[str], folder: Path) -> tuple[float, float]:
    """Wall and processor time of a process that succeeds; on a busy machine only the latter compares."""
    start, before = time.perf_counter(), resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([sys.executable, *command], cwd=folder, check=True, stdout=subprocess.DEVNULL)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return time.perf_counter() - start, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def main() -> None:
    """Time each contender in turn, and print medians and the load of the machine."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--runs", type=int, default=1000)
    parser.add_argument("--repeats", type=int, default=3)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        lightning, tensorboard = make_logs(folder, asked.runs, 50)
        times: dict[str, list[tuple[float, float]]] = {}
        for repeat in range(asked.repeats):
            for name, logs, rival in (("CSVLogger", lightning, PANDAS), ("TensorBoard", tensorboard, ACCUMULATOR)):
                command = ["-m", "seedspread", "import", str(logs), "metric.name=val_loss"]
                contenders = {
                    "import, no report": [*command, f"study={name}_{repeat}", "report=false"],
                    "import and report": [*command, f"study={name}_{repeat}_report"],
                    "import again": [*command, f"study={name}_{repeat}"],
                    "pandas" if rival is PANDAS else "EventAccumulator": ["-c", rival, str(logs)],
                }
                for what, line in contenders.items():
                    times.setdefault(f"{name}: {what}", []).append(seconds(line, folder))
    print(f"{'':<36} {'wall':>8} {'processor':>10}   medians of {asked.repeats}, {asked.runs} runs")
    for what, found in times.items():
        print(
            f"{what:<36} {np.median([wall for wall, _ in found]):6.1f} s {np.median([cpu for _, cpu in found]):8.1f} s"
        )
    print(json.dumps({"runs": asked.runs, "load": os.getloadavg(), "seconds": times}))


if __name__ == "__main__":
    main()
