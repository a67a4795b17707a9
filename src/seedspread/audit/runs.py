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
    def traces(self) -> tuple[Trace, Trace, Trace]:
        """All three."""
        return self.first, self.again, self.other

    @property
    def mains(self) -> tuple[Process, Process, Process]:
        """Their training processes."""
        first, again, other = self.traces
        return first.main, again.main, other.main
