"""seedspread: how much of a deep-learning result is the seed?

    import seedspread as ss
    ss.train(["experiment=digits", "seed=3"])                       # one seed -> its record
    ss.sweep(train, seeds=range(20), metric="rmse")                 # any function of a seed -> its scores
    scores = ss.Scores.of(ss.Study.load("results/digits"))          # every seed of a study: scores, curves, tables
    ss.compare(scores, other_scores).verdict                        # "better", "worse", "equivalent", "not shown" ...
    ss.Decision("plain", "mine", worth=0.2).add(seed, 90.1, 90.4)   # pair by pair, until .outcome is decided
    ss.seeds_needed(std=0.23, difference=0.1)                       # 84
    ss.assert_reproducible(train, seed=0)                           # two calls, bit for bit; else: where they part
    ss.statistics.std_interval(scores.final)                         # functions of arrays

What a name needs is imported when it is first used: torch, Lightning and matplotlib come in where they work.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from seedspread import statistics
    from seedspread.audit.callback import TraceCallback
    from seedspread.audit.function import assert_reproducible
    from seedspread.commands.functions import sweep
    from seedspread.commands.train import train
    from seedspread.config.errors import InputError
    from seedspread.config.streams import Streams
    from seedspread.decide.decision import Decision
    from seedspread.decide.verdict import compare
    from seedspread.records.scores import Scores
    from seedspread.records.study import Study
    from seedspread.report.study_page import write_report
    from seedspread.scripts.generators import seed_everything, streams
    from seedspread.scripts.recorder import record
    from seedspread.statistics.power import achieved_power, detectable_difference, seeds_needed
    from seedspread.training.seeding import seeded

__version__ = "0.2.0"
__all__ = [
    "Decision", "InputError", "Scores", "Streams", "Study", "TraceCallback", "achieved_power", "assert_reproducible",
    "compare", "detectable_difference", "record", "seed_everything", "seeded", "seeds_needed", "statistics", "streams",
    "sweep", "train", "write_report",
]  # fmt: skip
_MODULES = {
    "audit.callback": ["TraceCallback"], "audit.function": ["assert_reproducible"],
    "commands.functions": ["sweep"], "commands.train": ["train"], "config.errors": ["InputError"],
    "config.streams": ["Streams"], "decide.decision": ["Decision"], "decide.verdict": ["compare"],
    "records.scores": ["Scores"], "records.study": ["Study"], "report.study_page": ["write_report"],
    "scripts.generators": ["seed_everything", "streams"], "scripts.recorder": ["record"],
    "statistics.power": ["achieved_power", "detectable_difference", "seeds_needed"], "training.seeding": ["seeded"],
}  # fmt: skip


def __getattr__(name: str) -> Any:
    if name == "statistics":
        return import_module("seedspread.statistics")
    for module, names in _MODULES.items():
        if name in names:
            return getattr(import_module(f"seedspread.{module}"), name)
    raise AttributeError(f"module 'seedspread' has no attribute {name!r}")
