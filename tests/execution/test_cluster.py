"""Sweeps on Ray and Slurm, for real, on this machine."""

import os
import shutil
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import psutil
import pytest

from seedspread.config.errors import InputError
from seedspread.execution.slurm import SlurmExecutor, parse_minutes
from seedspread.records.study import Study
from tests.conftest import ROOT
from tests.execution.test_scheduler import tasks
from tests.processes import Command
from tests.test_tutorials import TUTORIALS, run_page

STUCK = 600.0  # seconds after which a sweep is stuck, however slow the machine

RAY = str(Path(sys.executable).with_name("ray"))


def start_node(tmp_path: Path, name: str, *arguments: str) -> list[psutil.Process]:
    """One Ray node with one CPU; its processes."""
    before = set(psutil.pids())
    node = [RAY, "start", "--num-cpus=1", "--disable-usage-stats", f"--temp-dir={tmp_path}/{name}", *arguments]
    done = subprocess.run(node, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return [process for process in processes_of(tmp_path) if process.pid not in before]


def processes_of(folder: Path) -> list[psutil.Process]:
    """The processes whose command line names `folder`."""
    found = psutil.process_iter(["cmdline"])  # None for a process that has just ended
    return [process for process in found if f"{folder}/" in " ".join(process.info["cmdline"] or [])]


@pytest.fixture
def two_nodes(monkeypatch):
    """A real cluster on loopback; yields its address, and what joins a second node and returns its processes."""
    pytest.importorskip("ray", reason="the extra .[ray] is not installed")
    monkeypatch.setenv("RAY_AUTH_MODE", "disabled")  # else each node would want the token of the first
    place = Path("/tmp") / f"ray-{os.getpid()}"  # Ray's sockets need a short path
    place.mkdir()
    port = 20_000 + os.getpid() % 10_000
    ends = ["--node-ip-address=127.0.0.1"]
    try:
        start_node(place, "r", "--head", f"--port={port}", "--include-dashboard=false", *ends)
        yield f"127.0.0.1:{port}", lambda: start_node(place, "r", f"--address=127.0.0.1:{port}", *ends)
    finally:
        for process in processes_of(place):
            with suppress(psutil.NoSuchProcess):
                process.kill()
        shutil.rmtree(place, ignore_errors=True)


def wait_for_records(folder: Path, n: int, process: Command) -> None:
    """Until there are n records below `folder`, or the command has ended."""
    deadline = time.monotonic() + STUCK
    while len(list(folder.rglob("seeds/0*.json"))) < n and process.poll() is None:
        assert time.monotonic() < deadline, f"fewer than {n} records after {STUCK} s"
        time.sleep(0.02)


def hashes(folder: Path) -> dict[str, str]:
    """Weights of every finished seed below a folder, by the names of study and seed."""
    studies = [Study.load(path.parent) for path in folder.rglob("study.yaml")]
    return {f"{s.name} {n}": r.weights_sha256 for s in studies for n, r in s.scan().records.items()}


def lose(node: list[psutil.Process]) -> None:
    for process in node:
        with suppress(psutil.NoSuchProcess):
            process.kill()


@pytest.mark.slow
def test_a_sweep_and_a_search_on_two_ray_nodes_survive_the_loss_of_one(two_nodes, tmp_path, cache, command, start):
    address, join = two_nodes
    fixed = ["experiment=digits", "trainer.max_epochs=2", f"data.cache={cache}", "trainer=cpu", "report=false"]
    ray = ["executor=ray", f"executor.address={address}"]
    sweep = ["-m", "seed=range(0,20)", *fixed]
    search = ["trials=4", "seeds_per_trial=3", "fresh_seeds=8", *fixed]
    for module, folder, arguments in (("train", "digits", sweep), ("tune", "digits-search", search)):
        second = join()
        process = start("seedspread", module, *arguments, *ray, f"results={tmp_path}/ray")
        wait_for_records(tmp_path / "ray" / folder, 4, process)
        lose(second)
        out, err = process.communicate(STUCK)
        assert process.returncode == 0, out + err
    here = start("seedspread", "train", *sweep, "jobs=2", f"results={tmp_path}/here")
    assert here.communicate(STUCK) and here.returncode == 0
    here = start("seedspread", "tune", *search, "jobs=2", f"results={tmp_path}/here")
    assert here.communicate(STUCK) and here.returncode == 0
    assert hashes(tmp_path / "ray") == hashes(tmp_path / "here")
    assert len(hashes(tmp_path / "ray" / "digits")) == 20
    assert not list((tmp_path / "ray").rglob("running/*"))


def test_a_ray_address_that_does_not_answer_is_named_at_once(command):
    pytest.importorskip("ray", reason="the extra .[ray] is not installed")
    ray = ["executor=ray", "executor.address=127.0.0.1:9"]
    code, _, err = command("-m", "seed=0,1", "experiment=digits", *ray)
    assert code == 1 and "executor.address=127.0.0.1:9: no Ray cluster answers there" in err


@pytest.fixture
def slurm(monkeypatch):
    """A real slurmctld and slurmd on loopback."""
    missing = [name for name in ("slurmctld", "slurmd", "sbatch", "munged") if shutil.which(name) is None]
    if missing or os.geteuid() != 0:
        pytest.skip(f"needs root and Debian's slurmctld slurmd slurm-client munge (missing: {missing or 'root'})")
    place = Path("/tmp") / f"slurm-{os.getpid()}"
    script = str(ROOT / "tests" / "slurm.sh")
    began = subprocess.run([script, "start", str(place)], capture_output=True, text=True)
    if began.returncode:
        subprocess.run([script, "stop", str(place)], check=False)
        pytest.skip(f"Slurm did not start here: {began.stderr}")
    monkeypatch.setenv("SLURM_CONF", str(place / "slurm.conf"))
    yield
    subprocess.run([script, "stop", str(place)], check=True)
    shutil.rmtree(place, ignore_errors=True)


@pytest.mark.slow
def test_a_sweep_through_slurm_survives_a_job_that_is_cancelled(slurm, tmp_path, cache, start):
    pytest.importorskip("submitit", reason="the extra .[slurm] is not installed")
    fixed = ["experiment=digits", "trainer.max_epochs=2", f"data.cache={cache}", "trainer=cpu", "report=false"]
    sweep = ["-m", "seed=range(0,12)", *fixed]
    jobs = ["executor=slurm", "executor.seeds_per_job=6", "executor.time=10m"]
    process = start("seedspread", "train", *sweep, *jobs, f"results={tmp_path}/slurm")
    wait_for_records(tmp_path / "slurm" / "digits", 2, process)
    listed = subprocess.run(["squeue", "--noheader", "--format=%A", "--states=running"], capture_output=True, text=True)
    subprocess.run(["scancel", listed.stdout.split()[0]], check=True)
    out, err = process.communicate(STUCK)
    assert process.returncode == 0, out + err
    here = start("seedspread", "train", *sweep, "jobs=2", f"results={tmp_path}/here")
    assert here.communicate(STUCK) and here.returncode == 0
    assert hashes(tmp_path / "slurm") == hashes(tmp_path / "here") and len(hashes(tmp_path / "here")) == 12
    assert not list((tmp_path / "slurm" / ".slurm").glob("*.outcomes"))


def test_what_dead_jobs_leave_is_submitted_again_in_jobs_of_the_size_asked_for(tmp_path, monkeypatch):
    """Commands of a Slurm that loses every job: a larger job would run into its time limit."""
    pytest.importorskip("submitit", reason="the extra .[slurm] is not installed")
    sbatch = f"n=$(($(cat {tmp_path}/jobs 2>/dev/null) + 1)); echo $n > {tmp_path}/jobs; echo Submitted batch job $n"
    for name, line in {"sbatch": sbatch, "squeue": "", "srun": "", "scancel": ""}.items():
        (tmp_path / name).write_text(f"#!/bin/sh\n{line}\n")
        (tmp_path / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setattr("seedspread.execution.slurm.SECONDS_TO_ASK", 0.0)
    folder = str(tmp_path / "logs")
    with SlurmExecutor(None, 10, 1, 0, None, seeds_per_job=3, folder=folder, options=None) as executor:
        for task in tasks("square", range(6)):
            executor.submit(task)
        ended = []
        while len(ended) < 2:
            ended += executor.wait(0.01)
        assert [task.name for task, _ in ended] == ["task 0", "task 3"]
        for task, _ in ended:
            executor.submit(task)
        executor.wait(0.0)
        assert [[task.name for task in job.tasks] for job in executor._jobs] == [
            ["task 1", "task 2", "task 4"],
            ["task 5", "task 0", "task 3"],
        ]


@pytest.mark.parametrize(
    "text, minutes",
    [("90", 90), (45, 45), ("90m", 90), ("4h", 240), ("2d", 2880), ("1-12:30:00", 2190), ("0:30:00", 30)],
)
def test_the_time_of_a_job(text, minutes):
    assert parse_minutes(text) == minutes


@pytest.mark.parametrize("text", ["4 hours", "h", "-1", "1.5h", ""])
def test_a_time_that_is_none(text):
    with pytest.raises(InputError, match="executor.time="):
        parse_minutes(text)


FUNCTION = """
import sys
import numpy as np
import seedspread as ss

def train(seed):
    for epoch in range(2):
        yield {"loss": seed + np.random.random(), "drawn": ss.streams().init.rng(epoch).random()}

results, executor, *settings = sys.argv[1:]
ss.sweep(train, range(6), study="function", report=False, results=results, executor=executor, settings=settings)
"""

PROGRAM = """
import json, os, random
random.seed(int(os.environ["SEEDSPREAD_SEED"]))
print(json.dumps({"loss": random.random()}))
"""


def run_scripts(folder: Path, start, executor: str, *settings: str) -> dict[str, tuple]:
    """A function and a program on an executor: the results of their seeds."""
    (folder / "function.py").write_text(FUNCTION)
    (folder / "program.py").write_text(PROGRAM)
    results = folder / executor
    keys = ["seed=range(0,6)", "study=program", "report=false", f"executor={executor}", f"results={results}", *settings]
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "src")}
    function = [sys.executable, str(folder / "function.py"), str(results), executor, *settings]
    done = subprocess.run(function, cwd=folder, env=environment, capture_output=True, text=True, timeout=STUCK)
    assert done.returncode == 0, done.stdout + done.stderr
    process = start("seedspread", "run", *keys, "--", sys.executable, str(folder / "program.py"))
    out, err = process.communicate(STUCK)
    assert process.returncode == 0, out + err
    studies = [Study.load(results / name) for name in ("function", "program")]
    assert not list(results.rglob("running/*"))
    return {f"{s.name} {n}": (r.status, r.curves, r.final) for s in studies for n, r in s.scan().records.items()}


@pytest.mark.slow
def test_functions_and_programs_run_on_ray_as_they_do_here(two_nodes, tmp_path, start):
    address, _ = two_nodes
    there = run_scripts(tmp_path, start, "ray", f"executor.address={address}")
    assert there == run_scripts(tmp_path, start, "local") and len(there) == 12


@pytest.mark.slow
def test_functions_and_programs_run_through_slurm_as_they_do_here(slurm, tmp_path, start):
    pytest.importorskip("submitit", reason="the extra .[slurm] is not installed")
    there = run_scripts(tmp_path, start, "slurm", "executor.seeds_per_job=3", "executor.time=10m")
    assert there == run_scripts(tmp_path, start, "local") and len(there) == 12


@pytest.mark.slow
def test_the_tutorial_on_clusters_runs(slurm, tmp_path, start, monkeypatch):
    pytest.importorskip("submitit", reason="the extra .[slurm] is not installed")
    pytest.importorskip("ray", reason="the extra .[ray] is not installed")
    run_page(TUTORIALS / "cluster.md", tmp_path, start, monkeypatch)
