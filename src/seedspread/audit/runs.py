"""The runs of a program that findings follow from."""

from dataclasses import dataclass

from seedspread.audit.trace import Process, Trace


@dataclass(frozen=True)
class Runs:
    """One seed, the same again, and another; all in the same environment."""

    first: Trace
    again: Trace
    other: Trace

    @property
    def mains(self) -> tuple[Process, Process, Process]:
        """Their training processes."""
        return self.first.main, self.again.main, self.other.main
