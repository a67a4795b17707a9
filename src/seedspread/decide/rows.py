"""Pairs of scores from files, in an order that more rows do not change, and the pairs that were looked at before."""

import csv
import io
from pathlib import Path

import numpy as np

from seedspread.config.errors import InputError
from seedspread.decide.arms import Arm
from seedspread.records.files import unwritable_error, write_atomically

HEAD = ("pair", "baseline", "candidate")
Pair = tuple[str, float, float]


def pair_rows(baseline: Arm, candidate: Arm, seen: list[Pair]) -> list[Pair]:
    """The pairs of two files: those `seen` before, then new ones in the order in which their second half came.

    Files with seeds pair by seed, others row by row: with the same seeds or not, differences of pairs are independent,
    whatever the variances of the two. Raises InputError where a pair that was looked at has changed or is gone.
    """
    known = baseline.seeds is not None and candidate.seeds is not None
    if known:
        assert baseline.seeds is not None
        assert candidate.seeds is not None
        _, ours, theirs = np.intersect1d(baseline.seeds, candidate.seeds, return_indices=True)
        order = np.lexsort((np.minimum(ours, theirs), np.maximum(ours, theirs)))
        places = list(zip(ours[order].tolist(), theirs[order].tolist(), strict=True))
    else:
        places = [(row, row) for row in range(min(baseline.n, candidate.n))]
    names = [str(baseline.seeds[i]) if known and baseline.seeds is not None else str(i + 1) for i, _ in places]
    found = {
        name: (name, float(baseline.scores[i]), float(candidate.scores[j]))
        for name, (i, j) in zip(names, places, strict=True)
    }
    what = "seed" if known else "row"
    for pair in seen:
        if found.get(pair[0]) != pair:
            now = f"has {found[pair[0]][1:]}" if pair[0] in found else "is gone"
            raise InputError(
                f"{what} {pair[0]} of {baseline.name} and {candidate.name} was looked at before with {pair[1:]}, and "
                f"{now}.\nA decision keeps the rows that it has seen; only add rows. For other scores name other files."
            )
    before = {name for name, *_ in seen}
    return [*seen, *(pair for name, pair in found.items() if name not in before)]


def read_pairs(path: Path, what: str) -> list[Pair]:
    """The pairs that were looked at before; none where there is no file.

    `what` says which scores they are. Raises InputError where they are others, or where the file is damaged.
    """
    try:
        before, *lines = path.read_text().splitlines()
        if before != f"# {what}" and before.startswith("# "):
            raise InputError(
                f"{what}: these files were looked at before with {before[2:]}; a decision is about one score. Name "
                "another folder for this one with results=PATH"
            )
        head, *rows = csv.reader(lines)
        if tuple(head) != HEAD:
            raise ValueError
        return [(name, float(one), float(other)) for name, one, other in rows]
    except FileNotFoundError:
        return []
    except (ValueError, OSError) as error:
        raise InputError(
            f"{path}: damaged; it holds the pairs that were looked at. Restore it, or name another results="
        ) from error


def write_pairs(path: Path, pairs: list[Pair], what: str) -> None:
    """Note the pairs that are looked at, and which scores they are, before anything is said of them."""
    text = io.StringIO()
    text.write(f"# {what}\n")
    csv.writer(text, lineterminator="\n").writerows([HEAD, *((name, repr(a), repr(b)) for name, a, b in pairs)])
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(path, text.getvalue().encode())
    except OSError as error:
        raise unwritable_error(path.parent, error) from error
