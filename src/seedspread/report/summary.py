"""What a report says of its study in a few words, as a file beside the page: `results/index.html` is made of these."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Self

import numpy as np

from seedspread import statistics as st
from seedspread.report.document import Answer
from seedspread.report.findings import Findings

FILE = "summary.json"
MOST_POINTS = 40  # of a curve


@dataclass(frozen=True)
class Band:
    """The learning curves of a study over its seeds at a few points, in the unit shown; lists of equal length."""

    points: list[float]
    mean: list[float]
    low: list[float]  # mean - std
    high: list[float]
    min: list[float]
    max: list[float]

    @classmethod
    def of(cls, found: Findings) -> Self:
        """Of the points at which every value is known."""
        if not len(found.points):
            return cls([], [], [], [], [], [])
        band, points = st.bands(found.curves), np.asarray(found.points, float)
        std = np.where(np.isfinite(band.std), band.std, 0.0)  # of one seed
        rows = np.array([points, band.mean, band.mean - std, band.mean + std, band.min, band.max])
        rows = rows[:, np.isfinite(rows).all(axis=0)]
        if rows.shape[1]:
            rows = rows[:, np.unique(np.linspace(0, rows.shape[1] - 1, MOST_POINTS).round().astype(int))]
        return cls(*np.round(rows, 6).tolist())


@dataclass(frozen=True)
class Summary:
    """`records` counts those that the report read, whatever became of them."""

    records: int
    diverged: int
    failed: int
    answers: dict[str, str]  # by short name
    curve: Band

    @classmethod
    def of(cls, found: Findings, answers: Sequence[Answer]) -> Self:
        whole = found.whole
        status = [str(record.status) for record in whole.records.values()]
        return cls(
            records=len(status),
            diverged=status.count("diverged"),
            failed=status.count("failed"),
            answers={answer.short: answer.lines[0].answer for answer in answers},
            curve=Band.of(found),
        )

    def write(self, folder: Path) -> None:
        (folder / FILE).write_text(json.dumps(asdict(self)) + "\n")

    @classmethod
    def read(cls, folder: Path) -> Self | None:
        """The summary in the folder of a report; None where there is none that can be read."""
        try:
            stored = json.loads((folder / FILE).read_text())
            answers = {str(short): str(answer) for short, answer in stored["answers"].items()}
            band = {name: [float(value) for value in values] for name, values in stored["curve"].items()}
            known = {name: int(stored[name]) for name in ("records", "diverged", "failed")}
            curve = Band(**band)
            if len({len(values) for values in band.values()}) > 1 or not np.isfinite(list(band.values())).all():
                return None
            return cls(**known, answers=answers, curve=curve)
        except (OSError, ValueError, TypeError, KeyError, AttributeError):
            return None
