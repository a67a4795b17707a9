"""Checks a sweep before its first seed and sums it up at its end."""

import shlex
from pathlib import Path
from typing import Any

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.experimental.callback import Callback
from omegaconf import DictConfig

from src.command_line import plain_errors
from src.errors import InputError
from src.seeding import checked_seed
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


def next_commands(study: Study, overrides: list[str]) -> str:
    """What to type after a sweep with `overrides`: more seeds, and the best seed again."""
    records = study.scan().records
    others = [override for override in overrides if not override.startswith(("seed=", "overwrite="))]
    asked = 10 * max(2, len(records))
    more = shlex.join(["python", "-m", "src.train", "-m", f"seed=range(0,{asked})", *others])
    lines = [f"next: {more}   # adds seeds; recorded ones are kept"]
    if records:
        best = max(records, key=lambda seed: records[seed]["metrics"]["final"]["val/acc"] or 0)
        again = shlex.join(["python", "-m", "src.train", f"seed={best}", *others, "overwrite=true"])
        lines.append(f"      {again}   # the best seed once more: the same bits")
    return "\n".join(lines)


def check_sweep(overrides: list[str]) -> None:
    """Raise InputError where a swept value list is empty or a swept seed is none, before anything is trained."""
    for override in OverridesParser.create().parse_overrides(overrides):
        if not override.is_sweep_override():
            continue
        key, values = override.get_key_element(), list(override.sweep_iterator())
        if not values:
            raise InputError(
                f"{override.input_line}: no values; a range goes up to but without its end: '{key}=range(0,20)'"
            )
        if key == "seed" or key.startswith("streams."):
            for value in values:
                checked_seed(value, key)


class Sweep(Callback):
    """Hydra tells it when a sweep begins and ends."""

    def on_multirun_start(self, config: DictConfig, **kwargs: Any) -> None:
        with plain_errors():  # Hydra turns a callback's exceptions into warnings; an exit passes
            check_sweep(list(config.hydra.overrides.task))

    def on_multirun_end(self, config: DictConfig, **kwargs: Any) -> None:
        folder = Path(config.results) / config.study
        if folder.is_dir():
            study = Study.load(folder)
            print("\n" + summary_of(study))
            print(next_commands(study, list(config.hydra.overrides.task)))
