"""Learning-rate schedules as factors of the base rate, for torch's LambdaLR."""

import math
from dataclasses import dataclass

from seedspread.config.errors import InputError

DECAYS = ("cosine", "linear", "constant")


@dataclass(frozen=True)
class RiseAndFall:
    """A factor per epoch that rises linearly from `floor`, falls linearly, and stays at `floor`.

    Picard 2021 (arXiv 2109.08203), released recipe: for e < rise, height * e / (rise - 1) + floor; for rise <= e < end,
    height * (end - e) / (end - rise + 1) + floor; then floor. The same for 22 and for 45 epochs.
    """

    rise: int = 4
    end: int = 22
    height: float = 0.5
    floor: float = 0.01

    def __call__(self, epoch: int) -> float:
        if epoch < self.rise:
            return self.height * epoch / max(1, self.rise - 1) + self.floor
        if epoch < self.end:
            return self.height * (self.end - epoch) / (self.end - self.rise + 1) + self.floor
        return self.floor


@dataclass(frozen=True)
class WarmUp:
    """A factor per step that rises linearly to 1 over `warmup` epochs, then falls to 0 at the last step, or stays 1.

    `warmup` may be a fraction of an epoch. With w warm-up steps of T, step s < w has the factor (s + 1) / w, so that
    the first step changes the weights too; a later step has (1 + cos(pi p)) / 2 (cosine), 1 - p (linear) or 1
    (constant), where p = (s - w) / (T - w). Cosine: Loshchilov and Hutter 2017; warm-up: Goyal et al. 2017. Raises
    InputError where `warmup` is longer than the `epochs` of the training, and for another `decay`.
    """

    epochs: int
    warmup: float = 0.0
    decay: str = "cosine"

    def __post_init__(self) -> None:
        if self.warmup > self.epochs:
            raise InputError(
                f"schedule.warmup={self.warmup}: longer than the training, trainer.max_epochs={self.epochs}; "
                f"choose 0 to {self.epochs}"
            )
        if self.decay not in DECAYS:
            raise InputError(f"schedule.decay={self.decay}: choose one of {', '.join(DECAYS)}")

    def factor(self, step: int, steps: int, steps_an_epoch: int) -> float:
        """The factor of `step`, counted from 0, in a training of `steps`."""
        rise = self.warmup * steps_an_epoch
        if step + 1 < rise:
            return (step + 1) / rise
        if self.decay == "constant" or steps <= rise:
            return 1.0
        part = min(1.0, max(0.0, (step - rise) / (steps - rise)))
        return (1 + math.cos(math.pi * part)) / 2 if self.decay == "cosine" else 1 - part
