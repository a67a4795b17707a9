"""Learning-rate schedules as factors of the base rate, for torch's LambdaLR."""

from dataclasses import dataclass


@dataclass(frozen=True)
class RiseAndFall:
    """A factor per epoch that rises in a line from `floor`, falls in a line, and stays at `floor`.

    Picard 2021 (arXiv 2109.08203), released recipe: for e < rise, height * e / (rise - 1) + floor; for rise <= e < end,
    height * (end - e) / (end - rise + 1) + floor; later floor. The same for 22 and for 45 epochs.
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
