"""The records of a study as tables."""

import re
from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from seedspread.records.metric import Metric
from seedspread.records.record import Record
from seedspread.records.scores import Scores

UNITS = {"%": "percent", "s": "seconds"}  # of a shown score, as words


def column_name(metric: Metric) -> str:
    """A metric as the name of a table's column, with its unit: val/acc is val_acc_percent."""
    return re.sub(r"\W", "_", "_".join(filter(None, (metric.name, UNITS.get(metric.symbol, metric.symbol)))))


def seeds_table(scores: Scores) -> pd.DataFrame:
    """A row for each record: seed, status and reason, streams, final metrics, seconds, hashes, where it ran."""
    names = {name for record in scores.records.values() for name in record.final}
    metrics = {name: scores.study.find_metric(name) for name in names}
    return pd.DataFrame([_row(record, metrics) for record in scores.records.values()])


def curves_table(scores: Scores) -> pd.DataFrame:
    """A row for each finished seed and point of its curves."""
    seeds, points = len(scores.seeds), len(scores.points)
    table = {"seed": np.repeat(scores.seeds, points), scores.axis.replace(" ", "_"): np.tile(scores.points, seeds)}
    curves = {column_name(scores.study.find_metric(name)): curves.ravel() for name, curves in scores.curves.items()}
    own = ~np.isnan(np.stack(list(curves.values()))).all(axis=0)
    return pd.DataFrame(table | curves)[own]


def _row(record: Record, metrics: Mapping[str, Metric]) -> dict[str, Any]:
    return {
        "seed": record.seed,
        "status": str(record.status),
        "reason": record.reason,
        **{f"stream_{name}": seed for name, seed in record.streams.items()},
        **{
            column_name(metrics[name]): None if value is None else float(metrics[name].shown(value))
            for name, value in record.final.items()
        },
        **{f"seconds_{part}": seconds for part, seconds in record.seconds.items()},
        "weights_sha256": record.weights_sha256,
        "predictions_sha256": record.predictions_sha256,
        "hardware": record.environment.get("gpu") or record.environment.get("cpu"),
        "torch": record.environment.get("packages", {}).get("torch"),
        "git_commit": record.environment.get("git_commit"),
        "ended": record.ended,
        **({"imported_from": record.environment["imported_from"]} if "imported_from" in record.environment else {}),
    }
