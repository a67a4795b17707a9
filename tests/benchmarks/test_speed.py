"""What makes a seed fast must not change it; and what would make it slow, waiting for the device, does not happen."""

import json
import os
import subprocess
import sys
import time

import psutil
import pytest
import torch
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode

from benchmarks import run, step
from benchmarks.rivals import _varied, _varied_each
from seedspread.commands.train import train
from seedspread.config import identity
from seedspread.config.errors import InputError
from seedspread.config.resolve import resolve_config, resolve_precision
from seedspread.data.augment import Augmentation
from seedspread.execution import local
from seedspread.records.study import Study
from seedspread.training import compilation
from seedspread.training.module import Classifier
from seedspread.training.worker import train_seeds
from tests.conftest import ROOT

# Operations whose result the host must see before it goes on.
WAITS = ("_local_scalar_dense", "nonzero", "masked_select", "is_nonzero", "equal")


class Waits(TorchDispatchMode):
    """Names of the operations within the block for which a device would be waited for."""

    def __init__(self):
        super().__init__()
        self.found = []

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        name = func.name().split("::")[1].split(".")[0]
        if name in WAITS:
            self.found.append(name)
        return func(*args, **(kwargs or {}))


@pytest.mark.parametrize("granularity", ["chunk", "image"])
def test_the_host_waits_for_the_device_once_an_epoch(small, granularity, monkeypatch):
    mode, within_epochs, at_its_end = Waits(), [], []
    begin, end = Classifier.on_train_epoch_start, Classifier.on_validation_epoch_end

    def on_train_epoch_start(self):
        begin(self)
        mode.__enter__()

    def on_validation_epoch_end(self):
        mode.__exit__(None, None, None)
        within_epochs.append(mode.found)
        mode.found = []
        end(self)
        at_its_end.append(mode.found)
        mode.found = []

    to_list = torch.Tensor.tolist  # passes by what a mode sees
    monkeypatch.setattr(torch.Tensor, "tolist", lambda self: (mode.found.append("tolist"), to_list(self))[1])
    monkeypatch.setattr(Classifier, "on_train_epoch_start", on_train_epoch_start)
    monkeypatch.setattr(Classifier, "on_validation_epoch_end", on_validation_epoch_end)
    train(small("seed=0", f"data.augment.granularity={granularity}", "data.augment.flip=true"))
    assert within_epochs == [[], []]
    assert at_its_end == [["tolist"], ["tolist"]]
    with mode:
        assert torch.ones(1).item()
    assert mode.found  # what is not found would be seen


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device here")
def test_no_step_waits_for_a_gpu(small, monkeypatch):
    step = Classifier.training_step

    def training_step(self, batch):
        torch.cuda.set_sync_debug_mode("error")
        try:
            return step(self, batch)
        finally:
            torch.cuda.set_sync_debug_mode("default")

    monkeypatch.setattr(Classifier, "training_step", training_step)
    train(small("seed=0", "trainer=gpu"))


@pytest.mark.filterwarnings("ignore:.*enable_autograd_cache")
def test_one_compilation_serves_all_seeds_and_leaves_none_a_trace_of_another(small, tmp_path, monkeypatch):
    compiled = []
    real = torch.nn.Module.compile
    monkeypatch.setattr(torch.nn.Module, "compile", lambda self, **how: (compiled.append(how), real(self, **how)))
    # aot_eager traces forward and backward as the default does, and needs no C++ compiler.
    options = ("compile={backend:aot_eager}", "trainer.max_epochs=1")

    def hashes(name, seeds):
        cfg = small(*options, f"study={name}", f"results={tmp_path}/{name}")
        assert train_seeds(cfg, seeds) == 0
        records = Study.load(tmp_path / name / name).scan().records
        return {seed: record["weights_sha256"] for seed, record in records.items()}

    try:
        first = hashes("one", [0, 1, 2])
        assert compiled == [{"dynamic": False, "backend": "aot_eager"}]
        assert hashes("two", [2, 0]) == {0: first[0], 2: first[2]}
        assert len(set(first.values())) == 3
        assert len(compiled) == 1
        # A network that has just been compiled gives what one gives that others trained in.
        compilation._compiled_before.clear()
        assert hashes("three", [1]) == {1: first[1]}
        assert len(compiled) == 2
    finally:
        compilation._compiled_before.clear()
        torch._dynamo.reset()


class Shifted(nn.Module):
    """A linear layer on digits whose input is shifted by noise that is drawn with it and that no checkpoint has."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(64, 10)
        self.register_buffer("shift", torch.randn(64), persistent=False)

    def forward(self, images):
        return self.layer(images.flatten(1) + self.shift)


@pytest.mark.filterwarnings("ignore:.*enable_autograd_cache")
def test_what_a_process_trained_before_leaves_no_trace_in_what_it_compiles(small, tmp_path):
    sizes = []

    def watched(graph, inputs):
        sizes.append([n for tensor in inputs for n in tensor.shape])
        return graph.forward

    torch._dynamo.register_backend(watched, "watched")
    network = (
        "model._target_=tests.benchmarks.test_speed.Shifted",
        "~model.classes",
        "~model.channels",
        "trainer.max_epochs=1",
    )

    def hashes(name, batch, seeds):
        sizes.clear()
        # 500 test pictures: scored in batches of two sizes
        given = (*network, "compile={backend:watched}", f"data.batch_size={batch}", "data.score_batch_size=300")
        assert train_seeds(small(*given, f"study={name}", f"results={tmp_path}/{name}"), seeds) == 0
        assert len(sizes) == 3 and all(isinstance(n, int) for each in sizes for n in each)  # none of any size
        records = Study.load(tmp_path / name / name).scan().records
        return {seed: record["weights_sha256"] for seed, record in records.items()}

    try:
        with torch._dynamo.config.patch(recompile_limit=4):
            first = hashes("one", 100, [0, 1])
            hashes("two", 50, [1])
            assert hashes("three", 100, [1]) == {1: first[1]}
    finally:
        compilation._compiled_before.clear()
        torch._dynamo.reset()


@pytest.mark.parametrize("value", ["true", "default", "[1]"])
def test_compile_takes_the_arguments_of_torch_compile(small, value):
    with pytest.raises(InputError, match=r"compile=.*: arguments of torch.compile, for example compile="):
        train(small(f"compile={value}"))


def test_compilation_is_part_of_a_study_where_it_is_used(small):
    assert "compile" not in identity.study_identity(resolve_config(small()))
    how = identity.study_identity(resolve_config(small("compile={mode:reduce-overhead}")))["compile"]
    assert how == {"mode": "reduce-overhead"}


def test_what_torch_compile_does_not_take_is_told_in_two_lines(small):
    with pytest.raises(InputError, match=r"compile=.*mode.*fastest"):
        train(small("compile={mode:fastest}"))
    assert not compilation._compiled_before


def test_fp16_that_lightning_would_replace_is_refused():
    with pytest.raises(InputError, match="trainer.precision=16-mixed: not on a CPU"):
        resolve_precision("16-mixed", "cpu")
    assert resolve_precision("16-mixed", "gpu") == "16-mixed"


@pytest.mark.parametrize("given, expected", [
    (None, "glibc.malloc.hugetlb=1"),
    ("glibc.malloc.arena_max=2", "glibc.malloc.arena_max=2:glibc.malloc.hugetlb=1"),
    ("glibc.malloc.hugetlb=0", "glibc.malloc.hugetlb=0"),
])  # fmt: skip
def test_workers_are_asked_to_use_huge_pages_and_what_a_user_says_holds(given, expected, monkeypatch):
    monkeypatch.delenv("GLIBC_TUNABLES", raising=False)
    if given:
        monkeypatch.setenv("GLIBC_TUNABLES", given)
    local.request_huge_pages()
    assert os.environ["GLIBC_TUNABLES"] == expected


@pytest.mark.parametrize("contender", ["ours", "plain loop", "stock Lightning"])
def test_contenders_of_the_benchmark_learn_the_digits(contender):
    """At a fifth of the epochs each is far above chance: they train what the benchmark says they do."""
    overrides = ["experiment=digits", "trainer.max_epochs=4", "schedule.lr_lambda.end=4"]
    child = [sys.executable, "-m", "benchmarks.run", "--child", json.dumps([contender, overrides, 1, True])]
    environment = {key: value for key, value in os.environ.items() if key != "HYDRA_FULL_ERROR"}
    answer = subprocess.run(child, cwd=ROOT, env=environment, capture_output=True, text=True, check=True)
    found = json.loads(answer.stdout.splitlines()[-1])
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


def test_figures_that_could_not_be_kept_are_told_before_they_are_measured(tmp_path):
    (tmp_path / "file").touch()
    command = [sys.executable, "-m", "benchmarks.run", "--json", f"{tmp_path}/file/bench.json"]
    ran = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert ran.returncode == 1 and not ran.stdout
    assert ran.stderr.startswith(f"--json {tmp_path}/file/bench.json: ") and len(ran.stderr.splitlines()) == 1


@pytest.mark.slow
@pytest.mark.skipif(torch.cuda.is_available(), reason="measures for minutes where there is a GPU")
def test_all_that_is_to_be_measured_on_a_gpu_runs_without_one(tmp_path):
    script = ["bash", str(ROOT / "benchmarks" / "gpu.sh"), "figures"]
    environment = {**os.environ, "PYTHON": sys.executable}
    ran = subprocess.run(script, cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    found = {path.stem: json.loads(path.read_text()) for path in (tmp_path / "figures").iterdir()}
    assert all(part["machine"]["packages"]["torch"] and part["lost"] == [] for part in found.values())
    assert set(found["step"]["step"][0]["ms_per_step"]) == {"plain loop", *step.ON_CPU}
    assert [set(size["seconds"]) for size in found["seeds"]["seed"]] == 3 * [{"ours", *run.RIVALS}]
    assert set(found["workers"]["workers"]) == {"1", "2", "4", "8"}
