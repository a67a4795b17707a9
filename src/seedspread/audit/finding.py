"""What an audit says of one source of randomness."""

from dataclasses import dataclass
from enum import StrEnum


class Source(StrEnum):
    """What can make two trainings differ, in the order of the table."""

    INITIALISATION = "initialisation"
    DATA = "data and split"
    ORDER = "order"
    AUGMENTATION = "augmentation"
    DROPOUT = "dropout"
    EVALUATION = "evaluation"
    KERNELS = "kernels"
    ENVIRONMENT = "environment"
    WORKERS = "number of workers"
    RESUME = "resuming"


class Verdict(StrEnum):
    """What the traces show of a source."""

    VARIES = "varies with the seed"
    FIXED = "fixed"
    UNSEEDED = "unseeded"
    EPOCHS = "repeats between epochs"
    WORKERS = "repeats between workers"
    RANKS = "repeats between ranks"
    STEPS = "repeats between steps"
    ACTIVE = "dropout is active"
    ALTERED = "alters examples at random"
    SHARED = "draws from training's generator"
    DIFFERS = "differs"
    SAME = "makes no difference"
    NONE = "none seen"
    UNKNOWN = "cannot be said"


@dataclass(frozen=True)
class Finding:
    """A verdict on one source: what the traces show (`evidence`), the likely cause, and what to type.

    `kind` names it for programs: `augmentation.workers`; `alarm` marks what a user did not mean.
    """

    source: Source
    verdict: Verdict
    evidence: str
    kind: str = ""
    cause: str = ""
    fix: str = ""

    @property
    def alarm(self) -> bool:
        """Whether it is a flaw: those have a kind."""
        return bool(self.kind)
