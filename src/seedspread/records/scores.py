"""The records of a study as arrays."""

import json
import math
from collections import Counter, defaultdict
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import ArrayLike

from seedspread.config.errors import InputError
from seedspread.config.identity import flatten
from seedspread.config.overrides import shorten_seeds
from seedspread.records.examples import DAMAGED
from seedspread.records.record import Record, Status
from seedspread.records.requests import asked_seeds
from seedspread.records.study import Study

Array = np.ndarray


class NothingFinished(InputError):
    """A study that has no finished seed yet."""


def to_percent(fractions: ArrayLike) -> Array:
    """Fractions as percent, without what binary fractions leave behind the tenth decimal."""
    return np.round(100 * np.asarray(fractions, dtype=float), 10)


@dataclass(frozen=True)
class Scores:
    """The records of a study, and the curves of its S finished seeds over E epochs, accuracies in percent.

    `curves` has an array (S, E) for each metric that any seed has, nan where a seed has none; `missing` are seeds asked
    for that have no record, `problems` files in seeds/ that do not count, each with its reason.

    >>> scores = ss.Scores.of(ss.Study.load("results/quick"))
    >>> scores.seeds, scores.accuracy.shape, scores.curves["val/acc"].shape
    (array([0]), (1,), (1, 1))
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
        finished = [record for record in scan.records.values() if record.status == Status.FINISHED]
        if not finished:
            others = f" ({len(scan.records)} diverged or failed)" if scan.records else ""
            raise NothingFinished(f"{study.folder}: no finished seed to report on{others}; seedspread status says more")
        lengths: dict[int, list[int]] = defaultdict(list)
        for record in finished:
            lengths[_points(record)].append(record.seed)
        if len(lengths) > 1:
            found = "; ".join(
                f"{points} epochs: seed {shorten_seeds(seeds)}" for points, seeds in sorted(lengths.items())
            )
            raise InputError(
                f"{study.folder}: learning curves differ in length ({found}).\n"
                "Train those of one length again with overwrite=true, or move their records out of seeds/"
            )
        if len(scored := Counter(record.test_examples for record in finished)) > 1:
            found = "; ".join(f"{examples}: {seeds} seeds" for examples, seeds in scored.items())
            raise InputError(f"{study.folder}: seeds were scored on different numbers of test examples ({found})")
        metrics = dict.fromkeys(metric for record in finished for metric in record.curves)
        unknown = [math.nan] * _points(finished[0])
        curves = {}
        for metric in metrics:
            values = np.array([record.curves.get(metric, unknown) for record in finished], dtype=float)
            curves[metric] = to_percent(values) if metric.endswith("acc") else values
        missing = [seed for seed in asked_seeds(study.folder) if seed not in scan.records]
        return cls(study, scan.records, scan.problems, missing, curves)

    def complete_curves(self, metric: str) -> Array:
        """The curves of `metric` of those finished seeds that have it in every epoch (at most S, E)."""
        curves = self.curves.get(metric, np.empty((0, len(self.epochs))))
        return curves[np.isfinite(curves).all(axis=1)]

    @property
    def name(self) -> str:
        return self.study.name

    @cached_property
    def finished(self) -> list[Record]:
        """The records of the finished seeds, in the order of `curves`."""
        return [record for record in self.records.values() if record.status == Status.FINISHED]

    def reasons(self, status: Status) -> dict[int, str]:
        """Why the seeds that are diverged or failed did so."""
        return {seed: str(record.reason) for seed, record in self.records.items() if record.status == status}

    @cached_property
    def seeds(self) -> Array:
        """The finished seeds (S,), ascending."""
        return np.array([record.seed for record in self.finished])

    @cached_property
    def accuracy(self) -> Array:
        """The final accuracy on the test set in percent (S,)."""
        return to_percent(np.array([record.final[self.study.metric.name] for record in self.finished]))

    @cached_property
    def epochs(self) -> Array:
        """How many epochs were trained at each point of a curve: 1 to E."""
        return np.arange(1, next(iter(self.curves.values())).shape[1] + 1)

    @cached_property
    def seconds(self) -> Array:
        """Wall time of each finished seed (S,): set-up, training and scoring."""
        return np.array([sum(record.seconds.values()) for record in self.finished])

    @cached_property
    def examples(self) -> int:
        """How many examples the test set has."""
        return int(self.finished[0].test_examples or 0)

    @cached_property
    def by_score(self) -> Array:
        """Positions in `seeds` from the worst to the best seed; equals stand in the order of seeds, best first."""
        return np.lexsort((-self.seeds, self.accuracy))

    @cached_property
    def by_end(self) -> Array:
        """Positions in `seeds` in the order in which they were finished."""
        return np.argsort([record.ended for record in self.finished], kind="stable")

    @property
    def worst(self) -> int:
        return int(self.seeds[self.accuracy.argmin()])

    @property
    def best(self) -> int:
        return int(self.seeds[self.accuracy.argmax()])

    @cached_property
    def correct(self) -> dict[int, Array]:
        """By seed which test examples it got right, packed as by Study.correct; without those that are not known."""
        found: dict[int, Array] = {}
        try:
            index = self.study.read_index() if self.study.schema > 1 else None
        except DAMAGED:
            return found
        for record in self.finished:
            try:
                found[record.seed] = self.study.correct(record, index)
            except DAMAGED:
                continue  # the report names these seeds
        return found

    @cached_property
    def environments(self) -> dict[str, dict[str, list[int]]]:
        """Packages, hardware and settings of the finished seeds: for each key its values, each with its seeds."""
        alike: dict[str, list[int]] = defaultdict(list)
        for record in self.finished:
            alike[json.dumps({**record.environment, "precision": record.precision})].append(record.seed)
        found: dict[str, dict[str, list[int]]] = defaultdict(lambda: defaultdict(list))
        for environment, seeds in alike.items():
            for key, value in flatten(json.loads(environment)):
                found[key][str(value)].extend(seeds)
        return found


def _points(record: Record) -> int:
    """How many points the curves of a record have."""
    return len(next(iter(record.curves.values())))
