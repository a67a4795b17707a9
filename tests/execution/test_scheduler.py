"""The scheduler on worker processes of this machine, with tasks that need no torch."""

import multiprocessing
import os
import signal
import subprocess
import sys
import time
from collections import Counter

import psutil
import pytest

from seedspread.config.errors import InputError
from seedspread.execution.local import LocalExecutor
from seedspread.execution.scheduler import call, run_plan
from seedspread.execution.signals import handle_interrupts
from seedspread.execution.task import Task
from tests.conftest import ROOT

PATIENCE = 120  # seconds after which something that should happen never will


def tasks(function, payloads):
    return [Task(f"tests.execution.tasks:{function}", payload, f"task {i}") for i, payload in enumerate(payloads)]


class Listed:
    """A plan of tasks in their order, which notes what comes of each."""

    def __init__(self, tasks):
        self.waiting, self.running, self.most = list(tasks), set(), 0
        self.values, self.released, self.given_up = {}, Counter(), {}
        self.stopped = None

    def next_task(self):
        if self.stopped or not self.waiting:
            return None
        task = self.waiting.pop(0)
        self.running.add(task.name)
        self.most = max(self.most, len(self.running))
        return task

    def is_done(self):
        return bool(self.stopped) or not self.waiting

    def complete(self, task, value):
        self.running.discard(task.name)
        self.values[task.name] = value
        return value if isinstance(value, str) else None

    def release(self, task):
        self.released[task.name] += 1

    def give_up(self, task, reason):
        self.running.discard(task.name)
        self.given_up[task.name] = reason

    def stop(self, reason):
        self.stopped = reason


@pytest.fixture
def executor():
    with LocalExecutor(2) as executor:
        yield executor


def test_a_thousand_tasks_return_their_values_from_as_many_processes_as_there_are_workers(executor):
    processes = set()

    class Watched(Listed):
        def complete(self, task, value):
            if len(self.values) % 50 == 0:
                processes.update(p.pid for p in psutil.Process().children(recursive=True))
            return super().complete(task, value)

    plan = Watched(tasks("square", range(1000)))
    before = {process.pid for process in psutil.Process().children(recursive=True)}
    run_plan(plan, executor, fail_fast=5)
    assert plan.values == {f"task {i}": i * i for i in range(1000)}
    assert plan.most == 2 and 0 < len(processes - before) <= 2 and not plan.released


def test_values_come_in_the_order_of_their_tasks(executor):
    assert call(executor, tasks("square", [3, 1, 2])) == [9, 1, 4]


def test_an_exception_concerns_every_task(executor):
    [failing] = tasks("fail", ["you"])
    plan = Listed([*tasks("square", range(20))[1:], failing, *tasks("sleep", ["."])])
    with pytest.raises(InputError, match="no task for you"):
        run_plan(plan, executor, fail_fast=5)
    with pytest.raises(InputError, match="no task for you"):
        call(executor, [failing])
    with pytest.raises(InputError, match="nowhere"):
        call(executor, [Task("tests.execution.nowhere:square", 1, "task")])


def starts(tmp_path):
    return {path.name: path.stat().st_size for path in tmp_path.iterdir()}


def test_only_the_task_whose_worker_died_is_tried_again(executor, tmp_path):
    plan = Listed(tasks("count_and_die", [(str(i), str(tmp_path), 2 * (i == 3)) for i in range(10)]))
    run_plan(plan, executor, fail_fast=1)
    assert plan.values == {f"task {i}": None for i in range(10)}
    assert starts(tmp_path) == {str(i): 3 if i == 3 else 1 for i in range(10)}
    assert plan.released == {"task 3": 2} and not plan.given_up


def test_a_task_that_kills_three_workers_is_given_up_and_the_others_are_done(executor, tmp_path):
    plan = Listed(tasks("count_and_die", [(str(i), str(tmp_path), 99 * (i == 3)) for i in range(10)]))
    run_plan(plan, executor, fail_fast=2)
    assert plan.values.keys() == {f"task {i}" for i in range(10) if i != 3}
    assert starts(tmp_path) == {str(i): 3 if i == 3 else 1 for i in range(10)}
    [(name, reason)] = plan.given_up.items()
    assert name == "task 3" and "its worker died 3 times (signal SIGKILL)" in reason and not plan.stopped


def test_a_call_whose_worker_dies_again_and_again_is_an_error(executor, tmp_path):
    with pytest.raises(InputError, match="task 0: its worker died 3 times"):
        call(executor, tasks("count_and_die", [("0", str(tmp_path), 99)]))


@pytest.mark.parametrize("workers", [1, 4])
def test_failures_are_counted_over_all_workers(tmp_path, workers):
    """Five in a row stop the plan: what runs on the other workers then is waited for, and nothing else starts."""
    plan = Listed(tasks("fail_together", [(str(i), str(tmp_path)) for i in range(20)]))
    with LocalExecutor(workers) as executor:
        run_plan(plan, executor, fail_fast=5)
    assert plan.stopped == "5 seeds in a row failed: out of luck"
    assert 5 <= len(plan.values) == len(starts(tmp_path)) <= 5 + workers - 1


def test_a_success_between_failures_starts_their_count_anew(tmp_path):
    failing, fine = tasks("fail_together", [(str(i), str(tmp_path)) for i in range(12)]), tasks("square", range(12))
    plan = Listed([one for pair in zip(failing, fine, strict=True) for one in pair])
    for i, task in enumerate(plan.waiting):
        plan.waiting[i] = Task(task.reference, task.payload, f"task {i}")
    with LocalExecutor(1) as executor:
        run_plan(plan, executor, fail_fast=2)
    assert len(plan.values) == 24 and not plan.stopped


def test_workers_have_the_environment_and_the_folder_of_their_parent(tmp_path, monkeypatch):
    """Also where the process that they are forked from started earlier, in another folder."""
    with LocalExecutor(1) as executor:
        call(executor, tasks("square", [1]))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SET_LATER", "yes")
    with LocalExecutor(1) as executor:
        [(pid, folder, value)] = call(executor, tasks("describe_process", ["SET_LATER"]))
    assert (folder, value) == (str(tmp_path), "yes") and pid != os.getpid()


def test_workers_end_with_their_executor_whether_idle_or_busy(tmp_path):
    with LocalExecutor(2) as executor:
        [(idle, *_)] = call(executor, tasks("describe_process", [""]))
        executor.submit(*tasks("sleep", [str(tmp_path)]))  # to the idle one
        executor.submit(*tasks("sleep", [str(tmp_path)]))
        wait_until(lambda: len(list(tmp_path.iterdir())) == 2)
        busy = [int(path.name) for path in tmp_path.iterdir()]
        assert idle in busy and all(map(psutil.pid_exists, busy))
    assert not any(map(psutil.pid_exists, busy))
    with LocalExecutor(1) as executor:
        [(idle, *_)] = call(executor, tasks("describe_process", [""]))
        assert psutil.pid_exists(idle)
    assert not psutil.pid_exists(idle)


def test_a_worker_ends_with_its_executor_where_ctrl_c_comes_as_its_outcome_is_read():
    """It was neither idle nor busy then: the parent waited for its end, and it for the parent's."""
    with pytest.raises(KeyboardInterrupt) as interrupt, LocalExecutor(1) as executor:
        call(executor, tasks("interrupt_the_reader", [None]))
    assert not psutil.pid_exists(int(str(interrupt.value)))


def test_ctrl_c_is_heard_while_a_worker_starts(monkeypatch):
    """The first waits until torch is imported: seconds."""

    class Slow:
        pid = None

        def __init__(self, **_):
            pass

        def start(self):
            signal.raise_signal(signal.SIGINT)

    monkeypatch.setattr(multiprocessing.get_context("forkserver"), "Process", Slow)
    with pytest.raises(KeyboardInterrupt), handle_interrupts(), LocalExecutor(1) as executor:
        call(executor, tasks("square", [1]))


def test_an_idle_worker_that_was_killed_is_replaced(executor):
    [(idle, *_)] = call(executor, tasks("describe_process", [""]))
    os.kill(idle, signal.SIGKILL)
    assert call(executor, tasks("square", [5, 6])) == [25, 36]


def wait_until(condition):
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


PARENT = """
import sys
from seedspread.execution.local import LocalExecutor
from seedspread.execution.task import Task
with LocalExecutor(3) as executor:
    executor.submit(Task("tests.execution.tasks:square", 1, "idle soon"))
    executor.wait(60)
    for i in range(2):
        executor.submit(Task("tests.execution.tasks:sleep", sys.argv[1], f"task {i}"))
    executor.wait(600)
"""


def test_workers_end_when_their_parent_is_killed(tmp_path):
    parent = subprocess.Popen([sys.executable, "-c", PARENT, str(tmp_path)], cwd=ROOT, start_new_session=True)
    wait_until(lambda: len(list(tmp_path.iterdir())) == 2)
    session = [process for process in psutil.process_iter() if is_of_session(process, parent.pid)]
    assert len(session) >= 4, "the parent, the process that workers are forked from, and they"
    parent.kill()
    parent.wait()
    wait_until(lambda: not any(map(is_alive, session)))


def is_alive(process):
    try:
        return process.status() != psutil.STATUS_ZOMBIE  # as an orphan stays in a container without init
    except psutil.NoSuchProcess:
        return False


def is_of_session(process, session):
    try:
        return os.getsid(process.pid) == session
    except OSError:
        return False
