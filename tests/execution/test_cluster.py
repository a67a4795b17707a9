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

from seedspread.records.study import Study
from tests.commands.test_sweep import start_sweep, wait_for_end, wait_for_records
from tests.conftest import ROOT

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
    """A real cluster of two nodes on loopback; yields its address and the second node's processes."""
    pytest.importorskip("ray", reason="the extra .[ray] is not installed")
    monkeypatch.setenv("RAY_AUTH_MODE", "disabled")  # else each node would want the token of the first
    place = Path("/tmp") / f"ray-{os.getpid()}"  # Ray's sockets need a short path
    place.mkdir()
    port = 20_000 + os.getpid() % 10_000
    ends = ["--node-ip-address=127.0.0.1"]
    try:
        start_node(place, "r", "--head", f"--port={port}", "--include-dashboard=false", *ends)
        second = start_node(place, "r", f"--address=127.0.0.1:{port}", *ends)
        yield f"127.0.0.1:{port}", second
    finally:
        for process in processes_of(place):
            with suppress(psutil.NoSuchProcess):
                process.kill()
        shutil.rmtree(place, ignore_errors=True)


@pytest.mark.slow
def test_a_sweep_on_two_ray_nodes_survives_the_loss_of_one(two_nodes, tmp_path, cache, command):
    address, second = two_nodes
    sweep = ["hydra/launcher=ray", f"hydra.launcher.ray.init.address={address}", "seed=range(0,20)", "seeds_per_job=4"]
    process = start_sweep(tmp_path, cache, *sweep)
    folder = tmp_path / "results" / "digits" / "seeds"
    wait_for_records(folder, 4, process)
    seen = {path: path.stat().st_mtime_ns for path in folder.glob("0*.json")}
    assert seen, process.communicate()
    for part in second:
        with suppress(psutil.NoSuchProcess):
            part.kill()
    _, err = wait_for_end(folder, process)
    if process.returncode:  # the same command again completes it
        again = start_sweep(tmp_path, cache, *sweep)
        _, err = wait_for_end(folder, again)
        assert again.returncode == 0, err
    assert all(path.stat().st_mtime_ns == mtime for path, mtime in seen.items())
    on_ray = {s: r.weights_sha256 for s, r in Study.load(folder.parent).scan().records.items()}
    assert list(on_ray) == list(range(20))
    command("-m", "seed=range(0,20)", "jobs=2", "study=here", "experiment=digits", "trainer.max_epochs=2")
    here = {s: r.weights_sha256 for s, r in Study.load(tmp_path / "results" / "here").scan().records.items()}
    assert here == on_ray


def test_a_ray_address_that_does_not_answer_is_named_at_once(command):
    pytest.importorskip("ray", reason="the extra .[ray] is not installed")
    began = time.monotonic()
    code, _, err = command(
        "-m", "seed=0,1", "experiment=digits", "hydra/launcher=ray", "hydra.launcher.ray.init.address=127.0.0.1:9"
    )
    assert code == 1 and "no Ray cluster answers there" in err and time.monotonic() - began < 120


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
def test_a_sweep_through_slurm_and_its_preemption(slurm, tmp_path, cache, command):
    pytest.importorskip("submitit", reason="the extra .[slurm] is not installed")
    sweep = ["hydra/launcher=submitit_slurm", "seed=range(0,12)", "seeds_per_job=6"]
    process = start_sweep(tmp_path, cache, *sweep)
    folder = tmp_path / "results" / "digits" / "seeds"
    wait_for_records(folder, 2, process)
    subprocess.run(["scancel", "--user=root"], check=True)
    wait_for_end(folder, process)
    seen = {path: path.stat().st_mtime_ns for path in folder.glob("0*.json")}
    again = start_sweep(tmp_path, cache, *sweep)
    out, err = wait_for_end(folder, again)
    assert again.returncode == 0, out + err
    assert all(path.stat().st_mtime_ns == mtime for path, mtime in seen.items())
    on_slurm = {s: r.weights_sha256 for s, r in Study.load(folder.parent).scan().records.items()}
    assert list(on_slurm) == list(range(12))
    command("-m", "seed=range(0,12)", "jobs=1", "study=here", "experiment=digits", "trainer.max_epochs=2")
    here = {s: r.weights_sha256 for s, r in Study.load(tmp_path / "results" / "here").scan().records.items()}
    assert here == on_slurm
