"""The record of one seed: what a finished, diverged or failed seed leaves behind."""

from typing import Any

SCHEMA = 1
STATUSES = ("finished", "diverged", "failed")

Record = dict[str, Any]


def has_score(record: Record) -> bool:
    try:
        return isinstance(record["metrics"]["final"]["val/acc"], int | float)
    except (KeyError, TypeError):
        return False
