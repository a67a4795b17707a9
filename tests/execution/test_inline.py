"""Tasks in this process, one after another."""

import os
from pathlib import Path

import pytest

from seedspread.config.errors import InputError
from seedspread.execution.inline import InlineExecutor
from seedspread.execution.scheduler import call, run_plan
from tests.execution.test_scheduler import Listed, tasks


def test_tasks_run_in_this_process_one_after_another(tmp_path, monkeypatch):
    monkeypatch.setenv("SET_LATER", "yes")
    plan = Listed(tasks("square", range(5)))
    with InlineExecutor() as executor:
        assert executor.workers == 1 and executor.has_room()
        run_plan(plan, executor, fail_fast=2)
        assert list(plan.values.values()) == [0, 1, 4, 9, 16] and plan.most == 1
        assert call(executor, tasks("describe_process", ["SET_LATER"])) == [(os.getpid(), str(Path.cwd()), "yes")]
        assert executor.wait(0.01) == []


def test_a_task_waits_until_it_is_asked_for():
    executor = InlineExecutor()
    [task] = tasks("square", [3])
    executor.submit(task)
    assert not executor.has_room()
    [(ended, outcome)] = executor.wait(0)
    assert ended is task and outcome.value == 9 and executor.has_room()


def test_an_exception_concerns_every_task():
    with pytest.raises(InputError, match="no task for 7"), InlineExecutor() as executor:
        call(executor, tasks("fail", [7, 8]))


def test_failures_in_a_row_stop_it(tmp_path):
    plan = Listed(tasks("fail_together", [(str(i), str(tmp_path)) for i in range(9)]))
    with InlineExecutor() as executor:
        run_plan(plan, executor, fail_fast=3)
    assert plan.stopped == "3 seeds in a row failed: out of luck" and len(list(tmp_path.iterdir())) == 3


def test_ctrl_c_ends_the_task_and_releases_it(monkeypatch):
    def interrupt(number):
        raise KeyboardInterrupt

    monkeypatch.setattr("tests.execution.tasks.square", interrupt)
    plan = Listed(tasks("square", range(3)))
    with pytest.raises(KeyboardInterrupt), InlineExecutor() as executor:
        run_plan(plan, executor, fail_fast=1)
    assert dict(plan.released) == {"task 0": 1} and not plan.values
