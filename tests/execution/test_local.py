"""Worker processes on this machine."""

import os

import pytest

from seedspread.execution import local


@pytest.mark.parametrize("given, expected", [
    (None, "glibc.malloc.hugetlb=1"),
    ("glibc.malloc.arena_max=2", "glibc.malloc.arena_max=2:glibc.malloc.hugetlb=1"),
    ("glibc.malloc.hugetlb=0", "glibc.malloc.hugetlb=0"),
])  # fmt: skip
def test_workers_are_asked_to_use_huge_pages_and_what_a_user_says_holds(given, expected, monkeypatch):
    monkeypatch.delenv("GLIBC_TUNABLES", raising=False)
    if given:
        monkeypatch.setenv("GLIBC_TUNABLES", given)
    local.request_huge_pages()
    assert os.environ["GLIBC_TUNABLES"] == expected
