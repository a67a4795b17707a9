"""`seedspread tune` from end to end, killed and resumed."""

import fcntl
import os
import random
import shlex
import signal
import time
from pathlib import Path

import pandas as pd
import pytest

from seedspread.commands.train import main as train_main
from seedspread.commands.tune import main
from seedspread.records.record import Record
from seedspread.records.study import Study
from seedspread.search.judge import judge_winner
from seedspread.search.plan import read_space
from seedspread.search.trials import FIRST_FRESH_SEED, best_trial, read_trials
from tests.processes import Command

QUICK = (
    "experiment=digits", "trainer=cpu", "trainer.max_epochs=1", "model.width=2", "jobs=2",
    "trials=3", "seeds_per_trial=2", "fresh_seeds=8",
)  # fmt: skip


@pytest.fixture
def tune(invoked, tmp_path, cache):
    """Run `seedspread tune ARGUMENTS` within this process; exit code, standard output, standard error."""
    fixed = [f"results={tmp_path}/results", f"data.cache={cache}"]
    return lambda *arguments, entry=main: invoked(entry, *arguments, *fixed)


def hashes(folder: Path) -> dict[str, dict[int, str]]:
    return {
        path.parent.name: {s: r.weights_sha256 for s, r in Study.load(path.parent).scan().records.items()}
        for path in folder.glob("*/study.yaml")
    }


def test_a_search_from_end_to_end(tune, small, tmp_path):
    code, out, err = tune(*QUICK)
    folder = tmp_path / "results" / "digits-search"
    assert code == 0 and not err
    trials = read_trials(folder)
    assert [trial.point for trial in trials] == read_space(small()).sample_points(3, 0)
    assert all(list(trial.scores) == [0, 1] for trial in trials)
    winner, fresh = best_trial(trials), [FIRST_FRESH_SEED + i for i in range(8)]
    found = hashes(folder)
    assert list(found["baseline"]) == list(found[f"{winner.name}-fresh"]) == fresh
    judgement = judge_winner(folder, winner, 3)
    assert f"{judgement.curse:+.2f} points" in out and "better than it is" in out
    one, other = (Study.load(folder / name) for name in ("baseline", f"{winner.name}-fresh"))
    for study, scores, again in zip((one, other), (judgement.baseline, judgement.fresh), judgement.again, strict=True):
        assert study.config["data"]["validation"] == 0.1
        for metric, told in (("test/acc", scores), ("val/acc", again)):
            assert told.tolist() == pytest.approx([100 * study.record(seed).final[metric] for seed in fresh])
    assert judgement.chosen_on_test_among == 1 and "The test set chose nothing" in out
    page = (folder / "report" / "index.html").read_text()
    assert page.count("data:image/svg+xml") == 6 and "winner&#39;s curse" in page
    assert f'href="../{winner.name}/study.yaml"' in page
    table = pd.read_csv(folder / "report" / "trials.csv")
    assert table["val_acc_percent"].tolist() == pytest.approx([trial.score for trial in trials])

    # Each record's command trains the same network.
    record = Study.load(folder / "trial-001").record(1)
    again = [*shlex.split(record.command)[3:], f"results={tmp_path}/again"]
    assert tune(*again, entry=train_main)[0] == 0
    assert hashes(tmp_path / "results")["trial-001"][1] == found["trial-001"][1]

    # The same command trains nothing; a wider one goes on; exploring is gone on with.
    records = {path: path.stat().st_mtime_ns for path in folder.glob("*/seeds/*.json")}
    code, out, _ = tune(*QUICK, "trials=4")
    assert code == 0 and "3 of 4 trials have their records, 1 to train" in out
    assert [trial.point for trial in read_trials(folder)] == read_space(small()).sample_points(4, 0)
    narrow = "space.optimizer.lr.range=[0.1,0.5]"
    code, out, _ = tune(*QUICK, "search=exploit", "trials=2", narrow, "fresh_seeds=0")
    assert code == 0
    assert "search=exploit trials=18" in out, "16 more of them"
    latest = read_trials(folder)[4:]
    assert [trial.search for trial in latest] == ["exploit"] * 2
    assert all(0.1 <= trial.point["optimizer.lr"] <= 0.5 for trial in latest)
    assert {path: path.stat().st_mtime_ns for path in records} == records
    before = sorted(folder.glob("*/seeds/*.json"))
    assert tune(*QUICK, "report=true")[0] == 0 and sorted(folder.glob("*/seeds/*.json")) == before

    # Another config is refused.
    code, _, err = tune(*QUICK, "optimizer.momentum=0.8")
    assert code == 1 and "optimizer.momentum: 0.9 there, 0.8 now" in err and "study=digits_2" in err


def test_a_search_that_chooses_on_the_test_set_is_warned_of(tune, tmp_path):
    code, out, _ = tune(*QUICK, "data.validation=null", "trials=2", "seeds_per_trial=1", "fresh_seeds=8")
    folder = tmp_path / "results" / "digits-search"
    assert code == 0 and "validation" not in Study.load(folder / "baseline").config["data"]
    assert "The 2 trials were compared on the examples that judge the winner as well" in out
    assert judge_winner(folder, best_trial(read_trials(folder)), 2).chosen_on_test_among == 2


def test_two_searches_do_not_share_a_folder(tune, tmp_path):
    folder = tmp_path / "results" / "digits-search"
    folder.mkdir(parents=True)
    with (folder / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        code, _, err = tune(*QUICK)
    assert code == 1 and "another search trains in this folder" in err
    assert [path.name for path in folder.iterdir()] == [".lock"]


@pytest.fixture
def start_search(start, tmp_path, cache):
    fixed = [f"results={tmp_path}/results", f"data.cache={cache}"]
    return lambda *arguments: start("seedspread", "tune", *QUICK, *arguments, *fixed, own_workers=True)


def wait_for(folder: Path, records: int, process: Command) -> None:
    deadline = time.monotonic() + 120
    while len(list(folder.glob("*/seeds/*.json"))) < records and time.monotonic() < deadline:
        assert process.poll() is None, process.communicate()
        time.sleep(0.02)


@pytest.mark.slow
def test_a_killed_search_goes_on_and_ends_with_the_same_networks(tmp_path, start_search, tune):
    """SIGKILL to the whole process group while it explores and while it exploits."""
    folder = tmp_path / "results" / "digits-search"
    for arguments, records in ((["trials=3", "fresh_seeds=0"], 2), (["search=exploit", "trials=3"], 8)):
        process = start_search(*arguments)
        wait_for(folder, records, process)
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
        kept = {path: path.stat().st_mtime_ns for path in folder.glob("*/seeds/*.json")}
        assert tune(*QUICK, *arguments)[0] == 0
        assert {path: path.stat().st_mtime_ns for path in kept} == kept, "nothing is trained twice"
    killed, points = hashes(folder), [trial.point for trial in read_trials(folder)]
    folder.rename(tmp_path / "killed")
    assert tune(*QUICK, "trials=3", "fresh_seeds=0")[0] == tune(*QUICK, "search=exploit", "trials=3")[0] == 0
    assert [trial.point for trial in read_trials(folder)] == points and hashes(folder) == killed


@pytest.mark.slow
def test_thirty_kills_of_a_search_lose_nothing_and_train_nothing_twice(tmp_path, start, cache, tune):
    """SIGKILL to the search at random moments; its workers see that it is gone, and end."""
    folder, draw = tmp_path / "results" / "digits-search", random.Random(0)
    search = [*QUICK, "trials=40", "seeds_per_trial=2", "fresh_seeds=8"]
    seen: dict[Path, int] = {}
    for _ in range(30):
        process = start("seedspread", "tune", *search, f"results={tmp_path}/results", f"data.cache={cache}")
        wait_for(folder, len(seen) + draw.choice([0, 1, 1, 1, 2]), process)
        time.sleep(draw.random() / 2)
        process.send_signal(signal.SIGKILL)
        process.wait(120)
        for path in folder.glob("*/seeds/0*.json"):
            assert Record.parse(path.read_bytes()).status == "finished", "whole, whenever the search was killed"
            assert seen.setdefault(path, path.stat().st_mtime_ns) == path.stat().st_mtime_ns
    assert tune(*search)[0] == 0
    assert {path: path.stat().st_mtime_ns for path in seen} == seen
    killed, points = hashes(folder), [trial.point for trial in read_trials(folder)]
    folder.rename(tmp_path / "killed")
    assert tune(*search)[0] == 0
    assert [trial.point for trial in read_trials(folder)] == points and hashes(folder) == killed


@pytest.mark.slow
@pytest.mark.parametrize("sign", [signal.SIGINT, signal.SIGTERM])
def test_ctrl_c_and_sigterm_end_a_search_and_its_workers(tmp_path, start_search, sign):
    process = start_search("trials=500")
    wait_for(tmp_path / "results" / "digits-search", 2, process)
    process.send_signal(sign)
    _, err = process.communicate()  # returns once no worker is left
    assert (process.returncode, err) == (130, "\ninterrupted: finished seeds are recorded; the same command resumes\n")


def fault(name, tmp_path, **values):
    settings = {"_target_": f"tests.faults.{name}", **values}
    return [f"+callbacks.fault.{key}={value}" for key, value in settings.items()]


def test_failed_and_dying_seeds_do_not_stop_a_search(tune, tmp_path):
    mended = tmp_path / "mended"
    raising = fault("Raise", tmp_path, seeds="[1]", unless=mended)
    code, out, err = tune(*QUICK, *raising, "fail_fast=9")
    assert (
        code == 1 and "digits-search: 3 seeds failed, the last one trial-002 seed 1: RuntimeError: out of luck" in err
    )
    assert "report in" in out and all(list(t.scores) == [0] for t in read_trials(tmp_path / "results/digits-search"))
    mended.write_text("")
    assert tune(*QUICK, *raising)[0] == 0
    assert all(list(t.scores) == [0, 1] for t in read_trials(tmp_path / "results/digits-search"))


@pytest.mark.slow
def test_a_worker_that_dies_costs_the_seed_it_was_on(tune, tmp_path):
    dying = fault("Die", tmp_path, seeds="[1]", times=1, count=tmp_path / "deaths")
    assert tune(*QUICK, *dying, "fresh_seeds=0")[0] == 0
    assert all(list(t.scores) == [0, 1] for t in read_trials(tmp_path / "results/digits-search"))
    always = fault("Die", tmp_path, seeds="[0]", times=99, count=tmp_path / "more")
    code, _, err = tune(*QUICK, *always, "fresh_seeds=0", "study=dying", "trials=1")
    assert code == 1 and "its worker died 3 times" in err
    assert list(read_trials(tmp_path / "results/dying-search")[0].scores) == [1]


def test_fail_fast_stops_a_search(tune, tmp_path):
    raising = fault("Raise", tmp_path, seeds="[0,1]", unless=tmp_path / "never")
    code, _, err = tune(*QUICK, *raising, "fail_fast=2", "trials=40")
    assert code == 1 and "digits-search stopped: 2 seeds in a row failed: RuntimeError: out of luck" in err


def test_trials_that_diverge_are_results(tune, tmp_path):
    wild = "space.optimizer.lr.range=[1e12,1e13]"
    code, _, err = tune(*QUICK, wild, "trials=2", "fresh_seeds=0")
    assert code == 1 and "no trial with a finished seed" in err
    assert all(trial.has_diverged for trial in read_trials(tmp_path / "results/digits-search"))


@pytest.mark.parametrize(
    "arguments, says",
    [
        (["trials=two"], "trials=two: a whole number of at least 1"),
        (["seeds_per_trial=0"], "seeds_per_trial=0: a whole number of at least 1"),
        (["fresh_seeds=7"], "fresh_seeds=7: fewer than 8 pairs decide nothing; choose at least 8, better 40"),
        (["worth=0"], "worth=0: the smallest difference that matters, a positive number"),
        (["search=random"], "search=random: choose one of explore, exploit"),
        (["metric=val/loss"], "metric=val/loss: has keys of its own: metric."),
        (["seed=3"], "seed=: a search chooses what it trains"),
        (["~space"], "space=?: the experiment declares none"),
        (["space.optimizer.lr.range=[0,1]"], "space.optimizer.lr.range=[0, 1]: a log scale excludes 0"),
        (["space.optimizer.lr.range=[1,0.1]"], "space.optimizer.lr.range=[1, 0.1]: empty"),
        (["+space.optimizer.rate={range:[1,2],scale:log,role:nuisance}"], "the experiment has no optimizer.rate"),
        (["+space.schedule={range:[cosine,square],scale:choice,role:scientific}"], "schedule=square: there is no"),
        (["report=true"], "no trial with a finished seed"),
        (["seeds=[1,2]"], "seeds: name seeds with seed="),
        (["space.loss.smoothing.range=[0,3]"], "space.loss.smoothing.range=[0, 3]: loss.smoothing=3"),
        (["+space.model.width={range:[4,-4],scale:choice,role:nuisance}"], "space.model.width.range=[4, -4]: "),
    ],
)  # fmt: skip
def test_bad_input_is_told_before_any_training(tune, tmp_path, arguments, says):
    code, _, err = tune(*QUICK, *arguments)
    assert code == 1 and says in err and len(err.strip().splitlines()) <= 2
    assert not list(tmp_path.glob("results/*/*"))


def test_a_choice_may_be_a_config_group(tune, tmp_path):
    schedules = "+space.schedule={range:[cosine,rise_and_fall],scale:choice,role:scientific}"
    code, _, err = tune(*QUICK, schedules, "~space.loss", "~space.optimizer", "fresh_seeds=0", "seeds_per_trial=1")
    assert code == 0, err
    folder = tmp_path / "results/digits-search"
    targets = {
        t.point["schedule"]: Study.load(folder / t.name).config["schedule"]["_target_"] for t in read_trials(folder)
    }
    assert targets["cosine"].endswith("CosineAnnealingLR") and targets["rise_and_fall"].endswith("LambdaLR")


def test_a_winner_that_no_seed_tells_from_the_baseline_is_told_of(tune):
    """In a finite space, too, whose points are each a trial."""
    nothing = "+space.data.score_batch_size={range:[500,250],scale:choice,role:scientific}"
    code, out, err = tune(*QUICK, nothing, "~space.loss", "~space.optimizer")
    assert code == 0, err
    assert "trials=3: the space has 2 different points" in out and "it may be luck" not in out
    assert "Keep the baseline. trial-000-fresh and baseline have the same score on each of 8 seeds" in out
    assert "the winner's curse is" in out and "seedspread compare" not in out
