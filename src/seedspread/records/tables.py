"""The records of a study as tables."""

from typing import Any

import numpy as np
import pandas as pd

from seedspread.records.record import Record
from seedspread.records.scores import Scores, to_percent


def column_name(metric: str) -> str:
    """A metric as the name of a table's column, with its unit: val/acc is val_acc_percent."""
    return metric.replace("/", "_") + ("_percent" if metric.endswith("acc") else "")


def seeds_table(scores: Scores) -> pd.DataFrame:
    """A row for each record: seed, status and reason, streams, final metrics, seconds, hashes, where it ran."""
    return pd.DataFrame([_row(record) for record in scores.records.values()])


def curves_table(scores: Scores) -> pd.DataFrame:
    """A row for each finished seed and epoch."""
    seeds, epochs = len(scores.seeds), len(scores.epochs)
    table = {"seed": np.repeat(scores.seeds, epochs), "epochs_trained": np.tile(scores.epochs, seeds)}
    return pd.DataFrame(table | {column_name(metric): curves.ravel() for metric, curves in scores.curves.items()})


def _row(record: Record) -> dict[str, Any]:
    return {
        "seed": record.seed,
        "status": str(record.status),
        "reason": record.reason,
        **{f"stream_{name}": seed for name, seed in record.streams.items()},
        **{
            column_name(metric): value if value is None or not metric.endswith("acc") else float(to_percent(value))
            for metric, value in record.final.items()
        },
        **{f"seconds_{part}": seconds for part, seconds in record.seconds.items()},
        "weights_sha256": record.weights_sha256,
        "predictions_sha256": record.predictions_sha256,
        "hardware": record.environment.get("gpu") or record.environment.get("cpu"),
        "torch": record.environment.get("packages", {}).get("torch"),
        "git_commit": record.environment.get("git_commit"),
        "ended": record.ended,
    }
