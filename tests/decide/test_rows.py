"""Pairs from files: their order does not change when rows are added, and rows that were seen stay."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as some

from seedspread.config.errors import InputError
from seedspread.decide.arms import Arm
from seedspread.decide.rows import pair_rows, read_pairs, write_pairs


def arm(name, seeds, rows=None):
    rows = len(seeds) if rows is None else rows
    at = np.array(seeds[:rows], dtype=int)
    return Arm(name, 90.0 + at + (name == "b") / 10, at)


def test_files_without_seeds_pair_row_by_row():
    one, other = Arm("a", np.array([1.0, 2.0, 3.0])), Arm("b", np.array([4.0, 5.0]), np.array([0, 1]))
    assert pair_rows(one, other, []) == [("1", 1.0, 4.0), ("2", 2.0, 5.0)]


@given(some.permutations(range(8)), some.permutations(range(8)), some.lists(some.tuples(*[some.integers(0, 8)] * 2)))
def test_more_rows_only_add_pairs(ours, theirs, steps):
    seen, one, other = [], 0, 0
    for a, b in [*steps, (8, 8)]:
        one, other = max(one, a), max(other, b)
        found = pair_rows(arm("a", ours, one), arm("b", theirs, other), seen)
        assert found[: len(seen)] == seen
        seen = found
    assert sorted(name for name, *_ in seen) == [str(seed) for seed in range(8)]
    assert all(b - a == pytest.approx(0.1) for _, a, b in seen)


def test_a_row_that_was_looked_at_may_not_change_or_go(tmp_path):
    path = tmp_path / "there" / "pairs.csv"
    write_pairs(path, pair_rows(arm("a", [3, 5]), arm("b", [5, 3]), []), "column=acc")
    seen = read_pairs(path, "column=acc")
    assert [name for name, *_ in seen] == ["3", "5"] and read_pairs(tmp_path / "none.csv", "column=acc") == []
    with pytest.raises(InputError, match=r"seed 5 of a and b was looked at before .* and is gone"):
        pair_rows(arm("a", [3]), arm("b", [5, 3]), seen)
    changed = Arm("b", np.array([90.0, 91.0]), np.array([5, 3]))
    with pytest.raises(InputError, match=r"seed 3 [^$]* only add rows"):
        pair_rows(arm("a", [3, 5]), changed, seen)
    with pytest.raises(InputError, match="column=f1: these files were looked at before with column=acc"):
        read_pairs(path, "column=f1")
    path.write_text("# column=acc\npair,baseline\n3,4\n")
    with pytest.raises(InputError, match="damaged"):
        read_pairs(path, "column=acc")
