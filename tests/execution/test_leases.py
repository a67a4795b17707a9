"""Leases: exclusive, given back, and freed where the heart of their holder stopped."""

import errno
import json
import os
import subprocess
import sys
import threading
import time
from collections import Counter
from dataclasses import asdict, replace
from pathlib import Path

import pytest

from seedspread.execution import leases
from seedspread.execution.leases import Holder, Observer, Worker, is_in_use, lease_path, read_leases, release_lease

PATIENCE = 120  # seconds after which something that should happen never will


def wait_until(condition):
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def running(folder):
    return [path.name for path in (folder / "running").iterdir()]


class Clock:
    """The clock of an observer, set by hand."""

    def __init__(self):
        self.now = 1e6

    def __call__(self):
        return self.now


@pytest.fixture
def ended():
    """The id of a process of this machine that is gone."""
    process = subprocess.Popen(["true"])
    process.wait()
    return process.pid


def write_lease(folder, seed, holder, beats=None):
    """A lease as its holder left it; with `beats` also its heart."""
    (folder / "running").mkdir(exist_ok=True)
    lease_path(folder, seed).write_text(json.dumps(asdict(holder)))
    if beats is not None:
        (folder / "running" / f"{holder.worker}.heart").write_text(json.dumps({"beats": beats, "progress": {}}))


def elsewhere():
    return replace(Holder("a sweep"), machine="another", host="node7")


def test_a_lease_has_one_holder_until_it_is_given_back(tmp_path):
    one, other, observer = Worker(tmp_path), Worker(tmp_path), Observer(tmp_path)
    assert one.acquire([3, 4]) == [3, 4] and other.acquire([4, 5]) == [5]
    assert [(lease.seed, lease.holder) for lease in read_leases(tmp_path)] == [
        (3, one.holder), (4, one.holder), (5, other.holder),
    ]  # fmt: skip
    assert not observer.is_free(4) and is_in_use(tmp_path)
    other.release([4])  # not its own
    assert other.acquire([4]) == []
    one.release([4])
    assert observer.is_free(4) and other.acquire([4]) == [4]
    one.close()
    other.close()
    assert not running(tmp_path) and not is_in_use(tmp_path)


def test_the_leases_of_a_sweep_are_removed_by_its_parent_and_no_others(tmp_path):
    mine, theirs = Worker(tmp_path, "mine"), Worker(tmp_path, "theirs")
    mine.acquire([1])
    theirs.acquire([2])
    for seed in (1, 2):
        release_lease(tmp_path, seed, sweep="mine")
    assert [lease.seed for lease in read_leases(tmp_path)] == [2]


def test_the_lease_of_a_process_that_is_gone_is_free_at_once(tmp_path, ended):
    write_lease(tmp_path, 3, replace(Holder(), pid=ended), beats=7)
    assert not is_in_use(tmp_path) and Observer(tmp_path).is_free(3)
    assert not lease_path(tmp_path, 3).exists()


def test_the_lease_of_a_process_whose_id_was_given_to_another_is_free_at_once(tmp_path):
    write_lease(tmp_path, 3, replace(Holder(), started="1"))  # this process started later
    assert Observer(tmp_path).is_free(3)


def test_the_lease_of_a_killed_process_that_nobody_has_waited_for_is_free_at_once(tmp_path):
    process = subprocess.Popen(["sleep", "600"])
    write_lease(tmp_path, 3, replace(Holder(), pid=process.pid, started=leases._start_time(process.pid)))
    assert not Observer(tmp_path).is_free(3)
    process.kill()
    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)  # it has ended, and stays a zombie
    assert Observer(tmp_path).is_free(3)
    process.wait()


def test_a_process_is_gone_with_the_last_of_its_threads(tmp_path):
    """A main thread that has ended is a zombie while others of the process still run, or are about to end."""
    code = "import ctypes, threading, time; threading.Thread(target=time.sleep, args=(600,)).start(); print(flush=True)"
    process = subprocess.Popen(
        [sys.executable, "-c", f"{code}; ctypes.CDLL(None).pthread_exit(None)"], stdout=subprocess.PIPE
    )
    process.stdout.readline()
    holder = replace(Holder(), pid=process.pid, started=leases._start_time(process.pid))
    stat = Path(f"/proc/{process.pid}/stat")
    wait_until(lambda: stat.read_text().rpartition(")")[2].split()[0] == "Z")
    assert not holder.is_gone()
    process.kill()
    wait_until(holder.is_gone)
    process.wait()


def test_a_lease_of_another_machine_expires_when_its_heart_stops_for_as_long_as_observed(tmp_path, ended):
    clock = Clock()
    observer = Observer(tmp_path, expiry=600, clock=clock)
    holder = replace(elsewhere(), pid=ended)  # an id that means nothing here
    for beats in range(5):
        write_lease(tmp_path, 3, holder, beats)
        for _ in range(2):
            assert not observer.is_free(3)
            clock.now += 500
    clock.now -= 500  # since the latest look that saw the heart beat: 500
    assert not observer.is_free(3)
    clock.now += 99
    assert not observer.is_free(3) and is_in_use(tmp_path)
    clock.now += 1
    assert observer.is_free(3) and not lease_path(tmp_path, 3).exists()


@pytest.mark.parametrize("day", [-1, 1])
def test_times_of_files_play_no_role(tmp_path, day):
    clock = Clock()
    observer = Observer(tmp_path, expiry=600, clock=clock)
    write_lease(tmp_path, 3, elsewhere(), beats=1)
    for path in (tmp_path / "running").iterdir():
        os.utime(path, (time.time() + 86400 * day,) * 2)  # the clock of that machine is a day off
    assert not observer.is_free(3)
    for _ in range(10):  # touched, as a backup or a copy does; no heartbeat
        clock.now += 59.9
        assert not observer.is_free(3)
        for path in (tmp_path / "running").iterdir():
            os.utime(path)
    clock.now += 2
    assert observer.is_free(3)


def test_a_new_observer_waits_for_a_whole_expiry(tmp_path):
    clock = Clock()
    first = Observer(tmp_path, expiry=600, clock=clock)
    write_lease(tmp_path, 3, elsewhere())  # without a heart: it stopped before the first beat
    assert not first.is_free(3)
    clock.now += 600
    assert not Observer(tmp_path, expiry=600, clock=clock).is_free(3)
    assert first.is_free(3)


@pytest.mark.parametrize("content", ["", "{", "[1]", '{"seed": 3, "pid": 1}'])
def test_a_lease_that_cannot_be_read_expires_as_well(tmp_path, content):
    clock = Clock()
    observer = Observer(tmp_path, expiry=600, clock=clock)
    (tmp_path / "running").mkdir()
    lease_path(tmp_path, 3).write_text(content)
    assert not observer.is_free(3)
    clock.now += 599
    assert not observer.is_free(3)
    clock.now += 1
    assert observer.is_free(3) and not lease_path(tmp_path, 3).exists()


def test_a_worker_is_not_judged_dead_between_short_seeds(tmp_path):
    """Its heart rests, and an observer may see it hold one seed after another for longer than the expiry."""
    clock = Clock()
    observer = Observer(tmp_path, expiry=600, clock=clock)
    holder = elsewhere()
    for seed in range(10):
        write_lease(tmp_path, seed, holder)
        for asked in range(10):
            assert observer.is_free(asked) == (asked != seed)
        release_lease(tmp_path, seed, holder.worker)
        clock.now += 300


def test_the_observer_that_judged_an_older_lease_does_not_touch_a_fresh_one(tmp_path, ended):
    """Not even for an instant, in which a third worker could take the seed."""
    dead, fresh = replace(Holder(), pid=ended), Holder()
    write_lease(tmp_path, 3, fresh)
    before = lease_path(tmp_path, 3).stat()
    assert not Observer(tmp_path)._take_over(lease_path(tmp_path, 3), dead)
    assert lease_path(tmp_path, 3).stat() == before and running(tmp_path) == ["000003.json"]


@pytest.mark.parametrize("has_links", [True, False])
def test_a_fresh_lease_that_comes_from_another_machine_at_that_moment_is_put_back(
    tmp_path, ended, monkeypatch, has_links
):
    dead, fresh = replace(Holder(), pid=ended), Holder()
    write_lease(tmp_path, 3, fresh)
    answers = iter([dead])
    read = leases._read_holder
    monkeypatch.setattr(leases, "_read_holder", lambda place: next(answers, None) or read(place))
    if not has_links:
        monkeypatch.setattr(os, "link", lambda *_: (_ for _ in ()).throw(PermissionError(errno.EPERM, "no links here")))
    assert not Observer(tmp_path)._take_over(lease_path(tmp_path, 3), dead)
    assert [lease.holder for lease in read_leases(tmp_path)] == [fresh]
    assert running(tmp_path) == ["000003.json"]


@pytest.mark.parametrize("remove", ["observer", "parent"])
def test_leases_are_removed_by_one_process_at_a_time(tmp_path, ended, remove):
    dead = replace(Holder("sweep"), pid=ended)
    write_lease(tmp_path, 3, dead)
    observer = Observer(tmp_path)
    target = (
        (lambda: observer.is_free(3)) if remove == "observer" else lambda: release_lease(tmp_path, 3, sweep="sweep")
    )
    thread = threading.Thread(target=target)
    with leases._lock_removal(tmp_path / "running"):
        thread.start()
        thread.join(0.2)
        assert thread.is_alive() and running(tmp_path) == ["000003.json"]
    thread.join(PATIENCE)
    assert running(tmp_path) == []


def test_a_holder_that_wakes_up_leaves_its_seed_to_the_one_that_took_it_over(tmp_path):
    clock = Clock()
    observer = Observer(tmp_path, expiry=600, clock=clock)
    sleeper, other = Worker(tmp_path), Worker(tmp_path)
    sleeper.acquire([3])
    assert not observer.is_free(3)
    clock.now += 600
    assert observer.is_free(3) and other.acquire([3]) == [3]
    sleeper.release([3])
    assert [lease.holder for lease in read_leases(tmp_path)] == [other.holder]


def test_a_heart_appears_where_a_lease_outlives_a_beat_and_goes_with_it(tmp_path):
    worker = Worker(tmp_path, beat=0.05)
    worker.progress = lambda: {"done": 0.5, "epoch": 3}
    heart = tmp_path / "running" / f"{worker.holder.worker}.heart"
    for _ in range(2):  # it beats again for the next long seed
        worker.acquire([3])
        wait_until(lambda: heart.exists() and json.loads(heart.read_text())["beats"] > 2)
        assert [lease.progress for lease in read_leases(tmp_path)] == [{"done": 0.5, "epoch": 3}]
        worker.release([3])
        assert not running(tmp_path)
    worker.close()
    resting = Worker(tmp_path, beat=PATIENCE)
    resting.acquire([3])
    assert running(tmp_path) == ["000003.json"]
    resting.close()


def test_a_heart_beats_on_where_the_progress_cannot_be_said(tmp_path):
    """It is asked in a thread of its own, at any moment of the training; a worker that lives keeps its lease."""
    worker = Worker(tmp_path, beat=0.05)
    worker.progress = lambda: 1 / 0
    worker.acquire([3])
    heart = tmp_path / "running" / f"{worker.holder.worker}.heart"
    wait_until(lambda: heart.exists() and json.loads(heart.read_text())["beats"] > 2)
    assert [lease.progress for lease in read_leases(tmp_path)] == [{}]
    worker.close()


def test_tidying_removes_what_the_dead_left_and_nothing_else(tmp_path, ended):
    living = Worker(tmp_path)
    living.acquire([1])
    write_lease(tmp_path, 2, replace(Holder(), pid=ended), beats=4)
    write_lease(tmp_path, 3, elsewhere(), beats=4)
    (tmp_path / "running" / "of-nobody.heart").write_text("{}")
    Observer(tmp_path).tidy()
    assert [lease.seed for lease in read_leases(tmp_path)] == [1, 3]
    assert len(list((tmp_path / "running").glob("*.heart"))) == 1


@pytest.mark.parametrize(
    "processes, seeds, killed, apart",
    [
        (20, 60, 15, ""),
        pytest.param(200, 300, 150, "", marks=pytest.mark.slow),
        pytest.param(200, 300, 150, "apart", marks=pytest.mark.slow),
    ],
)
def test_processes_that_race_for_leases_while_some_are_killed_share_no_seed(tmp_path, processes, seeds, killed, apart):
    script = Path(__file__).with_name("racing.py")
    arguments = [*map(str, (script, tmp_path, processes, seeds, killed)), *filter(None, [apart])]
    done = subprocess.run([sys.executable, *arguments], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert int(done.stdout.split()[0]) > 0, "none was killed"
    events = Counter(tuple(line.split()) for line in (tmp_path / "log").read_text().splitlines())
    assert all(events["worked", str(seed)] >= 1 for seed in range(seeds))
    assert all(events["recorded", str(seed)] <= 1 for seed in range(seeds))
    assert not [event for event in events if event[0] == "shared"], "two living holders at once"
