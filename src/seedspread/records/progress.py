"""The progress of a study: seeds by status, and their scores so far."""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import numpy as np

from seedspread.records.digits import Digits
from seedspread.records.metric import ACCURACY, Metric
from seedspread.records.record import Record, Status
from seedspread.records.study import Scan, Study


@dataclass(frozen=True)
class Summary:
    """Scores over n seeds: mean, sample standard deviation (ddof=1; nan for one seed), and the extremes' seeds."""

    n: int
    mean: float
    std: float
    min: float
    min_seed: int
    max: float
    max_seed: int


def summarise(scores: Mapping[int, float]) -> Summary:
    """The summary of at least one score, by seed; the smallest seed is named where several share an extreme."""
    seeds = sorted(scores)
    values = np.array([scores[seed] for seed in seeds])
    low, high = int(values.argmin()), int(values.argmax())
    return Summary(
        n=len(seeds),
        mean=float(values.mean()),
        std=float(values.std(ddof=1)) if len(seeds) > 1 else math.nan,
        min=float(values[low]),
        min_seed=seeds[low],
        max=float(values[high]),
        max_seed=seeds[high],
    )


def format_record(record: Record, metric: Metric = ACCURACY) -> str:
    """A record in one line: seed, final score and seconds, or status and reason."""
    if record.status != Status.FINISHED:
        return f"seed {record.seed:>4}  {record.status}: {record.reason}"
    score = record.score(metric)
    text = Digits.of(metric, [score]).value(score)
    if metric.quantity == metric.name:
        text = f"{metric.name} {text}"
    return f"seed {record.seed:>4}  {text:>8}  {sum(record.seconds.values()):7.1f} s"


@dataclass
class Progress:
    """The final scores of finished seeds in the unit shown, and the seeds that diverged or failed, with the reasons."""

    metric: Metric = ACCURACY
    scores: dict[int, float] = field(default_factory=dict)
    diverged: dict[int, str] = field(default_factory=dict)
    failed: dict[int, str] = field(default_factory=dict)

    @classmethod
    def of(cls, records: Iterable[Record], metric: Metric = ACCURACY) -> "Progress":
        """The progress that these records, scored by `metric`, make up."""
        progress = cls(metric)
        for record in records:
            progress.add(record)
        return progress

    def add(self, record: Record) -> None:
        """Count a record; a seed counted before moves to its new status."""
        for known in (self.scores, self.diverged, self.failed):
            known.pop(record.seed, None)
        if record.status == Status.FINISHED:
            self.scores[record.seed] = record.score(self.metric)
        else:
            counted = self.diverged if record.status == Status.DIVERGED else self.failed
            counted[record.seed] = str(record.reason)

    def describe(self) -> str:
        """Mean ± std, extremes with their seeds, and how many diverged or failed, in one line."""
        parts = []
        if self.scores:
            s, digits = summarise(self.scores), Digits.of(self.metric, [*self.scores.values()])
            low, high = (
                f"{digits.plain(end)} (seed {seed})" for end, seed in ((s.min, s.min_seed), (s.max, s.max_seed))
            )
            parts.append(f"{digits.plus_minus(s.mean, s.std)}{digits.suffix}   min {low}   max {high}")
        parts += [
            f"{len(seeds)} {word}" for word, seeds in (("diverged", self.diverged), ("failed", self.failed)) if seeds
        ]
        return "   ".join(parts)


def summarise_study(study: Study, scan: Scan) -> str:
    """The summary after a sweep: scores, seeds that diverged or failed, files that do not count, and the folder."""
    progress = Progress.of(scan.records.values(), study.metric)
    n = len(progress.scores)
    lines = [f"{study.name}, {n} seed{'s' * (n != 1)}: {f'{study.metric.quantity} ' if n else ''}{progress.describe()}"]
    for word, seeds in (("diverged", progress.diverged), ("failed", progress.failed)):
        lines += [f"  {word}: seed {seed}: {reason}" for seed, reason in list(seeds.items())[:10]]
        if len(seeds) > 10:
            lines.append(f"  {word}: {len(seeds) - 10} more")
    lines += [f"  not counted: {study.folder / 'seeds' / name}: {reason}" for name, reason in scan.problems.items()]
    if progress.failed:
        lines.append(f"  tracebacks in {study.folder / 'failed'}; the same command retries the failed seeds")
    return "\n".join([*lines, f"records in {study.folder / 'seeds'}"])


def format_duration(seconds: float) -> str:
    """Seconds in the unit that fits: 45 s, 12 min, 3 h 20 min."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 90 else f"{minutes // 60} h {minutes % 60} min"
