"""The record of one seed: what a finished, diverged or failed seed leaves behind.

A record is one JSON object. Version 2 holds the fields of `Record` under their names; a field with a default may be
absent. Version 1, of seedspread 0.1, is read as if it were version 2.
"""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from datetime import datetime
from enum import StrEnum
from typing import Any

from seedspread.config.schema import is_number
from seedspread.records.metric import ACCURACY, Metric

SCHEMA = 2


class Status(StrEnum):
    """How a seed ended."""

    FINISHED = "finished"
    DIVERGED = "diverged"
    FAILED = "failed"


@dataclass(frozen=True, kw_only=True)
class Record:
    """One seed of a study.

    `curves` has a list for each metric (`train/loss`, `val/acc`), a value for each point at which anything was logged:
    after `steps` steps, in one of `epochs`, both counted from 0 and in ascending order. None stands for a value that is
    not finite or was not logged there. `final` has the last value of each metric, and those of the test set
    (`test/acc`), which is scored once, at the end. Losses are in nats, accuracies are fractions, seconds are wall time
    by part.
    """

    seed: int
    status: Status
    reason: str | None = None  # why it diverged or failed
    study: str
    config_digest: str
    streams: Mapping[str, int] = field(default_factory=dict)
    command: str | None = None  # trains this seed again
    precision: str | None = None
    environment: Mapping[str, Any] = field(default_factory=dict)
    data_sha256: str | None = None
    data_source: str | None = None  # where the data were read; None: the data's default
    train_examples: int | None = None
    validation_examples: int | None = None  # None where the test set validates
    split_sha256: str | None = None  # of the positions of those that were taken out of the training examples
    test_examples: int | None = None
    features: Mapping[str, Any] | None = None  # backbone and cache of a linear probe
    pretrained: Mapping[str, Any] | None = None  # network and weights that fine-tuning starts from
    stacked: int | None = None  # how many seeds trained in one step
    flipped: str | None = None  # the weight whose lowest bit was flipped, with `butterfly`
    resumed_from: str | None = None
    resumed_from_config: str | None = None
    resumed_with: Mapping[str, list[Any]] | None = None  # what differed: [before, after]
    epochs: list[int] | None = None
    steps: list[int] | None = None
    curves: Mapping[str, Sequence[float | None]] = field(default_factory=dict)
    final: Mapping[str, float | None] = field(default_factory=dict)
    seconds: Mapping[str, float] = field(default_factory=dict)
    weights_sha256: str | None = None
    predictions_sha256: str | None = None  # of the predicted labels, int64 little-endian
    ended: str  # ISO 8601

    @property
    def pictures_sha256(self) -> str | None:
        """The fingerprint of the data as read, also where a frozen backbone turned them into features."""
        return self.data_sha256 if self.features is None else str(self.features["pictures"]).split()[0]

    def score(self, metric: Metric) -> float:
        """The final score of a finished seed, in the unit shown."""
        value = self.final[metric.name]
        assert value is not None
        return float(metric.shown(value))

    @classmethod
    def parse(cls, data: bytes) -> "Record":
        """The record in the bytes of a file; ValueError says why there is none."""
        try:
            stored = json.loads(data)
        except ValueError as error:
            raise ValueError("empty, torn or not JSON") from error
        schema = stored.get("schema") if isinstance(stored, dict) else None
        if schema not in (1, SCHEMA):
            raise ValueError(f"not a record of schema {SCHEMA}")
        try:
            stored = _upgrade(stored) if schema == 1 else stored
            known = {name: stored[name] for name in FIELDS if name in stored}
            return cls(**known | {"status": Status(stored["status"])})
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise ValueError(f"incomplete ({type(error).__name__}: {error})") from error

    def to_json(self) -> bytes:
        """The contents of the record's file."""
        stored = {name: value for name in FIELDS if (value := getattr(self, name)) is not None}
        return json.dumps({"schema": SCHEMA, **stored}, indent=1, allow_nan=False).encode()


FIELDS = tuple(f.name for f in fields(Record))


def _upgrade(stored: Mapping[str, Any]) -> dict[str, Any]:
    """A record of version 1 in the fields of version 2."""
    metrics, environment = stored.get("metrics", {}), dict(stored.get("environment", {}))
    curves = dict(metrics.get("epochs", {}))
    moved = {"epochs": curves.pop("epoch", None), "curves": curves, "final": metrics.get("final", {})}
    return {**stored, **moved, "precision": environment.pop("precision", None), "environment": environment}


def find_fault(record: Record, metric: Metric = ACCURACY) -> str | None:
    """Why a record does not count in its study: a value that is missing or impossible. None where it counts.

    What `parse` refuses never gets here: a file that is not JSON, or lacks a field without a default.
    """
    try:
        datetime.fromisoformat(record.ended)
        if record.status == Status.FAILED:
            return None if isinstance(record.reason, str) else "failed, but without its reason"
        finished = record.status == Status.FINISHED
        if finished and not is_number(record.final.get(metric.name)):
            return f"finished, but without its final {metric.name}"
        lengths = {len(points) for points in (record.epochs, record.steps) if points is not None}
        lengths |= {len(values) for values in record.curves.values()}
        if len(lengths) != 1 or not any(lengths) or not record.curves:
            return "its metrics have curves of different lengths"
        numbers = [value for values in record.curves.values() for value in values if value is not None]
        numbers += [value for value in record.final.values() if value is not None]
        if finished and not all(map(is_number, [*numbers, *record.seconds.values()])):
            return "a metric is no finite number"
        scores = [*record.curves.get(metric.name, []), record.final.get(metric.name)]
        if finished and (fault := next(filter(None, (metric.find_fault(s) for s in scores if s is not None)), None)):
            return fault
        if not record.environment:
            return "no environment"
        return None if record.test_examples is None or record.test_examples >= 1 else "no test examples"
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        return f"incomplete ({type(error).__name__}: {error})"


def finite_or_none(value: float | None) -> float | None:
    """`value`, or None for nan and infinity, which JSON does not have."""
    return value if value is not None and math.isfinite(value) else None
