"""Programs as people write them: each flaw is named as its own kind, and none is found in a clean one."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from seedspread.audit.finding import Source, Verdict
from seedspread.commands.cli import main
from seedspread.report.audit_words import audit_lines
from tests.audit.programs import GALLERY, Zygotes, audit, expected_cause, expected_kind

FLAWED = sorted(GALLERY.glob("flawed/*.py"))
CLEAN = sorted(GALLERY.glob("clean/*.py"))
SLOW = {"order_of_a_set"}  # hash_of_a_name shows the same


@pytest.fixture(scope="module")
def zygotes() -> Iterator[Zygotes]:
    processes = Zygotes()
    yield processes
    processes.end()


def _mark(path: Path):
    return pytest.param(path, id=path.stem, marks=[pytest.mark.slow] if path.stem in SLOW else [])


@pytest.mark.parametrize("path", [*map(_mark, FLAWED)])
def test_a_flaw_is_named(path, tmp_path, zygotes):
    wanted = expected_kind(path)
    found = audit(path, tmp_path, zygotes)

    assert wanted in {finding.kind for finding in found.alarms}
    assert all(expected_cause(path) in finding.cause for finding in found.alarms if finding.kind == wanted)
    assert len({finding.kind for finding in found.alarms}) <= 4
    assert wanted == "environment.time" or "environment.time" not in {finding.kind for finding in found.alarms}


@pytest.mark.parametrize("path", [*map(_mark, CLEAN)])
def test_a_clean_program_raises_no_alarm(path, tmp_path, zygotes):
    found = audit(path, tmp_path, zygotes)

    assert not found.alarms
    assert found.difference is None and found.steps


def test_whether_the_number_of_workers_matters_is_said(tmp_path, zygotes, invoked):
    """Draws of torch in a data set follow the worker."""
    found = audit(GALLERY / "clean/workers.py", tmp_path, zygotes, workers=[2, 3])
    of_workers = [f for f in found.findings if f.source == Source.WORKERS]

    assert [f.verdict for f in of_workers] == [Verdict.SAME, Verdict.DIFFERS]
    assert of_workers[1].kind == "number of workers.differs" and "3 workers" in of_workers[1].evidence
    traces = [tmp_path / run / "trace" for run in ("first", "again", "workers-3")]
    code, out, _ = invoked(main, "audit", f"traces=[{traces[0]},{traces[1]}]")
    assert code == 0 and out.startswith("Two traces: identical for all 12 steps")
    code, out, _ = invoked(main, "audit", f"traces=[{traces[0]},{traces[2]}]")
    assert code == 1 and out.startswith("Two traces: first differ at step 2, in the batch")
    code, _, err = invoked(main, "audit", f"traces={traces[0]}")
    assert code == 1 and err == "error: traces: two folders, for example traces=[here/trace,there/trace]"


@pytest.mark.slow
def test_examples_seeded_by_their_index_are_said_and_raise_no_alarm(tmp_path, zygotes):
    found = audit(GALLERY / "examples_by_index.py", tmp_path, zygotes)
    [said] = [f for f in found.findings if f.source == Source.AUGMENTATION]

    assert said.verdict == Verdict.FIXED and not found.alarms
    line = f"  augmentation: fixed: {said.evidence}; {said.cause}"
    assert "examples_by_index.py:15 seeds each example" in line and line in audit_lines(found)


def test_the_gallery_is_large():
    kinds = {expected_kind(path) for path in FLAWED}

    assert len(FLAWED) >= 16 and len(CLEAN) >= 8
    assert len(kinds) >= 15  # a set and hash() are one: PYTHONHASHSEED
