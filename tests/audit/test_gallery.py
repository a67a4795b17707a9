"""Programs as people write them: each flaw is named as its own kind, and none is found in a clean one."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.audit.programs import GALLERY, Zygote, audit, expected_kind

FLAWED = sorted(GALLERY.glob("flawed/*.py"))
CLEAN = sorted(GALLERY.glob("clean/*.py"))
SLOW = {"order_of_a_set"}  # as fast as hash_of_a_name, which shows the same


@pytest.fixture(scope="module")
def zygote() -> Iterator[Zygote]:
    process = Zygote()
    yield process
    process.end()


def _mark(path: Path):
    return pytest.param(path, id=path.stem, marks=[pytest.mark.slow] if path.stem in SLOW else [])


@pytest.mark.parametrize("path", [*map(_mark, FLAWED)])
def test_a_flaw_is_named(path, tmp_path, zygote):
    wanted = expected_kind(path)
    found = audit(
        path, tmp_path, None if wanted == "environment.hash" else zygote
    )  # no fork has a hash seed of its own

    assert wanted in {finding.kind for finding in found.alarms}
    assert len({finding.kind for finding in found.alarms}) <= 4


@pytest.mark.parametrize("path", [*map(_mark, CLEAN)])
def test_a_clean_program_raises_no_alarm(path, tmp_path, zygote):
    found = audit(path, tmp_path, zygote)

    assert not found.alarms
    assert found.difference is None and found.steps


def test_the_gallery_is_large():
    kinds = {expected_kind(path) for path in FLAWED}

    assert len(FLAWED) >= 16 and len(CLEAN) >= 8
    assert len(kinds) >= 15  # a set and hash() are one: PYTHONHASHSEED
