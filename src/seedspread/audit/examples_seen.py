"""The examples that training saw, by their hashes: do they come again, and in which order?"""

from dataclasses import dataclass
from functools import cached_property

from seedspread.audit.trace import Process

SATURATED = 0.98  # of the examples are known after half of the steps: all were seen


@dataclass(frozen=True)
class ExamplesSeen:
    """The hashes of the examples of the training batches, batch by batch, as the outermost module received them."""

    batches: list[tuple[int, ...]]

    @classmethod
    def of(cls, process: Process) -> "ExamplesSeen":
        """Those of the module that training steps call first."""
        first = process.training[0].root if process.training else None
        return cls([forward.rows for forward in process.training if forward.root == first and forward.rows])

    @cached_property
    def sequence(self) -> list[int]:
        return [row for batch in self.batches for row in batch]

    @cached_property
    def all(self) -> set[int]:
        return set(self.sequence)

    @property
    def recur(self) -> bool:
        """Whether examples come again unchanged: nothing alters them at random."""
        return len(self.sequence) >= 1.3 * max(1, len(self.all)) and self.is_complete

    @property
    def is_complete(self) -> bool:
        """Whether hardly any example is new in the second half: the whole data set was seen."""
        half = set(self.sequence[: (len(self.sequence) + 1) // 2])
        return bool(self.all) and len(half) >= SATURATED * len(self.all)

    @property
    def is_one_batch(self) -> bool:
        """Whether each step takes all examples."""
        return len(set(map(frozenset, self.batches))) == 1 and len(self.batches) > 1

    @cached_property
    def by_appearance(self) -> list[int]:
        """The sequence with each example as its rank of first appearance: the same for other data in the same order."""
        ranks: dict[int, int] = {}
        return [ranks.setdefault(row, len(ranks)) for row in self.sequence]

    @property
    def repeats(self) -> bool:
        """Whether each pass over the data has the order of the first."""
        size = len(self.all)
        return all(rank == i % size for i, rank in enumerate(self.by_appearance)) if size else False


def overlap(one: set[int], other: set[int]) -> float:
    """The share of the smaller set that the other has too."""
    return len(one & other) / min(len(one), len(other)) if one and other else 0.0
