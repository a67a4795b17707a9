"""Sweeps that are struck: by one another, by signals, by the loss of a terminal. The kernel counts what they write."""

import os
import pty
import re
import signal
import subprocess
import sys
import time
from collections import Counter

import psutil
import pytest
from hydra import compose, initialize_config_dir

from seedspread.commands.train import train
from seedspread.execution.leases import read_leases
from seedspread.records.study import Study
from tests.conftest import CONF, ROOT
from tests.processes import find_session
from tests.writes import Writes

PATIENCE = 600  # seconds after which something that should happen never will, however slow the machine
QUICK = ("experiment=digits", "trainer.max_epochs=1", "trainer=cpu", "report=false")
SEEDS = 8


def wait_until(condition, *processes):
    deadline = time.monotonic() + PATIENCE
    while not condition():
        for process in processes:
            assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.01)


@pytest.fixture(scope="module")
def expected(tmp_path_factory, cache):
    """The hash of each seed's weights, trained in this process."""
    results = tmp_path_factory.mktemp("alone")
    found = {}
    for seed in range(SEEDS):
        with initialize_config_dir(CONF, version_base="1.3"):
            cfg = compose("train", [*QUICK, f"seed={seed}", f"results={results}", f"data.cache={cache}"])
        found[seed] = train(cfg).weights_sha256
    return found


class Stage:
    """One study, whose seeds wait for `open_gate`; its sweeps; and what is written meanwhile."""

    def __init__(self, tmp_path, cache, start):
        self.folder, self._gate, self._starts = tmp_path / "results" / "digits", tmp_path / "gate", tmp_path / "starts"
        self._start = start
        fault = "callbacks.fault"
        self.arguments = [
            f"seed=range(0,{SEEDS})", *QUICK, f"results={tmp_path}/results", f"data.cache={cache}",
            f"+{fault}._target_=tests.faults.Wait", f"+{fault}.starts={self._starts}", f"+{fault}.until={self._gate}",
        ]  # fmt: skip
        self._writes = Writes(self.folder / "seeds")

    def start_sweep(self, *arguments, **more):
        return self._start("src.train", "-m", *self.arguments, *arguments, **more)

    def open_gate(self):
        self._gate.touch()

    def leases(self):
        return read_leases(self.folder)

    def starts(self):
        """How often the training of each seed began."""
        return Counter(map(int, self._starts.read_text().split() if self._starts.exists() else ()))

    def records(self):
        return list((self.folder / "seeds").glob("0*.json"))

    def check(self, expected):
        """Every seed has its record, the right one, written once; and nobody holds a lease."""
        scan = Study.load(self.folder).scan()
        assert not scan.problems and {s: r.weights_sha256 for s, r in scan.records.items()} == expected
        assert self._writes.close() == {f"{seed:06d}.json": 1 for seed in expected}
        assert not self.leases() and not list((self.folder / "running").glob("*.heart"))


@pytest.fixture
def stage(tmp_path, cache, start):
    stage = Stage(tmp_path, cache, start)
    yield stage
    stage.open_gate()  # nothing waits for ever, whatever went wrong


@pytest.mark.parametrize("sweeps", [2, pytest.param(5, marks=pytest.mark.slow)])
def test_equal_sweeps_share_the_seeds_and_each_shows_all(stage, expected, sweeps):
    running = [stage.start_sweep("jobs=1") for _ in range(sweeps)]
    wait_until(lambda: len({lease.holder.sweep for lease in stage.leases()}) == sweeps, *running)
    stage.open_gate()
    for process in running:
        out, err = process.communicate(PATIENCE)
        assert process.returncode == 0 and not err, out + err
        shown = Counter(int(seed) for seed in re.findall(r"^seed +(\d+)", out, re.MULTILINE))
        assert shown == dict.fromkeys(range(SEEDS), 1) and f"digits, {SEEDS} seeds" in out
    assert stage.starts() == dict.fromkeys(range(SEEDS), 1)
    stage.check(expected)


def hang_up(process, end):
    process.send_signal(signal.SIGHUP)


def close(process, end):
    os.close(end)


@pytest.mark.slow
@pytest.mark.parametrize("kind, strike", [("file", hang_up), ("terminal", close), ("pipe", close)])
def test_a_sweep_continues_without_its_terminal(stage, expected, tmp_path, kind, strike):
    end = output = None
    if kind == "terminal":
        end, theirs = pty.openpty()
        output = os.ttyname(theirs)
    elif kind == "pipe":
        output = str(tmp_path / "pipe")
        os.mkfifo(output)
        end = os.open(output, os.O_RDONLY | os.O_NONBLOCK)
    process = stage.start_sweep("jobs=1", output=output, own_workers=True)
    wait_until(lambda: stage.leases(), process)
    if kind == "terminal":
        os.close(theirs)
    strike(process, end)
    stage.open_gate()
    assert process.wait(PATIENCE) == 0
    stage.check(expected)


def session_of(process):
    """The living processes of a command."""
    found = []
    for one in psutil.process_iter():
        try:
            if find_session(one.pid) == process.pid and one.status() != psutil.STATUS_ZOMBIE:
                found.append(one)
        except psutil.NoSuchProcess:
            pass
    return found


@pytest.mark.slow
def test_the_workers_of_a_killed_sweep_end_and_the_same_command_trains_the_rest(stage, expected, command):
    process = stage.start_sweep("jobs=2", own_workers=True)
    wait_until(lambda: len(stage.leases()) == 2, process)
    assert len(session_of(process)) >= 4, "the parent, the process that workers are forked from, and they"
    stage.open_gate()
    wait_until(lambda: len(stage.records()) >= 2, process)
    os.kill(process.pid, signal.SIGKILL)
    process.wait(PATIENCE)
    wait_until(lambda: not session_of(process))
    scan = Study.load(stage.folder).scan()
    assert not scan.problems and len(scan.records) >= 2
    assert all(record.weights_sha256 == expected[seed] for seed, record in scan.records.items())
    code, out, err = command("-m", "jobs=2", *(argument for argument in stage.arguments if argument != "trainer=cpu"))
    assert code == 0, out + err
    stage.check(expected)


def test_the_seed_of_a_killed_worker_is_trained_again_and_no_other(stage, expected):
    process = stage.start_sweep("jobs=2")
    wait_until(lambda: len(stage.leases()) == 2 and sum(stage.starts().values()) == 2, process)
    victim = stage.leases()[0]
    os.kill(victim.holder.pid, signal.SIGKILL)
    wait_until(lambda: stage.starts()[victim.seed] == 2, process)
    stage.open_gate()
    out, err = process.communicate(PATIENCE)
    assert process.returncode == 0, out + err
    assert stage.starts() == {seed: 1 + (seed == victim.seed) for seed in range(SEEDS)}
    stage.check(expected)


@pytest.mark.slow
def test_a_worker_that_slept_past_the_expiry_of_its_lease_publishes_nothing(stage, expected):
    sleeper = stage.start_sweep("jobs=1")
    wait_until(lambda: stage.starts(), sleeper)
    [lease] = stage.leases()
    os.kill(lease.holder.pid, signal.SIGSTOP)
    try:
        stage.open_gate()
        other = stage.start_sweep("jobs=1", "lease_minutes=0.25")
        out, err = other.communicate(PATIENCE)
        assert other.returncode == 0 and f"digits, {SEEDS} seeds" in out, out + err
        assert len(stage.records()) == SEEDS and sleeper.poll() is None
    finally:
        os.kill(lease.holder.pid, signal.SIGCONT)
    out, err = sleeper.communicate(PATIENCE)
    assert sleeper.returncode == 0 and f"digits, {SEEDS} seeds" in out, out + err
    assert stage.starts() == {seed: 1 + (seed == lease.seed) for seed in range(SEEDS)}
    stage.check(expected)


def test_failures_in_a_row_are_counted_over_all_workers(command, tmp_path):
    fault = "callbacks.fault"
    code, _, err = command(
        "-m", "seed=range(0,20)", "jobs=4", "experiment=digits", "trainer.max_epochs=1",
        f"+{fault}._target_=tests.faults.Raise", f"+{fault}.seeds={list(range(20))}".replace(" ", ""),
        f"+{fault}.unless={tmp_path}/mended",
    )  # fmt: skip
    assert code == 1 and "digits stopped: 5 seeds in a row failed: RuntimeError: out of luck" in err
    assert 5 <= len(Study.load(tmp_path / "results" / "digits").scan().records) <= 8


@pytest.mark.slow
def test_hydras_own_sweeper_with_joblib_trains_the_same_seeds(stage, expected):
    pytest.importorskip("hydra_plugins.hydra_joblib_launcher", reason="hydra-joblib-launcher is not installed")
    stage.open_gate()
    launcher = ["hydra/sweeper=basic", "hydra/launcher=joblib", "hydra.launcher.n_jobs=2"]
    # Not forked as the others are: joblib's workers would outlive it by their idle time of minutes.
    sweep = [sys.executable, "-m", "src.train", "-m", *stage.arguments, *launcher]
    done = subprocess.run(sweep, cwd=ROOT, capture_output=True, text=True, timeout=PATIENCE)
    assert done.returncode == 0, done.stdout + done.stderr
    stage.check(expected)
