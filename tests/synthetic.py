"""Studies of made-up records: whatever reads records, without training."""

from dataclasses import replace
from typing import Any

import numpy as np

from seedspread.records.examples import ExampleIndex
from seedspread.records.record import Record, Status
from seedspread.records.scores import Scores
from seedspread.records.study import Study
from seedspread.report.findings import Findings

EXAMPLES = 203
TORCH = "2.14.1"
DATA = "seedspread.data.picture_data.PictureData"  # scores the test set after every epoch
CONFIG = {"data": {"_target_": DATA, "name": "dots"}, "trainer": {"max_epochs": 8}}


def make_record(
    study: Study, seed: int, accuracy: float = 0.5, *, epochs: int = 8, torch: str = TORCH, **more: Any
) -> Record:
    """A finished record of `study` whose accuracy, rounded to a share of its examples, rises over `epochs`.

    `more` replaces fields; a failed record has no metrics.
    """
    rise = 1 - 0.8 * np.exp(-np.arange(epochs))
    examples = more.get("test_examples", EXAMPLES)
    curve = rise * (round(accuracy * examples) / examples) / rise[-1]
    curves = {"train/loss": 3 - curve, "train/acc": curve, "val/loss": 2 - curve, "val/acc": curve}
    record = Record(
        seed=seed,
        status=Status.FINISHED,
        study=study.name,
        config_digest=study.digest,
        streams={"init": seed, "order": seed, "augment": seed},
        command=f"python -m src.train seed={seed} study={study.name}",
        precision="32-true",
        environment={"packages": {"torch": torch}, "cpu": "a cpu", "gpu": None, "threads": 1},
        data_sha256="d1" * 32,
        test_examples=EXAMPLES,
        epochs=list(range(epochs)),
        curves={name: values.tolist() for name, values in curves.items()},
        final={name: float(values[-1]) for name, values in curves.items()},
        seconds={"setup": 0.5, "train": 10.0 + seed, "score": 1.5},
        weights_sha256=f"{seed:064x}",
        predictions_sha256=f"{seed:064x}",
        ended=f"2026-01-01T00:00:{seed % 60:02}+00:00",
    )
    status = Status(more.pop("status", Status.FINISHED))
    if status != Status.FINISHED:
        more = {"reason": "out of luck", **more}
    if status == Status.FAILED:
        more = {"epochs": None, "curves": {}, "final": {}, "seconds": {}, **more}
    return replace(record, status=status, **more)


def add_seed(study: Study, seed: int, accuracy: float, **more: Any) -> Record:
    """Write the record of `make_record`, with the predictions that have its accuracy: of two classes, all truly 1."""
    record = make_record(study, seed, accuracy, **more)
    examples = record.test_examples or EXAMPLES
    study.check_examples(ExampleIndex(np.ones(examples, np.int64), np.arange(examples)))
    study.write(record, (np.arange(examples) < round(accuracy * examples)).astype(np.int64))
    return record


def with_norms(study, seed, largest, *, loss=None, status="finished"):
    """Give the record of `seed` the largest gradient norms of its epochs, of which the 90th percentile is half."""
    record = study.record(seed)
    lines = {"grad_norm/max": largest, "grad_norm/p90": [norm and norm / 2 for norm in largest]}
    lines |= {"train/loss": loss} if loss else {}
    final = {**record.final, **{metric: line[-1] for metric, line in lines.items()}}
    reason = None if status == "finished" else "not finite"
    study.write(replace(record, curves={**record.curves, **lines}, final=final, status=Status(status), reason=reason))


def found_in(study):
    return Findings.of(Scores.of(study))


def words(sentences):
    return " ".join(sentences)
