"""Kills of whole sweeps at random moments: nothing is lost, nothing runs twice without a kill, nothing is left."""

import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pytest

from seedspread.records.record import Record
from seedspread.records.study import Study
from tests.conftest import ROOT
from tests.scripts.descendants import find_left, wait_until

SEEDS, KILLS = 80, 30
STUCK = 600  # seconds after which a sweep is stuck, however slow the machine

FUNCTION = """
import sys, time
import numpy as np
import seedspread as ss

def note(text):
    with open(LOG, "a") as log:
        log.write(text)

def train(seed):
    note(f"start {seed}\\n")
    for epoch in range(3):
        time.sleep(0.03)
        yield {"loss": seed + np.random.random(), "acc": ss.streams().init.rng(epoch).random()}
    ss.record(labels=[0, 1, 1], predictions=np.random.randint(0, 2, 3))
    note(f"end {seed}\\n")

LOG, study, jobs = sys.argv[1], sys.argv[2], int(sys.argv[3])
ss.sweep(train, seeds=range(SEEDS), study=study, jobs=jobs, report=False)
"""

PROGRAM = """
(setsid sleep 600 &)
echo "start $SEEDSPREAD_SEED" >> "$LOG"
for epoch in 0 1 2; do
    sleep 0.03
    echo "{\\"epoch\\": $epoch, \\"loss\\": $((SEEDSPREAD_SEED * 10 + epoch))}"
done
echo "end $SEEDSPREAD_SEED" >> "$LOG"
"""


def start_function(folder: Path, study: str, jobs: int) -> subprocess.Popen:
    (folder / "script.py").write_text(FUNCTION.replace("SEEDS", str(SEEDS)))
    return launch(folder, "script.py", str(folder / "log"), study, str(jobs))


def start_program(folder: Path, study: str, jobs: int) -> subprocess.Popen:
    (folder / "train.sh").write_text(PROGRAM)
    keys = [f"seed=range(0,{SEEDS})", f"study={study}", f"jobs={jobs}", "report=false"]
    return launch(folder, "-m", "seedspread", "run", *keys, "--", "bash", "train.sh")


def launch(folder: Path, *arguments: str) -> subprocess.Popen:
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "src"), "LOG": str(folder / "log")}
    return subprocess.Popen(
        [sys.executable, *arguments], cwd=folder, env=environment, start_new_session=True, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip


def results(folder: Path) -> dict[int, tuple]:
    records = Study.load(folder).scan().records
    return {seed: (one.status, one.curves, one.final, one.predictions_sha256) for seed, one in records.items()}


@pytest.fixture
def begin_run(tmp_path, start):
    """Start `seedspread run` with a script for bash and its arguments, two seeds at once."""
    fixed = [
        "seed=range(0,9)",
        "study=mine",
        f"results={tmp_path}/results",
        "metric.name=loss",
        "jobs=2",
        "report=false",
    ]
    return lambda script, *arguments: start("seedspread", "run", *fixed, "--", "bash", "-c", script, "-", *arguments)


@pytest.mark.slow
@pytest.mark.parametrize("begin", [start_function, start_program])
def test_thirty_kills_lose_nothing_and_run_nothing_twice(tmp_path, begin):
    """SIGKILL to the whole sweep, workers and all, as early as in its first seed, of which nobody named the metric."""
    folder, log = tmp_path / "results" / "killed", tmp_path / "log"
    log.touch()
    seen: dict[str, int] = {}
    draw = random.Random(0)
    for i in range(KILLS):
        process = begin(tmp_path, "killed", 1 + i % 2)
        began, more = len(log.read_text().splitlines()), draw.choice([0, 1, 1, 2, 3, 5])
        wait_until(lambda: len(log.read_text().splitlines()) > began + more or process.poll() is not None)  # noqa: B023
        time.sleep(draw.random() / 10)
        assert process.poll() is None, process.communicate()
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
        wait_until(lambda: not find_left(tmp_path))
        with log.open("a") as file:
            file.write(f"kill {len(seen)}\n")
        for path in (folder / "seeds").glob("0*.json"):
            assert Record.parse(path.read_bytes()).status == "finished"  # whole, whenever it was killed
            assert seen.setdefault(path.name, path.stat().st_mtime_ns) == path.stat().st_mtime_ns
    process = begin(tmp_path, "killed", 2)
    _, err = process.communicate(timeout=STUCK)
    assert process.returncode == 0, err
    for name, mtime in seen.items():
        assert (folder / "seeds" / name).stat().st_mtime_ns == mtime
    check_log(log.read_text().splitlines())
    log.unlink()
    whole = begin(tmp_path, "whole", 2)
    _, err = whole.communicate(timeout=STUCK)
    assert whole.returncode == 0, err
    assert Counter(log.read_text().split()[1::2]) == dict.fromkeys(map(str, range(SEEDS)), 2), (
        "one start and one end each"
    )
    assert results(folder) == results(tmp_path / "results" / "whole") and len(results(folder)) == SEEDS
    assert not list((folder / "running").iterdir())


def check_log(lines: list[str]) -> None:
    """Between two kills each seed starts once at most, and none that ended before the kill before the last."""
    starts: Counter[str] = Counter()
    ended: Counter[str] = Counter()
    kills = 0
    for line in lines:
        what, number = line.split()
        if what == "kill":
            kills += 1
            starts.clear()
        elif what == "start":
            starts[number] += 1
            assert starts[number] == 1, f"seed {number} started twice after kill {kills}"
        else:
            ended[number] += 1
    assert set(ended) == set(map(str, range(SEEDS))) and kills == KILLS
    assert sum(ended.values()) <= SEEDS + 2 * KILLS


@pytest.mark.parametrize("sign", [signal.SIGINT, signal.SIGTERM])
def test_ctrl_c_ends_programs_and_their_descendants(tmp_path, begin_run, sign):
    """Ctrl-C reaches the command; its workers end with it, and with them what they run, daemons included."""
    process = begin_run("(setsid sleep 600 &); touch $1/began-$SEEDSPREAD_SEED; sleep 600", str(tmp_path))
    wait_until(lambda: len(list(tmp_path.glob("began-*"))) == 2 or process.poll() is not None)
    wait_until(lambda: len(find_left(tmp_path)) == 6)  # of each seed the keeper, the program and its daemon
    process.send_signal(sign)
    _, err = process.communicate()
    assert process.returncode == 130 and "the same command resumes" in err, err
    wait_until(lambda: not find_left(tmp_path))
    assert not Study.load(tmp_path / "results" / "mine").scan().records
    assert not list((tmp_path / "results" / "mine" / "running").glob("*.json"))
