import json
import os
import platform
import subprocess
import sys
import time
from contextlib import closing

import pytest

from seedspread.commands.status import MOST_STUDIES, main
from seedspread.execution.leases import Worker, lease_path
from seedspread.records.requests import request_seeds, request_stop
from seedspread.records.study import Study
from seedspread.report.status import describe_status
from tests.synthetic import make_record


@pytest.fixture
def study(tmp_path):
    """Four seeds finished within the last minute, one failed, one diverged; ten were asked for."""
    study = Study.open(tmp_path / "results" / "digits", {"width": 8})
    request_seeds(study.folder, "0-9")
    for seed, status in enumerate(["finished"] * 4 + ["failed", "diverged"]):
        final = {**make_record(study, seed).final, "val/acc": 0.95 + seed / 100}
        study.write(make_record(study, seed, status=status, **({} if status == "failed" else {"final": final})))
    return study


def test_done_asked_scores_and_what_went_wrong(study):
    told = describe_status(study)
    assert told.splitlines()[0] == "digits: 5/10 done"
    assert "96.50 ± 1.29 %   min 95.00 (seed 0)   max 98.00 (seed 3)   1 diverged   1 failed" in told


@pytest.fixture
def worker(study):
    with closing(Worker(study.folder, beat=0.02)) as worker:
        yield worker


def test_running_seeds_with_their_epoch_loss_and_time_left(study, worker):
    worker.progress = lambda: {"done": 0.25, "epoch": 3, "epochs": 8, "loss": 0.4123, "seconds": 20.0}
    worker.acquire([6])
    first = describe_status(study).splitlines()[0]
    assert "1 running (seed 6), " in first and "seeds/h" in first and first.endswith(" left")
    deadline = time.monotonic() + 60
    while not list(study.folder.glob("running/*.heart")) and time.monotonic() < deadline:
        time.sleep(0.01)
    line = f"  seed 6 on {platform.node()}: epoch 3/8  loss 0.412  60 s left"
    assert line in describe_status(study).splitlines()


def test_a_seed_whose_worker_is_gone_is_interrupted(study, worker):
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    worker.acquire([7])
    lease = lease_path(study.folder, 7)
    assert json.loads(lease.read_text())["pid"] == os.getpid()
    lease.write_text(json.dumps({**json.loads(lease.read_text()), "pid": gone.pid}))
    assert "1 interrupted (seed 7)" in describe_status(study) and "running" not in describe_status(study)


def test_a_stop_and_damage_are_told(study):
    request_stop(study.folder, "5 seeds in a row failed: out of luck")
    study.record_path(9).write_text("")
    told = describe_status(study)
    assert "stopped: 5 seeds in a row failed" in told and "not counted: 000009.json: empty, torn" in told
    for seed in range(10, 40):
        study.record_path(seed).write_text("")
    told = describe_status(study)
    assert "not counted: 000018.json" in told and told.endswith("not counted: 21 more") and "000019" not in told


@pytest.fixture
def ask(invoked, tmp_path):
    """Run `seedspread status ARGUMENTS`."""
    return lambda *arguments: invoked(main, f"results={tmp_path}/results", *arguments)


def names(out):
    return [line.split(":")[0] for line in out.splitlines() if line[0] != " "]


def be_active(folder, day):
    """As if files last came or went in a study's folder on `day`."""
    for place in (folder, folder / "seeds", folder / "running"):
        if place.exists():
            os.utime(place, (86400 * day,) * 2)


def test_the_command_lists_all_studies_the_latest_first_or_those_named(study, ask, tmp_path):
    other = Study.open(tmp_path / "results" / "other", {"width": 9})
    for day, folder in enumerate((study.folder, other.folder)):
        be_active(folder, day)
    assert names(ask()[1]) == ["other", "digits"]
    be_active(study.folder, 3)
    assert names(ask()[1]) == ["digits", "other"]
    assert names(ask("study=other")[1]) == ["other"]
    assert names(ask("study=[other,digits]")[1]) == ["other", "digits"]
    search = tmp_path / "results" / "digits-search"
    (search / "trial-000").mkdir(parents=True)
    for name in ("search.yaml", "trial-000/trial.json"):
        (search / name).touch()
    assert f"digits-search: 1 trial, each a study: seedspread status results={search}" in ask()[1]
    code, _, err = ask("study=nowhere")
    assert code == 1 and "no study in" in err and "Traceback" not in err


def test_a_damaged_study_is_a_line_among_others_and_an_error_where_it_is_named(study, ask, tmp_path):
    Study.open(tmp_path / "results" / "other", {"width": 9})
    (study.folder / "study.yaml").write_text("[")
    code, out, err = ask()
    assert code == 0 and not err and sorted(names(out)) == ["digits", "other"] and "study.yaml is damaged" in out
    code, out, err = ask("study=[digits,other]")
    assert code == 1 and names(out) == ["other"] and "study.yaml is damaged" in err


def test_of_many_studies_the_latest_are_listed(ask, tmp_path):
    for day in range(MOST_STUDIES + 3):
        be_active(Study.open(tmp_path / "results" / f"study-{day}", {"width": day}).folder, day)
    lines = ask()[1].splitlines()
    assert names("\n".join(lines[:-1])) == [f"study-{day}" for day in reversed(range(3, MOST_STUDIES + 3))]
    assert lines[-1] == "3 more: seedspread status study=NAME"


def test_a_folder_of_no_study_is_an_error(ask):
    code, _, err = ask()
    assert code == 1 and "no study in" in err and "train one" in err
