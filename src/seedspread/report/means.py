"""The means of studies that stand side by side, each against that of the first: as `seedspread compare`, in short."""

from collections.abc import Sequence
from dataclasses import dataclass

from seedspread.config.errors import InputError
from seedspread.config.identity import flatten
from seedspread.decide.arms import Arm
from seedspread.decide.verdict import ArmComparison, compare_arms
from seedspread.report.findings import Findings
from seedspread.report.verdict_words import verdict_sentence

MOST_UNEQUAL = 4_000  # seeds of two arms of unequal size: the permutations of more take longer than their report


@dataclass(frozen=True)
class MeansCompared:
    """Comparisons with the first study, and by name why other studies are not compared with it."""

    found: Sequence[ArmComparison]
    left_out: dict[str, str]

    @property
    def words(self) -> list[str]:
        """The verdicts in sentences."""
        lines = [verdict_sentence(c) for c in self.found]
        lines += [f"{name} is not compared: {why}." for name, why in self.left_out.items()]
        more = "`seedspread compare` shows every test, and what qualifies the verdict."
        return [*lines, more] if self.found else lines


def compare_means(several: Sequence[Findings]) -> MeansCompared:
    """Compare the mean of each study with that of the first, where both are on the same data."""
    first, *others = several
    left_out = {found.name: why for found in others if (why := _cannot_compare(first, found))}
    arms = [Arm.of(found.whole) for found in others if found.name not in left_out]
    try:
        return MeansCompared(compare_arms(Arm.of(first.whole), arms) if arms else [], left_out)
    except InputError as error:
        why = str(error).splitlines()[0].rstrip(".")
        return MeansCompared([], left_out | {arm.name: why for arm in arms})


def _cannot_compare(first: Findings, other: Findings) -> str:
    """Why their means are not compared; empty where they are."""
    one, two = (dict(flatten(found.scores.study.config)).get("data.name") for found in (first, other))
    if one != two:
        return f"the data are {one} and {two}"
    if min(first.n, other.n) < 2:
        return "a comparison needs at least 2 seeds of each"
    if first.n != other.n and first.n + other.n > MOST_UNEQUAL:
        return "`seedspread compare` takes the time that so many seeds need"
    return ""
