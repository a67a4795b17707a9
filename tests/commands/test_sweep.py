"""Sweeps: resuming, failures, kills; through the real sweeper and real workers."""

import os
import random
import re
import runpy
import shlex
import signal
import subprocess
import sys
import time
from importlib.util import find_spec
from pathlib import Path

import pytest
from hydra.core.config_store import ConfigStore

from seedspread.commands.reproduce import main as reproduce_main
from seedspread.records.progress import Progress
from seedspread.records.record import Record
from seedspread.records.study import Study
from tests.conftest import ROOT

QUICK = ("experiment=digits", "trainer.max_epochs=1")


def seeds_of(tmp_path, study="digits"):
    return {s: r.weights_sha256 for s, r in Study.load(tmp_path / "results" / study).scan().records.items()}


def test_one_worker_two_and_none_give_the_same_networks(command, tmp_path):
    for study, jobs in (("one", 1), ("two", 2)):
        assert command("-m", "seed=range(0,6)", f"jobs={jobs}", f"study={study}", *QUICK)[0] == 0
    assert command("seed=4", "study=alone", *QUICK)[0] == 0
    one, two = seeds_of(tmp_path, "one"), seeds_of(tmp_path, "two")
    assert one == two and len(set(one.values())) == 6
    assert seeds_of(tmp_path, "alone")[4] == one[4]
    assert not list((tmp_path / "results" / "two" / "running").iterdir())


def test_finished_seeds_are_skipped_and_a_wider_range_goes_on(command, tmp_path):
    assert command("-m", "seed=range(0,3)", "jobs=1", *QUICK)[0] == 0
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "results/digits/seeds").iterdir()}
    code, out, _ = command("-m", "seed=range(0,5)", "jobs=1", *QUICK)
    assert code == 0 and "3 of 5 seeds have their records, 2 to train" in out and "digits, 5 seeds" in out
    assert {path: path.stat().st_mtime_ns for path in before} == before
    code, out, _ = command("-m", "seed=range(0,5)", "jobs=1", *QUICK)
    assert code == 0 and "5 of 5 seeds have their records, 0 to train" in out


def test_folders_filled_on_two_machines_are_copied_together(command, tmp_path):
    for place, seeds in (("a", "range(0,2)"), ("b", "range(2,4)")):
        assert command("-m", f"seed={seeds}", "jobs=1", f"results={tmp_path}/{place}", *QUICK)[0] == 0
    subprocess.run(["cp", "-r", f"{tmp_path}/b/digits", f"{tmp_path}/a"], check=True)
    code, out, _ = command("-m", "seed=range(0,4)", "jobs=1", f"results={tmp_path}/a", *QUICK)
    assert code == 0 and "4 of 4 seeds have their records" in out and "digits, 4 seeds" in out


def test_a_large_sweep_has_one_line_now_and_then(command, monkeypatch):
    monkeypatch.setattr("seedspread.execution.monitor.LINES_UP_TO", 2)
    monkeypatch.setattr("seedspread.execution.monitor.SECONDS_BETWEEN_LINES", 0.0)
    code, out, _ = command("-m", "seed=range(0,4)", "jobs=1", *QUICK)
    lines = [line for line in out.splitlines() if line.startswith("digits  ")]
    assert code == 0 and "seed    0" not in out
    assert re.match(r"digits  4/4  \d+\.\d\d ± .* min .* \(seed \d\) +max .* seeds/h  0 s left", lines[-1])


@pytest.mark.parametrize("seeds, expected", [("range(0,6,3)", [0, 3]), ("5,0,5", [0, 5]), ("7", [7])])
def test_hydras_ways_to_name_seeds(command, tmp_path, seeds, expected):
    assert command("-m", f"seed={seeds}", "jobs=1", *QUICK)[0] == 0
    assert list(seeds_of(tmp_path)) == expected


def test_another_config_is_refused_even_where_nothing_is_left_to_train(command, tmp_path):
    assert command("-m", "seed=0,1", "jobs=1", *QUICK)[0] == 0
    before = seeds_of(tmp_path)
    for seeds in ("seed=0,1", "seed=0,2"):
        code, _, err = command("-m", seeds, "jobs=1", "optimizer.lr=0.1", *QUICK)
        assert code == 1 and "optimizer.lr: 0.2 there, 0.1 now" in err
    assert seeds_of(tmp_path) == before


def test_several_swept_keys_make_a_study_each(command, tmp_path):
    code, out, _ = command("-m", "seed=range(0,2)", "model.width=2,4", "jobs=1", *QUICK)
    assert code == 0
    for width in (2, 4):
        study = Study.load(tmp_path / "results" / f"digits-width{width}")
        assert study.config["model"]["width"] == width and list(study.scan().records) == [0, 1]
        record = study.record(0)
        assert f"model.width={width}" in record.command and f"study=digits-width{width}" in record.command
    assert "digits-width2, 2 seeds" in out and "digits-width4, 2 seeds" in out
    assert {path.name for path in (tmp_path / "results").iterdir()} == {"digits-width2", "digits-width4"}


def test_hydras_own_sweeper_still_works(command, tmp_path):
    code, _, _ = command("-m", "hydra/sweeper=basic", "hydra/launcher=basic", "seed=0,1", *QUICK)
    assert code == 0 and list(seeds_of(tmp_path)) == [0, 1]


@pytest.mark.slow
@pytest.mark.skipif(find_spec("hydra_plugins.hydra_joblib_launcher") is None, reason="no launcher is installed")
def test_hydras_own_sweeper_trains_the_same_networks_through_a_launcher(command, tmp_path):
    assert command("-m", "hydra/sweeper=basic", "hydra/launcher=joblib", "seed=0,1", "study=there", *QUICK)[0] == 0
    assert command("-m", "seed=0,1", "study=here", *QUICK)[0] == 0
    assert seeds_of(tmp_path, "there") == seeds_of(tmp_path, "here") and len(seeds_of(tmp_path, "here")) == 2


def test_cfg_job_prints_and_trains_nothing(command, tmp_path):
    code, out, _ = command("--cfg", "job", "seed=3", *QUICK)
    assert code == 0 and "seed: 3" in out and not (tmp_path / "results").exists()


def raising(tmp_path, *seeds):
    fault = "callbacks.fault"
    return (
        f"+{fault}._target_=tests.faults.Raise", f"+{fault}.seeds={list(seeds)}".replace(" ", ""),
        f"+{fault}.unless={tmp_path}/mended",
    )  # fmt: skip


def test_a_failed_seed_is_recorded_the_sweep_goes_on_and_the_same_command_tries_it_again(command, tmp_path):
    sweep = ("-m", "seed=range(0,4)", "jobs=1", *raising(tmp_path, 1, 2), *QUICK)
    code, out, err = command(*sweep)
    study = Study.load(tmp_path / "results" / "digits")
    assert code == 1 and err.startswith("error: digits: 2 of 4 seeds failed")
    assert "failed: seed 1: RuntimeError: out of luck" in out and "digits, 2 seeds" in out
    assert {s: r.status for s, r in study.scan().records.items()} == {
        0: "finished", 1: "failed", 2: "failed", 3: "finished",
    }  # fmt: skip
    assert "Traceback" in (study.folder / "failed" / "000001.txt").read_text()
    (tmp_path / "mended").write_text("")
    code, out, _ = command(*sweep)
    assert code == 0 and "2 of 4 seeds have their records, 2 to train" in out
    assert Progress.of(study.scan().records.values()).failed == {}


def test_five_failures_in_a_row_with_one_reason_stop_the_sweep(command, tmp_path):
    sweep = ("-m", "seed=range(0,9)", "jobs=1", *raising(tmp_path, *range(1, 9)), *QUICK)
    code, _, err = command(*sweep)
    assert code == 1 and "digits stopped: 5 seeds in a row failed: RuntimeError: out of luck" in err
    assert len(seeds_of_status(tmp_path, "failed")) == 5 and len(seeds_of_status(tmp_path, "finished")) == 1
    (tmp_path / "mended").write_text("")
    assert command(*sweep)[0] == 0
    assert len(seeds_of_status(tmp_path, "finished")) == 9


def seeds_of_status(tmp_path, status):
    records = Study.load(tmp_path / "results" / "digits").scan().records
    return [seed for seed, record in records.items() if record.status == status]


def test_diverged_seeds_are_results_and_not_tried_again(command, tmp_path):
    sweep = ("-m", "seed=range(0,2)", "jobs=1", "optimizer.lr=1e12", *QUICK)
    code, out, _ = command(*sweep)
    assert code == 0 and "diverged: seed 0" in out and "next:" not in out
    assert "2 of 2 seeds have their records" in command(*sweep)[1]


def dying(tmp_path, seed, times):
    fault = f"callbacks.fault{seed}"
    return (
        f"+{fault}._target_=tests.faults.Die", f"+{fault}.seeds=[{seed}]",
        f"+{fault}.times={times}", f"+{fault}.count={tmp_path}/{seed}",
    )  # fmt: skip


def test_a_worker_that_dies_loses_the_seed_it_was_on_and_the_sweep_goes_on(command, tmp_path):
    code, _, _ = command("-m", "seed=range(0,6)", "jobs=2", *dying(tmp_path, 3, times=2), *QUICK)
    assert code == 0 and len(seeds_of_status(tmp_path, "finished")) == 6
    assert (tmp_path / "3").read_text() == "xx"


def test_a_seed_that_kills_its_worker_every_time_is_recorded_as_failed(command, tmp_path):
    code, out, err = command("-m", "seed=range(0,3)", "jobs=2", *dying(tmp_path, 2, times=99), *QUICK)
    assert code == 1 and "1 of 3 seeds failed" in err
    assert "failed: seed 2: its worker died 3 times" in out
    assert seeds_of_status(tmp_path, "finished") == [0, 1]


@pytest.mark.parametrize(
    "arguments, says",
    [
        (["seed=range(5,0)"], "seed=range(5,0): no seeds"),
        (["seed=range(0,2,0.5)"], "seed=0.0: a seed is a whole number"),
        (["seed=0,1.5"], "seed=1.5: a seed is a whole number"),
        (["seed=0,1", "seeds_per_job=50"], "seeds_per_job: say executor=slurm executor.seeds_per_job="),
        (["seed=0,1", "executor.seeds_per_job=50"], "executor.seeds_per_job: a setting of executor=slurm"),
        (["seed=0,1", "executor=slurm", "executor.seeds_per_job=0"], "executor.seeds_per_job=0: a whole number of at"),
        (["seed=0,1", "fail_fast=0"], "fail_fast=0: a whole number of at least 1"),
        (["seed=0,1", "jobs=0"], "jobs=0: a whole number of at least 1"),
        (["seeds=5,6"], "seeds: name seeds with seed=; several are 'seed=range(0,20)', to train with -m"),
        (["+seeds=[5,6]"], "seeds=[5, 6]: name seeds with seed="),
        (["seed=0,1", "hydra/launcher=joblib"], "hydra/launcher=joblib: seedspread has executors of its own; type for"),
        (["seed=0,1", "hydra/launcher=ray"], "type for example executor=ray executor.address=auto executor.gpus=1"),
        (["seed=0,1", "hydra/launcher=submitit_slurm"], "type for example executor=slurm executor.partition=gpu"),
        (["seed=0,1", "hydra.launcher.ray.init.address=host:6379"], "type for example executor=ray executor.address="),
        (["seed=0,1", "model.pooling=sum", "jobs=1"], "model.pooling=sum: choose one of max, avg"),
        (["seed=0,1", "jobs=two"], "jobs=two: a whole number of at least 1"),
        (["seed=0,1", "results=/proc/nowhere"], "cannot write to /proc/nowhere/digits"),
        (["seed=0,1", "model.width=range(3,1)"], "model.width=range(3,1): no values"),
        (["seed=0,1", "modle.width=3"], "Could not override 'modle.width'"),
        (["seed=0,1", "data.batch_size=5000", "jobs=2"], "data.batch_size=5000: digits has 1297 pictures"),
    ],
)
def test_bad_input_is_told_before_any_training(command, tmp_path, arguments, says):
    code, _, err = command("-m", *arguments, *QUICK)
    assert code == 1 and says in err and len(err.strip().splitlines()) <= 2
    assert not list(tmp_path.glob("results/*")), "a study that never began leaves no folder"


def test_a_launcher_that_is_not_installed_is_answered_with_what_installs_it(command, tmp_path):
    missing = {"_target_": "hydra_plugins.seed_sweeper.MissingLauncher", "name": "absent", "package": "ray"}
    ConfigStore.instance().store(group="hydra/launcher", name="absent", node=missing, provider="a test")
    code, _, err = command("-m", "hydra/sweeper=basic", "hydra/launcher=absent", "seed=0,1", *QUICK)
    assert code == 1 and err.startswith("error: hydra/launcher=absent is not installed: pip install hydra-ray-launcher")
    assert "type executor=local, ray or slurm" in err and len(err.strip().splitlines()) == 2
    assert not list(tmp_path.glob("results/*"))


@pytest.mark.parametrize("installed", [True, False])
def test_launchers_are_registered_where_their_plugins_are_missing(installed, monkeypatch):
    registered = []
    monkeypatch.setattr(ConfigStore, "store", lambda self, **node: registered.append(f"{node['group']}={node['name']}"))
    monkeypatch.setattr("importlib.util.find_spec", lambda name: object() if installed else None)
    runpy.run_path(str(ROOT / "src" / "hydra_plugins" / "seed_sweeper.py"))
    missing = [f"hydra/launcher={name}" for name in ("joblib", "ray", "submitit_slurm", "submitit_local")]
    assert registered == ["hydra/sweeper=seeds", *([] if installed else missing)]


def start_sweep(tmp_path, cache, *arguments):
    fixed = [f"results={tmp_path}/results", f"data.cache={cache}", "trainer=cpu", "trainer.max_epochs=2"]
    return subprocess.Popen(
        [sys.executable, "-m", "src.train", "-m", *arguments, "experiment=digits", "report=false", *fixed],
        cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True,
    )  # fmt: skip


STUCK = 600  # seconds without a new record after which a sweep is stuck, however slow the machine


def wait_for_records(folder: Path, n: int, process: subprocess.Popen) -> None:
    """Until `folder` has n records or the sweep has ended."""
    deadline = time.monotonic() + STUCK
    while len(list(folder.glob("0*.json"))) < n and process.poll() is None:
        assert time.monotonic() < deadline, f"fewer than {n} records after {STUCK} s"
        time.sleep(0.02)


def wait_for_end(folder: Path, process: subprocess.Popen) -> tuple[str, str]:
    """Standard output and error of a sweep once it has ended; as long as records come, it may take any time."""
    records = -1
    while True:
        try:
            return process.communicate(timeout=STUCK)
        except subprocess.TimeoutExpired:
            assert records < (records := len(list(folder.glob("0*.json")))), f"no new record in {STUCK} s"


@pytest.mark.parametrize("sign", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("jobs", [1, pytest.param(2, marks=pytest.mark.slow)])
def test_ctrl_c_and_sigterm_end_a_sweep_and_say_how_to_resume(tmp_path, cache, start, sign, jobs):
    fixed = [f"results={tmp_path}/results", f"data.cache={cache}", "trainer=cpu", "report=false"]
    process = start("src.train", "-m", "seed=range(0,500)", f"jobs={jobs}", *fixed, *QUICK)
    folder = tmp_path / "results" / "digits" / "seeds"
    wait_for_records(folder, 3, process)
    process.send_signal(sign)
    recorded = len(list(folder.glob("0*.json")))
    _, err = process.communicate()
    assert len(list(folder.glob("0*.json"))) <= recorded + 2 * jobs, "a seed that ends just now, and no more"
    assert process.returncode == 130 and "the same command resumes" in err and "Traceback" not in err
    scan = Study.load(folder.parent).scan()
    assert len(scan.records) >= 3 and not scan.problems


@pytest.mark.slow
def test_a_sweep_whose_shell_ends_trains_every_seed(tmp_path, cache):
    command = [sys.executable, "-m", "src.train", "-m", "seed=range(0,8)", "jobs=1", "report=false", *QUICK]
    command += [f"results={tmp_path}/results", f"data.cache={cache}", "trainer=cpu"]
    shell = subprocess.Popen(["sh", "-c", f"nohup {shlex.join(command)} > {tmp_path}/out 2>&1 & read line"],
                             cwd=ROOT, stdin=subprocess.PIPE)  # fmt: skip
    folder = tmp_path / "results" / "digits" / "seeds"
    wait_for_records(folder, 1, shell)
    shell.communicate(b"\n")
    deadline = time.monotonic() + 120
    while "records in" not in (told := (tmp_path / "out").read_text()) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert "digits, 8 seeds" in told and list(seeds_of(tmp_path)) == list(range(8))


def removing(tmp_path, seed, victim):
    fault = "callbacks.fault"
    return (
        f"+{fault}._target_=tests.faults.Remove", f"+{fault}.seeds=[{seed}]",
        f"+{fault}.victim={victim}", f"+{fault}.done={tmp_path}/removed",
    )  # fmt: skip


def test_a_sweep_at_whose_end_records_are_missing_is_no_success(command, tmp_path):
    sweep = ("-m", "seed=range(0,4)", "jobs=1", *removing(tmp_path, 3, victim=1), *QUICK)
    code, _, err = command(*sweep)
    assert code == 1 and "digits: 1 of 4 seeds have no record (seed 1); the same command trains them" in err
    assert command(*sweep)[0] == 0 and list(seeds_of(tmp_path)) == [0, 1, 2, 3]


def test_a_seed_whose_task_ended_without_its_record_is_handed_out_again(command, tmp_path):
    assert command("-m", "seed=range(0,3)", "jobs=1", *removing(tmp_path, 1, victim=1), *QUICK)[0] == 0
    assert list(seeds_of(tmp_path)) == [0, 1, 2] and (tmp_path / "removed").exists()


@pytest.mark.slow
def test_thirty_kills_lose_nothing_and_train_nothing_twice(tmp_path, cache, command):
    """SIGKILL to the whole sweep, workers and all, at random moments; resumed each time."""
    seeds = 40
    folder = tmp_path / "results" / "digits" / "seeds"
    seen: dict[str, int] = {}
    draw = random.Random(0)
    for _ in range(30):
        process = start_sweep(tmp_path, cache, f"seed=range(0,{seeds})", "jobs=2")
        wait_for_records(folder, min(seeds, len(seen) + draw.choice([0, 1, 1, 2, 3])), process)
        time.sleep(draw.random())
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
        for path in folder.glob("0*.json"):
            record = Record.parse(path.read_bytes())  # whole, whenever it was killed
            assert record.status == "finished"
            assert seen.setdefault(path.name, path.stat().st_mtime_ns) == path.stat().st_mtime_ns
    process = start_sweep(tmp_path, cache, f"seed=range(0,{seeds})", "jobs=2")
    wait_for_end(folder, process)
    assert process.returncode == 0
    for name, mtime in seen.items():
        assert (folder / name).stat().st_mtime_ns == mtime
    killed = seeds_of(tmp_path)
    assert list(killed) == list(range(seeds))
    command("-m", f"seed=range(0,{seeds})", "jobs=2", "study=whole", "experiment=digits", "trainer.max_epochs=2")
    assert seeds_of(tmp_path, "whole") == killed


def test_several_seeds_end_with_their_summary_and_what_to_type_next(command, invoked, tmp_path):
    code, out, err = command("-m", "seed=range(0,3)", "jobs=1", *QUICK)
    lines = out.splitlines()
    assert code == 0 and lines[0] == "digits: 3 seeds to train, 1 at once"
    assert [line[:9] for line in lines[1:4]] == [f"seed    {n}" for n in range(3)]
    assert "digits, 3 seeds: accuracy" in out and "±" in out and "min" in out and "max" in out
    assert f"records in {tmp_path}/results/digits/seeds" in out
    assert not err
    wider, again = lines[-2:]
    assert wider == "next: the same command with 'seed=range(0,30)' adds seeds"
    typed, reproduce, *arguments = shlex.split(again, comments=True)
    assert (typed, reproduce) == ("seedspread", "reproduce") and f"results={tmp_path}/results" in arguments
    code, out, err = invoked(reproduce_main, *arguments)
    assert code == 0 and "identical: weights, predictions" in out, err


def test_a_stream_is_swept_within_one_study(command, tmp_path):
    code, out, _ = command("-m", "seed=0", "streams.order=range(0,3)", *QUICK)
    assert code == 0 and "with 'streams.order=range(0,30)' adds seeds" in out
    records = Study.load(tmp_path / "results" / "digits-order").scan().records
    assert [record.streams["order"] for record in records.values()] == [0, 1, 2]
    assert all(set(r.streams.values()) - {r.streams["order"]} <= {0} for r in records.values())
    assert len({record.weights_sha256 for record in records.values()}) == 3
    assert command("-m", "seed=0", *QUICK)[0] == 0
    whole = Study.load(tmp_path / "results" / "digits").record(0)
    assert whole.weights_sha256 == records[0].weights_sha256  # where all streams agree, so do the networks


def test_several_seeds_are_held_in_a_study_each(command, tmp_path):
    assert command("-m", "++seed=0,5", "++streams.init=7,8", *QUICK)[0] == 0
    held = Study.load(tmp_path / "results" / "digits-init-seed5").scan().records
    assert {seed: record.streams for seed, record in held.items()} == {
        seed: {"init": seed, "order": 5, "augment": 5, "other": 5, "split": 5} for seed in (7, 8)
    }
    assert (tmp_path / "results" / "digits-init").exists()


@pytest.mark.parametrize(
    "arguments, says",
    [
        (["streams.init=0,1", "streams.order=0,1"], "one stream at a time"),
        (["streams.order=-1,0"], "streams.order=-1: a seed is a whole number"),
        (["streams.order=range(3,3)"], "no seeds"),
    ],
)
def test_streams_that_cannot_be_swept_are_refused(command, tmp_path, arguments, says):
    code, _, err = command("-m", *arguments, *QUICK)
    assert code == 1 and says in err and not list(tmp_path.glob("results/*"))
