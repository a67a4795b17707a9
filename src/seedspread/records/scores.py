"""The records of a study as arrays and tables."""

import json
import math
from collections import Counter, defaultdict
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd

from seedspread.config.errors import InputError
from seedspread.config.identity import flatten
from seedspread.config.overrides import expand_seeds, format_seeds
from seedspread.records.record import Record
from seedspread.records.study import Study

Array = np.ndarray
SEEDS_NAMED = 8
OPTIONAL = "grad_norm/"  # metrics that some seeds of a study may have and others not


class NothingFinished(InputError):
    """A study that has no finished seed yet."""


def shorten_seeds(seeds: list[int]) -> str:
    """Seeds in short, cut off where they are many."""
    runs = format_seeds(seeds).split(",")
    more = len(seeds) - len(expand_seeds(",".join(runs[:SEEDS_NAMED])))
    return ", ".join(runs[:SEEDS_NAMED]) + (f" and {more} more" if more else "")


def column_name(metric: str) -> str:
    """A metric as the name of a table's column, with its unit: val/acc is val_acc_percent."""
    return metric.replace("/", "_") + ("_percent" if metric.endswith("acc") else "")


def to_percent(fractions: Array) -> Array:
    """Fractions as percent, without what binary fractions leave behind the tenth decimal."""
    return np.round(100 * np.asarray(fractions, dtype=float), 10)


def find_fault(record: Record) -> str | None:
    """What is missing from a record, or cannot be, for its numbers to be counted; None where nothing is."""
    try:
        if record["status"] == "failed":
            return None if isinstance(record["reason"], str) else "no reason"
        curves, final = record["metrics"]["epochs"], record["metrics"]["final"]
        lengths = {len(values) for values in curves.values()}
        needed = [metric for metric in curves if metric != "epoch" and not metric.startswith(OPTIONAL)]
        numbers = [value for metric in needed for value in [*curves[metric], final[metric]]]
        accuracies = [*curves["val/acc"], final["val/acc"]]
        if len(lengths) != 1 or 0 in lengths:
            return "its metrics have curves of different lengths"
        if record["status"] == "finished" and not all(map(_is_number, [*numbers, *record["seconds"].values()])):
            return "a metric is no finite number"
        if record["status"] == "finished" and not all(0 <= accuracy <= 1 for accuracy in accuracies):
            return "an accuracy is no fraction"
        if not isinstance(record["environment"], dict) or not isinstance(record["ended"], str):
            return "no environment or no time of its end"
        return None if record["test_examples"] >= 1 else "no test examples"
    except (KeyError, TypeError, AttributeError) as error:
        return f"incomplete ({type(error).__name__}: {error})"


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


@dataclass(frozen=True)
class Scores:
    """A study as it stands: every record, and curves of the S finished seeds over E epochs, accuracies in percent.

    `curves` has an array (S, E) for each metric that any of them has, nan where a seed has none; `missing` are seeds
    asked for that have no record, `problems` files that are no records, each with its reason.
    """

    study: Study
    records: dict[int, Record]
    problems: dict[str, str]
    missing: list[int]
    curves: dict[str, Array]

    @classmethod
    def of(cls, study: Study) -> "Scores":
        """Read the records of `study`.

        Raises NothingFinished where no seed is finished, InputError where curves differ in length, naming the seeds.
        """
        scan = study.scan()
        for seed, record in list(scan.records.items()):
            if fault := find_fault(record):
                scan.problems[study.record_path(seed).name] = fault
                del scan.records[seed]
        finished = [record for record in scan.records.values() if record["status"] == "finished"]
        if not finished:
            others = f" ({len(scan.records)} diverged or failed)" if scan.records else ""
            raise NothingFinished(f"{study.folder}: no finished seed to report on{others}; seedspread status says more")
        lengths: dict[int, list[int]] = defaultdict(list)
        for record in finished:
            lengths[len(record["metrics"]["epochs"]["epoch"])].append(record["seed"])
        if len(lengths) > 1:
            found = "; ".join(
                f"{epochs} epochs: seed {shorten_seeds(seeds)}" for epochs, seeds in sorted(lengths.items())
            )
            raise InputError(
                f"{study.folder}: learning curves differ in length ({found}).\n"
                "Train the odd ones again with overwrite=true, or move their records out of seeds/"
            )
        if len(scored := Counter(record["test_examples"] for record in finished)) > 1:
            found = "; ".join(f"{examples}: {seeds} seeds" for examples, seeds in scored.items())
            raise InputError(f"{study.folder}: seeds were scored on different numbers of test examples ({found})")
        metrics = dict.fromkeys(metric for record in finished for metric in record["metrics"]["epochs"])
        unknown = [math.nan] * len(finished[0]["metrics"]["epochs"]["epoch"])
        curves = {}
        for metric in metrics:
            if metric == "epoch":
                continue
            values = np.array([record["metrics"]["epochs"].get(metric, unknown) for record in finished], dtype=float)
            curves[metric] = to_percent(values) if metric.endswith("acc") else values
        missing = [seed for seed in study.asked() if seed not in scan.records]
        return cls(study, scan.records, scan.problems, missing, curves)

    def known(self, metric: str) -> Array:
        """The curves of `metric` of those finished seeds that have it in every epoch (at most S, E)."""
        curves = self.curves.get(metric, np.empty((0, len(self.epochs))))
        return curves[np.isfinite(curves).all(axis=1)]

    @property
    def name(self) -> str:
        return self.study.name

    @cached_property
    def finished(self) -> list[Record]:
        """The records of the finished seeds, in the order of `curves`."""
        return [record for record in self.records.values() if record["status"] == "finished"]

    def others(self, status: str) -> dict[int, str]:
        """The seeds that are `diverged` or `failed`, with their reasons."""
        return {seed: record["reason"] for seed, record in self.records.items() if record["status"] == status}

    @cached_property
    def seeds(self) -> Array:
        """The finished seeds (S,), ascending."""
        return np.array([record["seed"] for record in self.finished])

    @cached_property
    def accuracy(self) -> Array:
        """The final accuracy on the test set in percent (S,)."""
        return to_percent(np.array([record["metrics"]["final"]["val/acc"] for record in self.finished]))

    @cached_property
    def epochs(self) -> Array:
        """How many epochs were trained at each point of a curve: 1 to E."""
        return np.arange(1, next(iter(self.curves.values())).shape[1] + 1)

    @cached_property
    def seconds(self) -> Array:
        """Wall time of each finished seed (S,): set-up, training and scoring."""
        return np.array([sum(record["seconds"].values()) for record in self.finished])

    @cached_property
    def examples(self) -> int:
        """How many examples the test set has."""
        return int(self.finished[0]["test_examples"])

    @cached_property
    def by_score(self) -> Array:
        """Positions in `seeds` from the worst to the best seed; equals stand in the order of seeds, best first."""
        return np.lexsort((-self.seeds, self.accuracy))

    @cached_property
    def by_end(self) -> Array:
        """Positions in `seeds` in the order in which they were finished."""
        return np.argsort([record["ended"] for record in self.finished], kind="stable")

    @property
    def worst(self) -> int:
        return int(self.seeds[self.accuracy.argmin()])

    @property
    def best(self) -> int:
        return int(self.seeds[self.accuracy.argmax()])

    @cached_property
    def correct(self) -> dict[int, Array]:
        """By seed which test examples it got right, one bit each; without those whose file is missing or damaged."""
        found = {}
        for seed in self.seeds.tolist():
            try:
                row = np.load(self.study.correct_path(seed))
            except (OSError, ValueError, EOFError):
                continue
            if row.dtype == np.uint8 and row.shape == (-(-self.examples // 8),):
                found[seed] = row
        return found

    @cached_property
    def environments(self) -> dict[str, dict[str, list[int]]]:
        """Packages, hardware and settings of the finished seeds: for each key its values, each with its seeds."""
        alike: dict[str, list[int]] = defaultdict(list)
        for record in self.finished:
            alike[json.dumps(record["environment"])].append(record["seed"])
        found: dict[str, dict[str, list[int]]] = defaultdict(lambda: defaultdict(list))
        for environment, seeds in alike.items():
            for key, value in flatten(json.loads(environment)):
                found[key][str(value)].extend(seeds)
        return found

    def seeds_table(self) -> pd.DataFrame:
        """A row for each record: seed, status and reason, streams, final metrics, seconds, hashes, where it ran."""
        return pd.DataFrame([_row(record) for record in self.records.values()])

    def curves_table(self) -> pd.DataFrame:
        """A row for each finished seed and epoch."""
        seeds, epochs = len(self.seeds), len(self.epochs)
        table = {"seed": np.repeat(self.seeds, epochs), "epochs_trained": np.tile(self.epochs, seeds)}
        return pd.DataFrame(table | {column_name(metric): curves.ravel() for metric, curves in self.curves.items()})


def _row(record: Record) -> dict[str, Any]:
    environment = record.get("environment", {})
    final = record.get("metrics", {}).get("final", {})
    return {
        "seed": record["seed"],
        "status": record["status"],
        "reason": record["reason"],
        **{f"stream_{name}": seed for name, seed in record.get("streams", {}).items()},
        **{column_name(m): v if v is None or not m.endswith("acc") else float(to_percent(v)) for m, v in final.items()},
        **{f"seconds_{part}": seconds for part, seconds in record.get("seconds", {}).items()},
        "weights_sha256": record.get("weights_sha256"),
        "predictions_sha256": record.get("predictions_sha256"),
        "hardware": environment.get("gpu") or environment.get("cpu"),
        "torch": environment.get("packages", {}).get("torch"),
        "git_commit": environment.get("git_commit"),
        "ended": record.get("ended"),
    }
