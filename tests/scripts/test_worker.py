"""What a worker does with the seeds of a user's own code: the metric, failures, records that count, leases."""

import json
import multiprocessing
import os
import subprocess
import sys
import threading
import time
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from seedspread.config.errors import InputError
from seedspread.execution.leases import Holder, Worker, lease_path
from seedspread.execution.plan import SeedJob
from seedspread.records.metric import Metric
from seedspread.records.scores import Scores
from seedspread.records.study import Study
from seedspread.scripts import worker
from seedspread.scripts.function import Function
from seedspread.scripts.output import Places
from seedspread.scripts.program import Program
from seedspread.scripts.script import FailedError
from seedspread.scripts.worker import Parcel, find_metric, run_job, run_job_again, run_seed
from tests.conftest import ROOT


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """The folder of a study, in which no record is looked for by the job before."""
    monkeypatch.setattr(worker, "_opened", None)
    return tmp_path / "results" / "mine"


def script(call, metric=None, **more):
    return Function.of(call, None if metric is None else Metric.of(metric, **more), 1)


def open_study(made, folder):
    return Study.open(folder, made.identity, metric=made.metric)


def test_the_first_metric_that_the_first_seed_records_is_that_of_the_study(folder):
    metric = find_metric(SeedJob(script(lambda seed: {"val_acc": 0.5, "loss": 2}), folder, {4: ""}, "sweep"))
    assert metric == Metric.of("val_acc") and Study.load(folder).metric == metric
    record = Study.load(folder).record(4)
    assert record.status == "finished" and record.final == {"val_acc": 0.5, "loss": 2}
    assert not list((folder / "running").iterdir())


APPEND = """
import json, os, sys
with open(sys.argv[1], "a") as log:
    log.write(os.environ["SEEDSPREAD_SEED"])
print(json.dumps({"loss": 1.5}))
"""


@pytest.fixture
def appending(tmp_path):
    """A program that names two files: itself, and one that it appends to."""
    (tmp_path / "train.py").write_text(APPEND)
    return Program.of([sys.executable, str(tmp_path / "train.py"), str(tmp_path / "log")], [], None, 1, Places())


def test_a_file_that_a_seed_wrote_before_this_process_looked_is_no_input(folder, tmp_path, appending):
    """Equal commands, started at once: one finds the file that the other's first seed has written already."""
    find_metric(SeedJob(appending, folder, {0: ""}, "sweep"))
    later = Program.of(appending.arguments, [], None, 1, Places())
    assert str(tmp_path / "log") in later.identity["files"]
    assert run_job(SeedJob(later, folder, {1: "", 2: ""}, "other")) is None
    assert list(Study.load(folder).scan().records) == [0, 1, 2]


def test_a_file_that_counts_may_not_change_while_a_seed_runs(folder, tmp_path, appending):
    (tmp_path / "log").write_text("of a run by hand")
    with pytest.raises(InputError, match=r"log changed while seed 3 ran.*\n.*\{folder\}/log.*study=mine_2"):
        find_metric(SeedJob(Program.of(appending.arguments, [], None, 1, Places()), folder, {3: ""}, "sweep"))
    assert not (folder / "study.yaml").exists()


def failing(seed):
    raise RuntimeError("out of luck")


def test_where_the_first_seed_fails_no_study_can_say_so(folder):
    with pytest.raises(InputError, match='(?s)seed 4 failed: RuntimeError: out of luck\nTraceback.*: metric="NAME"'):
        find_metric(SeedJob(script(failing), folder, {4: ""}, "sweep"))
    assert not (folder / "study.yaml").exists() and not list((folder / "running").iterdir())


def test_the_first_seed_of_a_worker_that_was_killed_is_run_again(folder):
    """Nobody else would remove its lease: there is no queue yet."""
    process = multiprocessing.get_context("spawn").Process(target=os.getpid)
    process.start()
    process.join()
    gone = Holder(pid=process.pid, started="1")
    (folder / "running").mkdir(parents=True)
    lease_path(folder, 4).write_text(json.dumps(vars(gone)))
    assert find_metric(SeedJob(script(lambda seed: {"loss": 2}), folder, {4: ""}, "sweep")).name == "loss"


def test_the_first_seed_that_another_process_runs_is_waited_for(folder, monkeypatch):
    monkeypatch.setattr(worker, "SECONDS_TO_LOOK", 0.01)
    other, ran = Worker(folder, "other"), []
    (folder / "running").mkdir(parents=True)
    assert other.acquire([4]) == [4]
    made = script(lambda seed: ran.append(seed) or {"loss": 2})

    def finish():
        time.sleep(0.3)
        open_study(script(made.call, "loss"), folder)
        other.release([4])

    thread = threading.Thread(target=finish)
    thread.start()
    assert find_metric(SeedJob(made, folder, {4: ""}, "sweep")).name == "loss" and not ran
    thread.join()


def test_a_metric_that_the_first_seed_does_not_record_is_an_error_and_of_a_later_one_a_failure(folder):
    made = script(lambda seed: {"acc": 0.5} if seed == 0 else {"loss": 2.0}, "acc")
    with pytest.raises(InputError, match="metric=acc: no acc was recorded; recorded are loss"):
        run_seed(made, folder, 1, "")
    run_seed(made, folder, 0, "")
    with pytest.raises(FailedError, match="no acc was recorded; recorded are loss"):
        run_seed(made, folder, 1, "")
    assert run_job(SeedJob(made, folder, {1: ""}, "sweep")) == "no acc was recorded; recorded are loss"
    scan = Study.load(folder).scan()
    assert {seed: record.status for seed, record in scan.records.items()} == {0: "finished", 1: "failed"}
    assert "recorded are loss" in (folder / "failed" / "000001.txt").read_text()


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_seed_whose_last_score_is_not_finite_diverged(folder, value):
    made = script(lambda seed: iter([{"loss": 1.0}, {"loss": value, "acc": float("nan")}]), "loss")
    record = run_seed(made, folder, 0, "")
    assert (record.status, record.reason) == ("diverged", "the last loss was not finite")
    assert record.final == {"loss": None, "acc": None} and record.curves["loss"] == [1.0, None]
    assert Study.load(folder).record(0).status == "diverged"


def test_another_metric_that_is_not_finite_does_not_fail_a_seed(folder):
    record = run_seed(script(lambda seed: {"acc": 0.5, "aux": float("nan")}, "acc"), folder, 0, "")
    assert record.status == "finished" and Study.load(folder).record(0).final == {"acc": 0.5, "aux": None}


@pytest.mark.parametrize("result", [{"acc": 93.0}, [{"acc": 1.5}, {"acc": 0.5}]])
def test_percent_where_a_fraction_is_meant_is_refused_with_what_to_say(folder, result):
    made = script(lambda seed: iter(result) if isinstance(result, list) else result)
    with pytest.raises(
        InputError, match='acc=(93|1.5): acc is not between 0 and 1; of percent type metric="acc", unit="percent"'
    ):
        run_seed(made, folder, 0, "")
    run_seed(script(made.call, "acc", unit="percent"), folder.with_name("percent"), 0, "")
    assert Study.load(folder.with_name("percent")).record(0).score(Metric.of("acc", unit="percent")) in (93.0, 0.5)


def test_what_is_wrong_for_all_seeds_ends_the_job_and_frees_its_lease(folder):
    made = script(lambda seed: {"loss": "low"}, "loss")
    open_study(made, folder)
    with pytest.raises(InputError, match="loss='low': a metric is a number"):
        run_job(SeedJob(made, folder, {0: ""}, "sweep"))
    assert not list((folder / "running").iterdir()) and not Study.load(folder).scan().records


def with_examples(labels, **more):
    def train(seed):
        return {"acc": 0.5, "labels": labels, **{name: np.asarray(array) for name, array in more.items()}}

    return train


def test_what_is_said_of_the_examples_is_kept(folder):
    probabilities = [[0.75, 0.25], [0.5, 0.5], [0, 1]]
    record = run_seed(script(with_examples([0, 1, 1], probabilities=probabilities)), folder, 0, "")
    study = Study.load(folder)
    assert study.predictions(0).tolist() == [0, 0, 1] and study.probabilities(0).tolist() == probabilities
    assert study.read_index().labels.tolist() == [0, 1, 1] and record.test_examples == 3
    assert np.unpackbits(study.correct(record), count=3).tolist() == [1, 0, 1]
    run_seed(script(with_examples([0, 1, 1], probabilities=probabilities)), folder, 1, "")
    assert study.record(1).predictions_sha256 == record.predictions_sha256


@pytest.mark.parametrize("more", [{"predictions": [0, 1]}, {"probabilities": [[0.5, 0.5]] * 2}, {"scores": [1.0] * 4}])
def test_arrays_of_unequal_length_are_refused(folder, more):
    with pytest.raises(InputError, match=r"arrays of different lengths \(labels: 3, "):
        run_seed(script(with_examples([0, 1, 1], **more)), folder, 0, "")


def test_test_examples_that_differ_between_seeds_are_refused(folder):
    def train(seed):
        return {"acc": 0.5, "labels": [seed, 1], "predictions": [1, 1]}

    run_seed(script(train), folder, 0, "")
    with pytest.raises(InputError, match="other test examples"):
        run_seed(script(train), folder, 1, "")


def test_records_count_and_say_what_they_depend_on(folder):
    def train(seed):
        for epoch in range(3):
            yield {"loss": 1 / (1 + epoch + seed), "acc": 0.25 * epoch}

    made = script(train, "loss")
    open_study(made, folder)
    for seed in range(3):
        assert run_job(SeedJob(made, folder, {seed: ""}, "sweep")) is None
    study = Study.load(folder)
    scan = study.scan()
    assert list(scan.records) == [0, 1, 2] and not scan.problems
    record = study.record(2)
    assert record.streams == dict.fromkeys(("init", "order", "augment", "other", "split"), 2) and record.command is None
    assert record.environment["packages"]["numpy"] == np.__version__ and record.environment["threads"] == 1
    assert record.environment["python"].startswith("3.") and "git_commit" in record.environment
    assert record.curves["loss"] == [1 / 3, 1 / 4, 1 / 5] and record.epochs == [0, 1, 2] and record.seconds["run"] > 0
    assert Scores.of(study).final.tolist() == [1 / 3, 1 / 4, 1 / 5]


def test_what_another_has_recorded_meanwhile_stays(folder):
    """The job was planned when there was no record; by now there is one."""
    calls = []
    made = script(lambda seed: calls.append(seed) or {"loss": 1.0}, "loss")
    open_study(made, folder)
    for _ in range(2):
        run_job(SeedJob(made, folder, {0: ""}, "sweep"))
    assert calls == [0]
    job = SeedJob(made, folder, {0: Study.load(folder).stamp(0)}, "sweep")  # planned a moment after it was recorded
    run_job(job)
    assert calls == [0]
    run_job_again(job)
    assert calls == [0, 0]


def test_a_seed_that_another_holds_is_left_to_it(folder):
    made = script(lambda seed: {"loss": 1.0}, "loss")
    open_study(made, folder)
    other = Worker(folder, "other")
    assert other.acquire([0]) == [0]
    assert run_job(SeedJob(made, folder, {0: "", 1: ""}, "sweep")) is None
    assert list(Study.load(folder).scan().records) == [1]
    other.close()


def test_a_study_of_another_function_is_refused_with_what_differs(folder):
    rate = 0.1
    run_seed(script(lambda seed: {"loss": rate}), folder, 0, "")
    rate = 0.2
    with pytest.raises(InputError, match="function.values.rate: 0.1 there, 0.2 now"):
        run_seed(script(lambda seed: {"loss": rate}), folder, 1, "")


def test_a_function_that_cannot_be_sent_is_named_with_what_to_do():
    lock = threading.Lock()
    with pytest.raises(InputError, match=r"cannot be sent to a worker process \(TypeError: .*\n.*jobs=1"):
        Parcel.of(script(lambda seed: lock))


def test_the_folders_of_a_parcel_come_first_where_it_is_opened(tmp_path):
    """A user's module may have the name of one that the worker finds elsewhere."""
    for place, text in (("ours", "NAME = 'ours'"), ("theirs", "NAME = 'theirs'")):
        (tmp_path / place).mkdir()
        (tmp_path / place / "nets.py").write_text(text)
    send = (
        "import sys, pickle, nets\nfrom seedspread.scripts.function import Function\n"
        "from seedspread.scripts.worker import Parcel\n"
        "def train(seed):\n    import nets\n    return nets.NAME\n"
        "sys.stdout.buffer.write(pickle.dumps(Parcel.of(Function.of(train, None, 1))))"
    )
    take = "import sys, pickle\nprint(pickle.load(sys.stdin.buffer).open().call(0))"
    paths = {place: f"{ROOT / 'src'}:{tmp_path / place}" for place in ("ours", "theirs")}
    sent = subprocess.run(
        [sys.executable, "-c", send], env={**os.environ, "PYTHONPATH": paths["ours"]}, capture_output=True
    )
    taken = subprocess.run(
        [sys.executable, "-c", take],
        input=sent.stdout,
        env={**os.environ, "PYTHONPATH": paths["theirs"]},
        capture_output=True,
    )
    assert taken.stdout == b"ours\n", taken.stderr + sent.stderr


SWEEP = """
import os, sys, time
import seedspread as ss

def train(seed):
    with open({log!r}, "a") as log:
        log.write(f"{{seed}}\\n")
    time.sleep(0.05)
    return {{"loss": 1 / (1 + seed)}}

ss.sweep(train, seeds=range(12), study="mine", metric={metric}, results={results!r}, jobs={jobs}, report=False)
"""


@pytest.mark.parametrize("metric, jobs", [("'loss'", 1), ("None", 1), pytest.param("None", 2, marks=pytest.mark.slow)])
def test_equal_sweeps_at_once_share_the_seeds(tmp_path, metric, jobs):
    """Two processes, started together: each seed runs once, and both end with all of them."""
    text = SWEEP.format(log=str(tmp_path / "log"), metric=metric, results=str(tmp_path / "results"), jobs=jobs)
    (tmp_path / "script.py").write_text(text)
    command = [sys.executable, str(tmp_path / "script.py")]
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "src")}
    running = [subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True) for _ in range(2)]
    said = [process.communicate()[1] for process in running]
    assert [process.returncode for process in running] == [0, 0], said
    assert Counter(Path(tmp_path, "log").read_text().split()) == Counter(map(str, range(12)))
    assert list(Study.load(tmp_path / "results" / "mine").scan().records) == list(range(12))


RUN = """
import json, os, sys, time
with open(sys.argv[1], "a") as log:
    log.write(os.environ["SEEDSPREAD_SEED"] + "\\n")
time.sleep(0.1)
print(json.dumps({"loss": 1 / (1 + int(os.environ["SEEDSPREAD_SEED"]))}))
"""


@pytest.mark.slow
def test_equal_runs_at_once_share_the_seeds(tmp_path, start):
    (tmp_path / "train.py").write_text(RUN)
    given = ["seed=range(0,8)", "study=mine", f"results={tmp_path}/results", "jobs=2", "report=false"]
    given += ["--", sys.executable, str(tmp_path / "train.py"), str(tmp_path / "log")]
    running = [start("seedspread", "run", *given) for _ in range(2)]
    said = [process.communicate() for process in running]
    assert [process.returncode for process in running] == [0, 0], said
    assert Counter(Path(tmp_path, "log").read_text().split()) == Counter(map(str, range(8)))
    assert list(Study.load(tmp_path / "results" / "mine").scan().records) == list(range(8))
