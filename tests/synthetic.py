"""Studies of made-up records: whatever reads records, without training."""

import numpy as np

from seedspread.records.record import SCHEMA
from seedspread.records.scores import Scores
from seedspread.report.findings import Findings

EXAMPLES = 203
CONFIG = {"data": {"name": "dots"}, "trainer": {"max_epochs": 8}}


def add_seed(study, seed, accuracy, *, epochs=8, status="finished", torch="2.14.1", more=None):
    """A record whose accuracy, a share of EXAMPLES, rises to `accuracy`."""
    right = np.arange(EXAMPLES) < round(accuracy * EXAMPLES)
    rise = 1 - 0.8 * np.exp(-np.arange(epochs))
    curve = rise * right.mean() / rise[-1]
    values = {"train/loss": 3 - curve, "train/acc": curve, "val/loss": 2 - curve, "val/acc": curve}
    record = {
        "schema": SCHEMA, "seed": seed, "status": status, "reason": None if status == "finished" else "out of luck",
        "streams": {"init": seed, "order": seed, "augment": seed}, "study": study.name,
        "config_digest": study.digest, "command": f"python -m src.train seed={seed} study={study.name}",
        "environment": {"packages": {"torch": torch}, "cpu": "a cpu", "gpu": None, "threads": 1},
        "data_sha256": "d1" * 32, "test_examples": EXAMPLES, "weights_sha256": f"{seed:064x}",
        "metrics": {
            "epochs": {"epoch": list(range(epochs)), **{key: line.tolist() for key, line in values.items()}},
            "final": {key: float(line[-1]) for key, line in values.items()},
        },
        "seconds": {"setup": 0.5, "train": 10.0 + seed, "score": 1.5},
        "ended": f"2026-01-01T00:00:{seed % 60:02}+00:00",
    }  # fmt: skip
    if status == "failed":
        del record["metrics"], record["seconds"]
    study.write({**record, **(more or {})}, right)


def with_norms(study, seed, largest, *, loss=None, status="finished"):
    """Give the record of `seed` the largest gradient norms of its epochs, of which the 90th percentile is half."""
    record = study.record(seed)
    lines = {"grad_norm/max": largest, "grad_norm/p90": [norm and norm / 2 for norm in largest]}
    lines |= {"train/loss": loss} if loss else {}
    record["metrics"]["epochs"] |= lines
    record["metrics"]["final"] |= {metric: line[-1] for metric, line in lines.items()}
    study.write({**record, "status": status, "reason": None if status == "finished" else "not finite"})


def found_in(study):
    return Findings.of(Scores.of(study))


def words(sentences):
    return " ".join(sentences)
