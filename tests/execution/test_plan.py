"""Which seed is next."""

from types import SimpleNamespace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from seedspread.execution import plan
from seedspread.execution.leases import Worker
from seedspread.execution.monitor import SweepMonitor
from seedspread.execution.plan import SeedQueue, SweepPlan, find_missing_seeds, record_dead_job
from seedspread.execution.task import Task
from seedspread.records.progress import Progress
from seedspread.records.requests import request_stop
from seedspread.records.study import Study
from tests.synthetic import CONFIG, add_seed


def queue_of(folder, seeds):
    return SeedQueue("module:function", b"config", folder, seeds, "sweep")


def seeds_of(task: Task | None) -> list[int] | None:
    return task and list(task.payload.seeds)


@settings(max_examples=50)
@given(n=st.integers(1, 300), workers=st.integers(1, 16), stack=st.integers(1, 64))
def test_every_seed_is_handed_out_once_in_stacks_that_end_together(tmp_path_factory, n, workers, stack):
    study = Study.open(tmp_path_factory.mktemp("study"), CONFIG)
    handed = SweepPlan(
        queue_of(study.folder, range(n)), SweepMonitor(study.folder, range(n), Progress()), stack, workers
    )
    tasks = []
    while not handed.is_done():
        tasks.append(handed.next_task())
    sizes = [len(seeds_of(task)) for task in tasks]
    assert [seed for task in tasks for seed in seeds_of(task)] == list(range(n)) and handed.next_task() is None
    assert sizes == sorted(sizes, reverse=True) and sizes[0] <= stack and (workers == 1 or sizes[-1] == 1)
    assert len(sizes) >= min(n, workers), "nobody is idle while another has a whole stack"
    assert len({task.name for task in tasks}) == len(tasks)


def test_a_seed_that_another_worker_trains_waits_until_its_lease_is_free(study, monkeypatch):
    now = [0.0]
    monkeypatch.setattr(plan, "time", SimpleNamespace(monotonic=lambda: now[0]))
    other = Worker(study.folder, "another sweep")
    other.acquire([30])
    queue = queue_of(study.folder, [30, 31])
    assert seeds_of(queue.next_task()) == [31] and queue.next_task() is None and len(queue) == 1
    now[0] += plan.SECONDS_TO_ASK
    assert queue.next_task() is None and len(queue) == 1
    other.close()
    now[0] += plan.SECONDS_TO_ASK
    assert seeds_of(queue.next_task()) == [30] and len(queue) == 0


def test_a_seed_that_another_sweep_recorded_is_left_out(study):
    queue = queue_of(study.folder, [30, 31, 32])
    monitor = SweepMonitor(study.folder, [30, 31, 32], Progress())
    add_seed(study, 31, 0.8)
    monitor.look()
    assert seeds_of(queue.next_task(3, monitor.is_recorded)) == [30, 32]


@pytest.mark.parametrize("overwrite", [False, True])
def test_a_seed_that_was_recorded_while_the_sweep_was_planned_is_left_out_unless_it_is_to_run_again(study, overwrite):
    """Between the look for missing seeds and the start of the monitor; it was handed out, skipped, handed out, ..."""
    assert find_missing_seeds(study.folder, [30])[1] == [30]
    add_seed(study, 30, 0.8)
    plan = SweepPlan(
        queue_of(study.folder, [30]), SweepMonitor(study.folder, [30], Progress(), None, False, overwrite), 1, 1
    )
    plan._monitor.look()
    task = plan.next_task()
    assert (task is None) != overwrite and plan.is_done()


def test_a_stopped_study_hands_out_nothing_more(study):
    handed = SweepPlan(queue_of(study.folder, [30]), SweepMonitor(study.folder, [30], Progress()), 1, 1)
    assert not handed.is_done()
    request_stop(study.folder, "out of luck")
    assert handed.is_done() and handed.next_task() is None


def test_seeds_without_a_result_are_missing_and_those_that_failed_too(study):
    add_seed(study, 24, 0.1, status="failed")
    add_seed(study, 25, 0.1, status="diverged")
    known, missing = find_missing_seeds(study.folder, range(20, 27))
    assert missing == [24, 26] and list(known.scores) == [20, 21, 22, 23] and list(known.diverged) == [25]
    assert find_missing_seeds(study.folder, range(3), overwrite=True)[1] == [0, 1, 2]
    assert find_missing_seeds(study.folder / "nowhere", [5, 3]) == (Progress(), [5, 3])


def test_a_job_whose_workers_died_is_recorded_unless_another_sweep_was_faster(study):
    job = queue_of(study.folder, [30, 31]).next_task(2).payload
    study.write_traceback(30, "Traceback of the last death\n")
    add_seed(study, 31, 0.8)
    record_dead_job(job, "its worker died 3 times (signal SIGKILL)")
    assert study.record(30).status == "failed" and "its worker died" in study.record(30).reason
    assert "last death" in (study.folder / "failed" / "000030.txt").read_text()
    assert study.record(31).status == "finished"


def test_a_damaged_record_that_moves_away_while_the_sweep_looks_is_no_error(study, capsys):
    study.record_path(3).write_text("{")
    monitor = SweepMonitor(study.folder, [3], Progress())
    study.move_to_damaged(study.record_path(3))
    monitor.read_records([3])
    assert not monitor.is_recorded(3)
    add_seed(study, 3, 0.5)
    monitor.read_records([3])
    assert monitor.is_recorded(3) and "seed    3" in capsys.readouterr().out
