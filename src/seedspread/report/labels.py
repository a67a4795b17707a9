"""Metrics as readers know them: for axes, heads of tables and sentences."""

from seedspread.records.metric import ACCURACY
from seedspread.records.scores import Scores

QUANTITIES = {"acc": "accuracy", "accuracy": "accuracy", "loss": "loss"}


def describe_metric(scores: Scores, name: str | None = None) -> str:
    """A metric in words, that of the scores by default: "test accuracy" for val/acc on a test set; val/f1 as it is."""
    name = scores.metric.name if name is None else name
    examples, _, quantity = name.partition("/")
    sets = {"train": "training", "val": "test" if scores.is_of_test_set else "validation", "test": "test"}
    if examples not in sets or quantity not in QUANTITIES:
        return name
    return f"{sets[examples]} {QUANTITIES[quantity]}"


def label(scores: Scores, name: str | None = None) -> str:
    """A metric in words with its unit, for an axis."""
    metric = scores.metric if name is None else scores.study.find_metric(name)
    return with_unit(describe_metric(scores, name), metric.symbol)


def with_unit(words: str, unit: str) -> str:
    """Words with the unit of the numbers that they stand for."""
    return f"{words}, {unit}" if unit else words


def name_before(scores: Scores) -> str:
    """The metric's name before a number; nothing where a study's own metric is val/acc, which needs no name."""
    own = scores.metric.name == scores.study.metric.name == ACCURACY.name
    return "" if own else f"{scores.metric.name} "
