"""Settings of worker processes on this machine."""

import os


def request_huge_pages() -> None:
    """Have glibc of the processes that start from here on ask for pages of 2 MiB: the same bits in less time.

    Activations are large, and small pages cost misses in the translation buffer (benchmarks/step.py measures it). glibc
    2.35 and later read this when a process starts; other C libraries do not.
    """
    given = os.environ.get("GLIBC_TUNABLES", "")
    if "glibc.malloc.hugetlb" not in given:
        os.environ["GLIBC_TUNABLES"] = ":".join(filter(None, (given, "glibc.malloc.hugetlb=1")))
