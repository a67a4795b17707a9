"""`seedspread run` as a stranger uses it: programs that print, write and fail."""

import sys

import psutil
import pytest

from seedspread.commands.cli import main
from seedspread.records.study import Study

PRINTS = """
import json, random, sys
random.seed(int(sys.argv[1]))
for epoch in range(3):
    print(json.dumps({"epoch": epoch, "val/acc": random.random(), "name": "x"}))
print("done")
"""
WRITES = """
import csv, sys
seed, path = int(sys.argv[1]), sys.argv[2]
with open(path, "w") as file:
    rows = csv.writer(file)
    rows.writerow(["epoch", "loss"])
    rows.writerows([epoch, 1 / (1 + epoch + seed)] for epoch in range(3))
"""
BASH = """
echo "accuracy: 0.9$SEEDSPREAD_SEED"
echo "{\\"accuracy\\": 0.9$SEEDSPREAD_SEED, \\"seconds\\": 1}"
"""
FAILS = """
import os, subprocess, sys, time
seed = int(os.environ["SEEDSPREAD_SEED"])
if seed == 1:
    raise ValueError("boom")
if seed == 2:
    sys.exit(4)
if seed == 3:
    os.kill(os.getpid(), 9)
if seed == 4:
    open("child", "w").write(str(subprocess.Popen(["sleep", "1000"]).pid))
    time.sleep(1000)
if seed != 5:
    print('{"loss": %d}' % seed)
"""


@pytest.fixture(autouse=True)
def _own_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name, text in (("prints.py", PRINTS), ("writes.py", WRITES), ("go.sh", BASH), ("fails.py", FAILS)):
        (tmp_path / name).write_text(text)


@pytest.fixture
def run(invoked):
    """Run `seedspread run report=false ARGUMENTS`, in this process up to the keeper of each program."""
    return lambda *arguments: invoked(main, "run", "report=false", *arguments)


def scores_of(study, metric):
    return {seed: record.final.get(metric) for seed, record in Study.load(f"results/{study}").scan().records.items()}


def test_a_program_that_prints_json_lines(run):
    code, out, _ = run("seed=range(0,3)", "--", sys.executable, "prints.py", "{seed}")
    assert code == 0 and "prints, 3 seeds: accuracy" in out and "'seed=range(0,30)' adds seeds" in out
    study = Study.load("results/prints")
    curves = [record.curves["val/acc"] for record in study.scan().records.values()]
    assert [len(curve) for curve in curves] == [3, 3, 3] and len({tuple(curve) for curve in curves}) == 3
    assert study.record(1).command == f"seedspread run seed=1 report=false -- {sys.executable} prints.py '{{seed}}'"
    code, out, _ = run("-m", "seed=range(0,4)", "--", sys.executable, "prints.py", "{seed}")
    assert code == 0 and "3 of 4 seeds have their records, 1 to run" in out


@pytest.mark.parametrize(
    "where, name",
    [
        ([], "accuracy"),
        (["regex=accuracy: (?P<acc>[0-9.]+)"], "acc"),
        (["regex=accuracy: ([0-9.]+)", "metric.name=acc"], "acc"),
        (["regex=accuracy: ([0-9.]+)"], "value"),
    ],
)
def test_a_bash_script_gets_the_seed_in_its_environment(run, where, name):
    assert run("seed=[1,3]", *where, "--", "bash", "go.sh")[0] == 0
    assert scores_of("go", name) == {1: 0.91, 3: 0.93}


@pytest.mark.parametrize("path", ["out-{seed}.csv", "{folder}/log.csv"])
def test_a_program_that_writes_csv(run, path):
    code, *_ = run("seed=range(0,2)", f"file={path}", "--", sys.executable, "writes.py", "{seed}", path)
    assert code == 0 and scores_of("writes", "loss") == {0: 1 / 3, 1: 1 / 4}


def test_one_file_for_all_seeds_is_refused_where_they_run_at_once(run):
    writes = ("file=out.csv", "seed=range(0,2)", "--", sys.executable, "writes.py", "{seed}", "out.csv")
    code, _, err = run("jobs=2", *writes)
    assert code == 1 and "put {seed} in it, or say jobs=1" in err
    assert run("jobs=1", *writes)[0] == 0


def test_failures_have_their_reasons_and_no_process_is_left(run, tmp_path):
    code, out, err = run("seed=range(0,7)", "timeout=5s", "--", sys.executable, "fails.py")
    assert code == 1 and "fails: 5 of 7 seeds failed" in err and "fails, 2 seeds: loss 3.0" in out
    reasons = {seed: record.reason for seed, record in Study.load("results/fails").scan().records.items()}
    assert reasons[1] == "exit code 1: ValueError: boom" and reasons[2] == "exit code 4"
    assert reasons[3] == "signal SIGKILL"  # as of a program that runs out of memory
    assert reasons[4] == "timeout: it ran longer than 5 s" and reasons[5].startswith("no metric was found")
    assert "ValueError: boom" in (tmp_path / "results/fails/failed/000001.txt").read_text()
    assert not psutil.pid_exists(child := int((tmp_path / "child").read_text())) or (
        psutil.Process(child).status() == psutil.STATUS_ZOMBIE  # ended; whoever inherited it has not asked yet
    )


def test_equal_scores_are_asked_about(run):
    code, out, _ = run("seed=range(0,2)", "--", sys.executable, "prints.py", "3")
    assert code == 0 and "all 2 seeds score exactly the same" in out and "{seed} stands in its arguments" in out


def test_another_command_for_the_same_study_is_refused_in_words(run):
    assert run("seed=0", "study=mine", "--", "bash", "go.sh")[0] == 0
    code, _, err = run("seed=0", "study=mine", "--", "bash", "go.sh", "--more")
    assert code == 1 and "holds results of another command (command: ['bash', 'go.sh'] there" in err


@pytest.mark.parametrize(
    "arguments, says",
    [
        (["seed=0"], "name a program after --"),
        (["seed=0", "--"], "name a program after --"),
        (["seed=0", "bash", "go.sh"], "bash: put -- before the program: seedspread run 'seed=range(0,20)' -- bash ..."),
        (["seed=0", "--", "bahs", "go.sh"], "-- bahs: no such program"),
        (["seed=0", "--", "bash", "g.sh"], "name the study, for example study=mine: the command names no file"),
        (["seed=range(0,3", "--", "bash", "go.sh"], "seed=range(0,3: for example seed=3"),
        (["seed=abc", "--", "bash", "go.sh"], "seed=abc: a seed is a whole number"),
        (["seeds=3", "--", "bash", "go.sh"], "seeds: name seeds with seed="),
        (["timeout=soon", "--", "bash", "go.sh"], "timeout=soon: a time above 0"),
        (["regex=acc(", "--", "bash", "go.sh"], "regex=acc(: missing )"),
        (["regex=acc", "--", "bash", "go.sh"], "regex=acc: put the number in brackets"),
        (["metric=acc", "--", "bash", "go.sh"], "metric=acc: has keys of its own: metric.direction="),
        (["metric.unit=percent", "--", "bash", "go.sh"], "metric.unit=percent: name the metric as well"),
        (["sede=0", "--", "bash", "go.sh"], "'sede': there is no such key; did you mean seed?"),
        (["metric.name=loss", "--", "bash", "go.sh"], "no loss was recorded; recorded are accuracy, seconds"),
    ],
)
def test_bad_input(run, tmp_path, arguments, says):
    code, _, err = run(*arguments)
    assert code == 1 and says in err and not list(tmp_path.rglob("*.json"))


def test_percent_are_named_so(run, tmp_path):
    (tmp_path / "percent.sh").write_text("echo '{\"acc\": 93.5}'")
    code, _, err = run("seed=0", "--", "bash", "percent.sh")
    assert code == 1 and "of percent type metric.name=acc metric.unit=percent" in err
    assert run("seed=0", "metric.name=acc", "metric.unit=percent", "--", "bash", "percent.sh")[0] == 0
