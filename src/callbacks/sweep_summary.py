"""Sums a sweep up when it ends."""

from pathlib import Path
from typing import Any

from hydra.experimental.callback import Callback
from omegaconf import DictConfig

from src.study.statistics import summarise
from src.study.store import Study


def summary_of(study: Study) -> str:
    """Mean ± std, extremes with their seeds, and where the records lie; accuracies in percent."""
    scan = study.scan()
    status = {seed: record["status"] for seed, record in scan.records.items()}
    scores = {
        seed: 100 * record["metrics"]["final"]["val/acc"]
        for seed, record in scan.records.items()
        if status[seed] == "finished"
    }
    lines = []
    if scores:
        s = summarise(scores)
        spread = f"{s.mean:.2f} ± {s.std:.2f} %" if s.n > 1 else f"{s.mean:.2f} %"
        lines.append(
            f"{study.name}, {s.n} seed{'s' * (s.n > 1)}: accuracy {spread}   "
            f"min {s.min:.2f} (seed {s.min_seed})   max {s.max:.2f} (seed {s.max_seed})"
        )
    for word in ("diverged", "failed"):
        if seeds := [seed for seed in status if status[seed] == word]:
            lines.append(f"{word}: seed {', '.join(map(str, seeds))}")
    lines += [f"not counted: {study.folder / 'seeds' / name}: {reason}" for name, reason in scan.problems.items()]
    lines.append(f"records in {study.folder / 'seeds'}")
    return "\n".join(lines)


class SweepSummary(Callback):
    """Prints the summary of a sweep's study; knows it from the config that Hydra hands over."""

    def on_multirun_end(self, config: DictConfig, **kwargs: Any) -> None:
        folder = Path(config.results) / config.study
        if folder.is_dir():
            print("\n" + summary_of(Study.load(folder)))
