"""Benchmarks train what they say, end in time, and report no figure of what failed."""

import json
import os
import subprocess
import sys
import time

import numpy as np
import psutil
import pytest
import torch
from PIL import Image
from scipy import stats

from benchmarks import decide_rates, run, step, sweep
from benchmarks.rivals import _varied, _varied_each
from seedspread.data.augment import Augmentation
from seedspread.execution.leases import read_leases
from seedspread.execution.local import LocalExecutor
from seedspread.records.study import Study
from tests.conftest import ROOT


@pytest.mark.parametrize("contender", ["ours", "plain loop", "stock Lightning"])
def test_contenders_of_the_benchmark_learn_the_digits(contender, start):
    """At a fifth of the epochs each is far above chance: they train what the benchmark says they do."""
    overrides = ["experiment=digits", "trainer.max_epochs=4", "schedule.lr_lambda.end=4"]
    environment = {key: value for key, value in os.environ.items() if key != "HYDRA_FULL_ERROR"}
    child = json.dumps([contender, overrides, 1, True])
    out, err = start("benchmarks.run", "--child", child, env=environment).communicate()
    assert out, err
    found = json.loads(out.splitlines()[-1])
    assert found["accuracies"][0] > 0.4
    if contender == "ours":
        assert set(found["parts"]) == {"set-up", "Lightning", "data", "training", "scoring", "records"}
        assert sum(found["parts"].values()) == pytest.approx(found["seconds"][0], rel=0.05)


def test_the_plain_loop_varies_each_picture_as_it_varies_many(monkeypatch):
    augment, images = Augmentation(granularity="image"), torch.rand(3, 2, 16, 16)
    draws = torch.tensor([[0, 5, 3], [8, 2, 4], [0, 8, 1], [7, 0, 8], [1, 0, 1]])
    left = [*draws]
    monkeypatch.setattr(torch, "randint", lambda low, end, size, **_: left.pop(0)[:, None])
    varied = _varied_each(images, augment)
    for picture, own, (*places, flip) in zip(images, varied, draws.T, strict=True):
        left[:] = places
        monkeypatch.setattr(torch, "randint", lambda low, end, size: left.pop(0))
        monkeypatch.setattr(torch, "rand", lambda size, flip=flip: 1.0 - flip)
        assert torch.equal(own, _varied(picture[None], augment)[0])


def test_a_sweep_of_the_benchmarks_ends_in_time_and_what_fails_is_no_figure(tmp_path, monkeypatch):
    monkeypatch.setattr(step, "lost", [])
    digits = ("experiment=digits", "trainer=cpu", "jobs=1")
    monkeypatch.setattr(step, "deadline", time.monotonic() + 4)
    assert not run.swept(tmp_path / "late", "seed=range(0,10000)", *digits)
    assert not [p for p in psutil.process_iter(["cmdline"]) if f"results={tmp_path}/late" in (p.info["cmdline"] or [])]
    monkeypatch.setattr(step, "deadline", float("inf"))
    assert not run.swept(tmp_path / "bad", "seed=0", *digits, "data.batch_size=0")
    assert step.child("benchmarks.step", "--child", "[]") is None
    late, bad, child = step.lost
    assert late.endswith("no time left") and "data.batch_size=0" in bad and "TypeError" in child


def test_the_engine_that_the_benchmark_times_records_every_seed(tmp_path):
    with LocalExecutor(2) as executor:
        sweep.record_many(executor, b"", tmp_path, 60)
    study = Study.load(tmp_path / "trivial")
    assert list(study.scan().records) == list(range(60)) and not read_leases(study.folder)


def test_figures_that_could_not_be_kept_are_told_before_they_are_measured(tmp_path, start):
    (tmp_path / "file").touch()
    ran = start("benchmarks.run", "--json", f"{tmp_path}/file/bench.json")
    out, err = ran.communicate()
    assert ran.returncode == 1 and not out
    assert err.startswith(f"--json {tmp_path}/file/bench.json: ") and len(err.splitlines()) == 1


def test_group_sequential_tests_spend_their_alpha_and_no_more(monkeypatch):
    monkeypatch.setattr(decide_rates, "PATHS", 40_000)
    one, other = np.random.default_rng(0).standard_normal((2, 10_000, 30))
    for spend in (decide_rates.pocock, decide_rates.obrien_fleming):
        test = decide_rates.GroupSequential(spend, 30)
        outcomes, pairs = test(one, other, None)
        assert (outcomes > 0).mean() == pytest.approx(0.05, abs=0.008)
        assert (pairs[outcomes == 0] == 30).all()
    assert np.isinf(test.critical[:6]).all() and test.critical[10] > test.critical[20] > test.critical[30] > 2.05


def test_the_t_test_that_adds_pairs_is_scipys_before_it_adds_any():
    one, other = np.random.default_rng(1).normal(0, 1, (2, 200, 20))
    p = stats.ttest_rel(other[:, :8], one[:, :8], axis=1).pvalue
    outcomes, _ = decide_rates.Advised(8, 0)(one, other, None)
    assert ((outcomes > 0) == (p < 0.05)).all()
    again, more = decide_rates.Advised(8, 1)(one, other, None)
    assert (again[outcomes > 0] == outcomes[outcomes > 0]).all() and (again > 0).sum() > (outcomes > 0).sum()
    assert (more > 8).any() and more.max() == 20


def test_fixed_samples_have_the_power_that_they_are_for():
    rng = np.random.default_rng(2)
    pairs = decide_rates.fixed_pairs(0.0, 1.0, 0.8)
    apart = rng.normal(0, 2**0.5, (20_000, pairs))
    half = stats.t.isf(0.05, pairs - 1) * stats.sem(apart, axis=1)
    assert (np.abs(apart.mean(axis=1)) + half < 1).mean() == pytest.approx(0.8, abs=0.02)
    assert decide_rates.fixed_pairs(1.0, 1.0, 0.8) == 18


@pytest.mark.draws
def test_the_tables_of_decisions_are_printed_and_drawn(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(decide_rates, "PATHS", 4000)
    monkeypatch.setattr(decide_rates, "GENEROUS", 150)
    scores = np.random.default_rng(3).normal(90, 0.2, 400).round(2)
    table = tmp_path / "runs.md"
    table.write_text(f"|  | so | 0 |\n|---|---|\n| val|sw=0|{'|'.join(f' {score:.2f}' for score in scores)}|\n")
    assert decide_rates.read_runs(table)["val sw=0"] == pytest.approx(scores)
    decide_rates.main(["--repeats", "20", "--runs", str(table)])
    printed = capsys.readouterr().out
    assert printed.count("\n| val sw=0 | ") == 2 and printed.count("\n| normal | ") == 2
    assert "nan" not in printed and all(f"\n{part}: " in printed for part in ("rates", "sizes", "families", "priors"))
    decide_rates.main(["--part", "figure", "--repeats", "4", "--figure", str(tmp_path / "figure.png")])
    assert len(Image.open(tmp_path / "figure.png").convert("RGB").getcolors(1 << 20)) > 20


@pytest.mark.slow
@pytest.mark.skipif(torch.cuda.is_available(), reason="measures for minutes where there is a GPU")
def test_what_is_to_be_measured_on_a_gpu_runs_without_one(tmp_path):
    """Its first parts; the others are benchmarks of their own, which take minutes."""
    script = ["bash", str(ROOT / "benchmarks" / "gpu.sh"), "figures"]
    # Its limits are for a lent GPU; here other tests share the cores.
    environment = {**os.environ, "PYTHON": sys.executable, "LIMIT": "5000", "PATIENCE": "10"}
    environment["PARTS"] = "bits profile"
    ran = subprocess.run(script, cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    found = {path.stem: json.loads(path.read_text()) for path in (tmp_path / "figures").iterdir()}
    bits, profile = found["bits"], found["profile"]
    assert bits["equal"] and bits["resumed"] and profile[0]["operators_per_step"] > 100
