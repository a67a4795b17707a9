"""Programs as scripts: exit codes, signals, time limits, output; and nothing of them is left behind."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from seedspread.config.errors import InputError
from seedspread.records.metric import Metric
from seedspread.scripts.output import Places
from seedspread.scripts.program import Program, find_files
from seedspread.scripts.recorder import Recorder
from seedspread.scripts.script import FailedError
from tests.conftest import ROOT
from tests.scripts.descendants import find_left, wait_until

NOWHERE = Places()
SAY = """echo '{"acc": 0.5}'"""


@pytest.fixture
def run(tmp_path):
    """Run a command line for seed 3: the fields of its record."""

    def ran(*arguments, places=NOWHERE, timeout=None, seed=3):
        recorder = Recorder()
        Program.of(arguments, [], None, 1, places, timeout).run(seed, recorder, tmp_path / "output" / f"{seed:06d}")
        return recorder.fields()

    return ran


def test_seed_and_folder_reach_it_as_arguments_and_in_its_environment(run, tmp_path):
    script = 'echo "$@ $SEEDSPREAD_SEED $SEEDSPREAD_FOLDER"; pwd; echo "$OMP_NUM_THREADS $PYTHONHASHSEED" >&2'
    run("bash", "-c", f"{script}; {SAY}", "-", "--seed={seed}", "{folder}/model.pt")
    folder = tmp_path / "output" / "000003"
    said = (folder / "stdout.txt").read_text().splitlines()
    assert said[0] == f"--seed=3 {folder}/model.pt 3 {folder}" and said[1] == str(Path.cwd())
    assert (folder / "stderr.txt").read_text() == "1 0\n"
    assert sorted(path.name for path in folder.iterdir()) == ["stderr.txt", "stdout.txt"]


def test_threads_and_a_users_own_hash_seed(tmp_path, monkeypatch):
    monkeypatch.setenv("PYTHONHASHSEED", "7")
    program = Program.of(["bash", "-c", f'{SAY}; echo "$OMP_NUM_THREADS $PYTHONHASHSEED"'], [], None, 4, NOWHERE)
    program.run(0, Recorder(), tmp_path)
    assert (tmp_path / "stdout.txt").read_text().splitlines()[1] == "4 7"


@pytest.mark.parametrize(
    "script, reason",
    [
        ("exit 3", "exit code 3"),
        ("echo first >&2; echo 'the  last' >&2; echo >&2; exit 1", "exit code 1: the  last"),
        ("kill -KILL $$", "signal SIGKILL"),
        ("kill -TERM $$", "signal SIGTERM"),
        ("kill -SEGV $$", "signal SIGSEGV"),
        (f"{SAY}; exit 2", "exit code 2"),
    ],
)
def test_exit_codes_and_signals_are_failures(run, script, reason):
    with pytest.raises(FailedError) as failed:
        run("bash", "-c", script)
    assert failed.value.reason == reason and failed.value.trace.rstrip().endswith(reason)
    assert "bash -c" in failed.value.trace and ("first" in failed.value.trace) == ("first" in script)


def test_stderr_is_kept_and_its_end_is_in_the_traceback(run, tmp_path):
    with pytest.raises(FailedError) as failed:
        run("bash", "-c", "for i in $(seq 300); do echo line $i >&2; done; exit 1")
    assert "line 300" in failed.value.trace and "line 150\n" not in failed.value.trace
    assert (tmp_path / "output/000003/stderr.txt").read_text().splitlines()[0] == "line 1"


def test_a_program_that_does_not_end_is_ended(run, tmp_path):
    began = time.monotonic()
    with pytest.raises(FailedError, match=r"timeout: it ran longer than 0.5 s"):
        run("bash", "-c", f"{SAY}; sleep 600 & sleep 600", timeout=0.5)
    assert time.monotonic() - began < 60 and not find_left(tmp_path)
    assert "acc" in (tmp_path / "output/000003/stdout.txt").read_text()


DAEMONS = {
    "deaf": "trap '' TERM; while true; do sleep 0.1; done",
    "session": "setsid sleep 600",
    "twice": "(setsid bash -c 'setsid sleep 600 & sleep 600' &) & sleep 600",
    "nohup": "nohup sleep 600",
    "deaf daemon": "setsid bash -c \"trap '' TERM HUP; while true; do sleep 0.1; done\"",
}


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere the program's group is ended, and no more")
@pytest.mark.parametrize("daemon", DAEMONS)
@pytest.mark.parametrize("end", [f"{SAY}; exit 0", "exit 3", "sleep 600"])
def test_nothing_of_it_is_left(run, tmp_path, monkeypatch, daemon, end):
    """After success, failure and timeout: children that are deaf to SIGTERM, in sessions of their own, orphans."""
    monkeypatch.setattr("seedspread.scripts.kept.KEEPER", hasty_keeper(tmp_path))
    script = f"({DAEMONS[daemon]}) > /dev/null 2>&1 & sleep 0.3; {end}"
    if "exit 0" in end:
        assert run("bash", "-c", script)["final"] == {"acc": 0.5}
    else:
        with pytest.raises(FailedError, match="exit code 3|timeout"):
            run("bash", "-c", script, timeout=1.5)
    assert not find_left(tmp_path)


def hasty_keeper(folder):
    """The keeper, with half a second between SIGTERM and SIGKILL."""
    text = (ROOT / "src/seedspread/scripts/keeper.py").read_text()
    assert "SECONDS_TO_END = 5.0" in text
    (folder / "keeper.py").write_text(text.replace("SECONDS_TO_END = 5.0", "SECONDS_TO_END = 0.5"))
    return folder / "keeper.py"


WORKER = """
import signal
import sys
from pathlib import Path
from seedspread.scripts.output import Places
from seedspread.scripts.program import Program
from seedspread.scripts.recorder import Recorder
signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell ignores it in what it starts with &
script = "(setsid sleep 600 &) & (trap '' TERM; while true; do sleep 0.1; done) & "
script += "touch $SEEDSPREAD_FOLDER/began; sleep 600"
Program.of(["bash", "-c", script], [], None, 1, Places()).run(3, Recorder(), Path(sys.argv[1], "output", "000003"))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere the program's group is ended, and no more")
@pytest.mark.parametrize("sign, group", [("KILL", False), ("KILL", True), ("INT", False), ("TERM", True)])
def test_nothing_of_it_is_left_where_its_worker_is_killed(tmp_path, sign, group):
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "src")}
    worker = subprocess.Popen([sys.executable, "-c", WORKER, tmp_path], env=environment, start_new_session=True)
    wait_until(lambda: (tmp_path / "output/000003/began").exists() or worker.poll() is not None)
    assert len(find_left(tmp_path)) >= 4
    (os.killpg if group else os.kill)(worker.pid, getattr(signal, f"SIG{sign}"))
    worker.wait()
    wait_until(lambda: not find_left(tmp_path))


def test_a_keeper_whose_parent_died_before_it_began_runs_nothing(tmp_path):
    keeper = ROOT / "src/seedspread/scripts/keeper.py"
    done = subprocess.run([sys.executable, keeper, "1", "touch", tmp_path / "ran"], capture_output=True, text=True)
    assert not (tmp_path / "ran").exists() and not done.stderr


RECORDS = """
import sys, numpy as np, seedspread as ss
assert ss.streams().init.seed == 3
ss.record(epoch=0, loss=1.0)
ss.record(epoch=1, loss=0.5, labels=[0, 1], predictions=np.array([1, 1]))
print('{"loss": 9}')
"""


def test_what_it_records_stands_above_what_it_prints(tmp_path):
    recorder = Recorder()
    with_path = {"PYTHONPATH": str(ROOT / "src")}
    program = Program.of(
        ["env", *(f"{k}={v}" for k, v in with_path.items()), sys.executable, "-c", RECORDS], [], None, 1, NOWHERE
    )
    program.run(3, recorder, tmp_path / "000003")
    assert recorder.fields()["curves"] == {"loss": [1.0, 0.5]} and set(recorder.examples) == {"labels", "predictions"}
    assert not list((tmp_path / "000003").glob("record*"))


def test_what_an_earlier_run_of_the_seed_left_does_not_count(run, tmp_path):
    """Its worker was killed: what it recorded is still there, and it may even still write."""
    folder = tmp_path / "output" / "000003"
    (folder / "record-old").mkdir(parents=True)
    (folder / "record-old" / "calls.jsonl").write_text(
        '{"step": null, "epoch": null, "arrays": "", "metrics": {"old": 1}}\n'
    )
    with (folder / "stdout.txt").open("w") as late:
        late.write('{"old": 1}\n')
        late.flush()
        assert run("bash", "-c", f"{SAY}; sleep 0.2")["final"] == {"acc": 0.5}
        late.write('{"old": 2}\n')
    assert (folder / "stdout.txt").read_text() == '{"acc": 0.5}\n' and not (folder / "record-old").exists()


def test_a_program_that_is_not_there_is_named():
    with pytest.raises(InputError, match="-- nowhere: no such program"):
        Program.of(["nowhere", "--seed", "{seed}"], [], None, 1, NOWHERE)


@pytest.fixture
def files(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("train.py", "config.yaml", "run.sh"):
        Path(name).write_text(name)
    Path("folder").mkdir()


def identify(*arguments, places=NOWHERE, threads=1):
    return Program.of(arguments, [], None, threads, places).identity


def test_the_files_that_it_names_are_its_identity(files):
    line = ["python", "train.py", "--config=config.yaml", "--seed", "{seed}", "folder", "x" * 5000]
    assert [str(path) for path in find_files(line)] == ["train.py", "config.yaml"]
    before = identify(*line)
    assert before == identify(*line) and list(before["files"]) == ["train.py", "config.yaml"]
    assert before != identify(*line[:-1]) and before != identify(*line, threads=2)
    assert before != identify(*line, places=Places(regex="(.)"))
    Path("config.yaml").write_text("other")
    assert before["files"]["train.py"] == identify(*line)["files"]["train.py"]
    assert before["files"]["config.yaml"] != identify(*line)["files"]["config.yaml"]


def test_a_script_in_the_working_folder_counts_and_an_interpreter_elsewhere_does_not(files):
    Path("run.sh").chmod(0o755)
    assert [str(path) for path in find_files(["./run.sh"])] == ["run.sh"]
    assert find_files([sys.executable, "-m", "train"]) == []


def test_what_a_program_writes_does_not_change_its_identity(files):
    """Files that it names and that are not there before its first seed are its output."""
    line = ["python", "train.py", "--out", "model.pt", "--metrics", "metrics.json"]
    before = identify(*line, places=Places(file="metrics.json"))
    Path("model.pt").write_text("weights")
    Path("metrics.json").write_text("{}")
    now = Program.of(line, [], None, 1, Places(file="metrics.json"))
    assert now.identity != before == now.joining(before).identity
    assert "metrics.json" not in identify(*line, places=Places(file="metrics.json"))["files"]
    again = Program.recorded({**before}, Metric.of("acc"))
    assert again.identity == before


def test_the_command_of_a_seed_can_be_typed(files):
    program = Program.of(["python", "train.py", "{seed}", "a b"], ["study=mine", "regex='x (.)'"], None, 1, NOWHERE)
    assert (
        program.command(3)
        == """seedspread run seed=3 study=mine 'regex='"'"'x (.)'"'"'' -- python train.py '{seed}' 'a b'"""
    )
