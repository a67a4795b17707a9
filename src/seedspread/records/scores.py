"""The records of a study as arrays."""

import json
import math
from collections import Counter, defaultdict
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import numpy as np

from seedspread.config.errors import InputError
from seedspread.config.identity import flatten
from seedspread.records.digits import Digits
from seedspread.records.examples import DAMAGED
from seedspread.records.metric import Metric
from seedspread.records.record import Record, Status
from seedspread.records.requests import asked_seeds
from seedspread.records.study import Study

Array = np.ndarray


class NothingFinished(InputError):
    """A study that has no finished seed yet."""


@dataclass(frozen=True)
class Scores:
    """The records of a study by one of its metrics: the final score of each of S finished seeds, and their curves.

    Scores and curves are in the unit shown: fractions are percent. `missing` are seeds asked for that have no record,
    `problems` files in seeds/ that do not count, each with its reason.

    >>> scores = ss.Scores.of(ss.Study.load("results/quick"))
    >>> scores.seeds, scores.final.shape, scores.curves["val/acc"].shape
    (array([0]), (1,), (1, 1))
    """

    study: Study
    metric: Metric
    records: dict[int, Record]
    problems: dict[str, str]
    missing: list[int]

    def __repr__(self) -> str:
        n, digits = len(self.final), self.digits
        std = float(self.final.std(ddof=1)) if n > 1 else math.nan
        return (
            f"<{self.title}: {n} seeds, {self.metric.name} {digits.plus_minus(self.final.mean(), std)}{digits.suffix}>"
        )

    @classmethod
    def of(cls, study: Study | Path | str, metric: Metric | str | None = None) -> "Scores":
        """Read the records of `study`, or of the one in that folder, scored by its metric or by another recorded one.

        Raises NothingFinished where no seed is finished, InputError where the metric is not recorded.
        """
        study = study if isinstance(study, Study) else Study.load(study)
        scan = study.scan()
        finished = [record for record in scan.records.values() if record.status == Status.FINISHED]
        if not finished:
            others = f" ({len(scan.records)} diverged or failed)" if scan.records else ""
            raise NothingFinished(f"{study.folder}: no finished seed to report on{others}; seedspread status says more")
        if len(scored := Counter(record.test_examples for record in finished)) > 1:
            found = "; ".join(f"{examples}: {seeds} seeds" for examples, seeds in scored.items())
            raise InputError(f"{study.folder}: seeds were scored on different numbers of test examples ({found})")
        missing = [seed for seed in asked_seeds(study.folder) if seed not in scan.records]
        scores = cls(study, study.metric, scan.records, scan.problems, missing)
        return scores if metric is None else scores.by(metric)

    def by(self, metric: Metric | str) -> "Scores":
        """The same records scored by another metric; InputError where no finished seed has a final value of it."""
        metric = self.study.find_metric(metric) if isinstance(metric, str) else metric
        if metric == self.metric:
            return self
        problems, records = dict(self.problems), dict(self.records)
        for record in self.finished:
            value = record.final.get(metric.name)
            fault = f"without a final {metric.name}" if value is None else metric.find_fault(value)
            if fault:
                problems[self.study.record_path(record.seed).name] = fault
                del records[record.seed]
        if not any(record.status == Status.FINISHED for record in records.values()):
            names = ", ".join(sorted({name for record in self.finished for name in record.final}))
            raise InputError(f"metric={metric.name}: {self.study.folder} has no final {metric.name}; it has {names}")
        return replace(self, metric=metric, records=records, problems=problems)

    @property
    def name(self) -> str:
        return self.study.name

    @property
    def title(self) -> str:
        """The name of the study, and of the metric where it is not the study's own."""
        return self.name if self.metric.name == self.study.metric.name else f"{self.name} ({self.metric.name})"

    @cached_property
    def digits(self) -> Digits:
        """How its scores are written."""
        return Digits.of(self.metric, self.final)

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
    def final(self) -> Array:
        """The final score of each finished seed (S,)."""
        return np.array([record.score(self.metric) for record in self.finished])

    @cached_property
    def axis(self) -> str:
        """What `points` count: epochs trained where each point of a curve is another epoch, else steps."""
        each_another = all(
            record.steps is None if record.epochs is None else len(set(record.epochs)) == len(record.epochs)
            for record in self.finished
        )
        return "epochs trained" if each_another else "steps trained"

    @cached_property
    def _own_points(self) -> list[Array]:
        """The points of each finished seed's curves."""
        if self.axis == "steps trained":
            return [1 + np.array(record.steps or range(_count_points(record))) for record in self.finished]
        return [1 + np.array(record.epochs or range(_count_points(record))) for record in self.finished]

    @cached_property
    def points(self) -> Array:
        """Where the curves of any seed have a point (P,), ascending, in the unit of `axis`."""
        return np.unique(np.concatenate(self._own_points))

    @cached_property
    def lengths(self) -> Array:
        """Where the curves of each finished seed end (S,), in the unit of `axis`."""
        return np.array([points[-1] for points in self._own_points])

    @cached_property
    def curves(self) -> dict[str, Array]:
        """The curves (S, P) of each metric that any seed has, at `points`; nan where a seed has none."""
        metrics = dict.fromkeys(metric for record in self.finished for metric in record.curves)
        places = [np.searchsorted(self.points, points) for points in self._own_points]
        alike = all(len(place) == len(self.points) for place in places)
        curves = {}
        for metric in metrics:
            if alike:
                unknown = [math.nan] * len(self.points)
                values = np.array([record.curves.get(metric, unknown) for record in self.finished], dtype=float)
            else:
                values = np.full((len(self.finished), len(self.points)), math.nan)
                for row, place, record in zip(values, places, self.finished, strict=True):
                    if metric in record.curves:
                        row[place] = np.array(record.curves[metric], dtype=float)
            curves[metric] = self.study.find_metric(metric).shown(values)
        return curves

    def logged(self, metric: str) -> tuple[Array, Array]:
        """The points (Q,) at which any seed has `metric`, and the curves there (S', Q) of the seeds that have it."""
        curves = self.curves.get(metric, np.empty((0, len(self.points))))
        known = np.isfinite(curves)
        return self.points[known.any(axis=0)], curves[known.any(axis=1)][:, known.any(axis=0)]

    def complete_curves(self, metric: str) -> Array:
        """As the curves of `logged`, of the seeds alone that have the metric at each of its points up to their end."""
        unknown = np.full((len(self.finished), len(self.points)), math.nan)
        known = np.isfinite(self.curves.get(metric, unknown))
        reached = (self.points <= self.lengths[:, None]) & known.any(axis=0)
        complete = known.any(axis=1) & (known == reached).all(axis=1)
        return self.curves.get(metric, unknown)[complete][:, known.any(axis=0)]

    @cached_property
    def seconds(self) -> Array:
        """Wall time of each finished seed (S,): set-up, training and scoring."""
        return np.array([sum(record.seconds.values()) for record in self.finished])

    @cached_property
    def examples(self) -> int | None:
        """How many test examples the scores are the fraction of right answers to; None where they are none.

        Every such fraction is a whole number of these examples, and where a test set is scored once, at the end, other
        scores are not of it.
        """
        examples = self.finished[0].test_examples
        if not examples or self.metric.unit != "fraction" or self.test_metric:
            return None
        right = self.final / 100 * examples
        rounding = max(1e-3, 1e-6 * examples)  # of accuracies in single precision
        return examples if np.abs(right - np.round(right)).max() < rounding else None

    @property
    def test_metric(self) -> Metric | None:
        """The metric of the test set, scored once, at the end, beside this one of validation data; None without one."""
        name = self.metric.test_name
        if name is None or not any(record.final.get(name) is not None for record in self.finished):
            return None
        return replace(self.metric, name=name)

    @cached_property
    def is_of_test_set(self) -> bool:
        """Whether `val/...` are scores on the test set: of the project's data modules without a validation set."""
        data = self.study.config.get("data") or {}
        ours = str(data.get("_target_")).startswith(("seedspread.data.", "src.data."))
        return ours and data.get("validation") is None and self.test_metric is None

    @cached_property
    def better(self) -> Array:
        """The scores (S,), negated where smaller is better: a larger one is better."""
        return self.metric.sign * self.final

    @cached_property
    def by_score(self) -> Array:
        """Positions in `seeds` from the worst to the best seed; equals stand in the order of seeds, best first."""
        return np.lexsort((-self.seeds, self.better))

    @cached_property
    def by_end(self) -> Array:
        """Positions in `seeds` in the order in which they were finished."""
        return np.argsort([record.ended for record in self.finished], kind="stable")

    @property
    def worst(self) -> int:
        return int(self.seeds[self.better.argmin()])

    @property
    def best(self) -> int:
        return int(self.seeds[self.better.argmax()])

    @cached_property
    def _known(self) -> dict[int, Array]:
        """By seed which test examples it got right, of those whose predictions are there."""
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
    def correct(self) -> dict[int, Array]:
        """By seed which test examples it got right, packed as by Study.correct; without those that are not known.

        Empty where the scores are no fractions of right answers.
        """
        if self.examples is None:
            return {}
        right = dict(zip(self.seeds.tolist(), np.round(self.final / 100 * self.examples).tolist(), strict=True))
        return {seed: bits for seed, bits in self._known.items() if np.bitwise_count(bits).sum() == right[seed]}

    @property
    def unread(self) -> list[int]:
        """Seeds whose predictions were recorded and are missing or damaged, where scores follow from predictions."""
        if self.examples is None:
            return []
        recorded = [record.seed for record in self.finished if record.predictions_sha256]
        if self.study.schema > 1 and not self.study.index_path.exists():  # some modules tell no true labels
            return [seed for seed in recorded if not self.study.examples_path(seed).exists()]
        return [seed for seed in recorded if seed not in self._known]

    @cached_property
    def environments(self) -> dict[str, dict[str, list[int]]]:
        """Packages, hardware and settings of the finished seeds: for each key its values, each with its seeds."""
        alike: dict[str, list[int]] = defaultdict(list)
        for record in self.finished:
            alike[json.dumps({**record.environment, "precision": record.precision})].append(record.seed)
        found: dict[str, dict[str, list[int]]] = defaultdict(lambda: defaultdict(list))
        for environment, seeds in alike.items():
            for key, value in flatten(json.loads(environment)):
                if key == "imported_from":
                    continue  # each seed's own
                found[key][str(value)].extend(seeds)
        return found


def _count_points(record: Record) -> int:
    return len(next(iter(record.curves.values())))
