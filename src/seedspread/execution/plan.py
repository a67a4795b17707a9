"""Which seeds a sweep has to train, and in which chunks.

Imports neither torch nor Lightning, which the workers import: the parent starts at once.
"""

from collections.abc import Sequence
from pathlib import Path

from seedspread.records.progress import Progress
from seedspread.records.study import Study


def balanced_chunks(seeds: Sequence[int], workers: int) -> list[list[int]]:
    """Chunks of decreasing size, so that `workers` processes end together and few jobs are composed.

    Each round distributes 70 % of the remaining seeds in equal parts, down to single seeds (after guided
    self-scheduling, Polychronopoulos and Kuck 1987).
    """
    chunks, start = [], 0
    while start < len(seeds):
        left = len(seeds) - start
        size = max(1, min(-(-7 * left // (10 * workers)), left // workers))
        for _ in range(workers):
            chunks.append(list(seeds[start : start + size]))
            start += size
    return [chunk for chunk in chunks if chunk]


def equal_chunks(seeds: Sequence[int], size: int) -> list[list[int]]:
    """Chunks of `size` seeds."""
    return [list(seeds[i : i + size]) for i in range(0, len(seeds), size)]


def find_missing_seeds(folder: Path, seeds: Sequence[int], overwrite: bool = False) -> tuple[Progress, list[int]]:
    """The progress of `seeds` so far, and the seeds to train: those without a record and those that failed."""
    if not (folder / "study.yaml").exists():
        return Progress(), list(seeds)
    study = Study.load(folder)
    study.check_trainable()
    records = study.scan().records
    known = Progress()
    for seed in seeds:
        if seed in records and not overwrite:
            known.add(records[seed])
    done = known.scores.keys() | known.diverged.keys()
    known.failed.clear()
    return known, [seed for seed in seeds if seed not in done]
