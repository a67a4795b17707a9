"""Functions as scripts: what they return, yield and record; failures; and the same bits wherever a seed runs."""

import json
import os
import subprocess
import sys
import textwrap
from contextlib import suppress

import numpy as np
import pytest
import torch

import seedspread as ss
from seedspread.config.errors import InputError
from seedspread.scripts import function as function_module
from seedspread.scripts.function import Function
from seedspread.scripts.recorder import Recorder
from seedspread.scripts.script import FailedError, limit_threads
from tests.conftest import ROOT


def run(call, seed=3):
    recorder = Recorder()
    Function.of(call, None, 1).run(seed, recorder, None)
    return recorder.fields() | {"examples": recorder.examples}


def returns(seed):
    return {"acc": 0.5, "seed": seed, "labels": [0, 1], "predictions": np.array([1, 1])}


def returns_number(seed):
    return np.float32(0.5)


def records(seed):
    for epoch in range(3):
        ss.record(epoch=epoch, loss=seed - epoch)
    ss.record(acc=0.75)


def yields(seed):
    for epoch in range(3):
        ss.record(test=1.0)
        yield {"loss": seed - epoch}


def yields_numbers(seed):
    yield 0.1
    yield 0.2


def yields_steps(seed):
    for step in (10, 20):
        yield {"step": step, "loss": step + seed}


def yields_and_returns(seed):
    yield {"loss": 2.0}
    yield {"loss": 1.0}
    return {"test": 0.75}


@pytest.mark.parametrize(
    "call, final, curves, epochs, steps",
    [
        (returns, {"acc": 0.5, "seed": 3}, {"acc": [0.5], "seed": [3]}, [0], None),
        (returns_number, {"score": 0.5}, {"score": [0.5]}, [0], None),
        (records, {"loss": 1, "acc": 0.75}, {"loss": [3, 2, 1]}, [0, 1, 2], None),
        (yields, {"loss": 1, "test": 1.0}, {"loss": [3, 2, 1]}, [0, 1, 2], None),
        (yields_numbers, {"score": 0.2}, {"score": [0.1, 0.2]}, [0, 1], None),
        (yields_steps, {"loss": 23}, {"loss": [13, 23]}, None, [10, 20]),
        (yields_and_returns, {"loss": 1.0, "test": 0.75}, {"loss": [2.0, 1.0]}, [0, 1], None),
    ],
)
def test_what_a_function_gives_becomes_curves_and_final_values(call, final, curves, epochs, steps):
    found = run(call)
    assert (found["final"], found["curves"], found["epochs"], found["steps"]) == (final, curves, epochs, steps)
    assert {name: array.tolist() for name, array in found["examples"].items()} == (
        {"labels": [0, 1], "predictions": [1, 1]} if call is returns else {}
    )


def raising(error):
    def train(seed):
        raise error

    return train


def yielding_then_raising(seed):
    yield {"loss": 1.0}
    raise ValueError("late")


@pytest.mark.parametrize(
    "call, reason",
    [
        (raising(RuntimeError("out\nof   luck")), "RuntimeError: out of luck"),
        (raising(SystemExit(3)), "SystemExit: 3"),
        (yielding_then_raising, "ValueError: late"),
        (raising(StopIteration()), "StopIteration:"),
        (raising(AssertionError()), "AssertionError:"),
    ],
)
def test_exceptions_and_exits_are_failures_with_their_traceback(call, reason):
    with pytest.raises(FailedError) as failed:
        run(call)
    assert (
        failed.value.reason == reason and "Traceback" in failed.value.trace and "test_function.py" in failed.value.trace
    )


def test_ctrl_c_is_none():
    with pytest.raises(KeyboardInterrupt):
        run(raising(KeyboardInterrupt()))


@pytest.mark.parametrize(
    "call, says",
    [
        (lambda seed: "0.5x", "the function returns a str: a dict of metrics is needed"),
        (lambda seed: [{"loss": 1}], "the function returns a list: a dict"),
        (lambda seed: iter([object()]), "the function yields a object: a dict"),
        (lambda seed: {"loss": "low"}, "loss='low': a metric is a number"),
        (lambda seed: None, "no metric was recorded: return"),
        (lambda seed: {}, "no metric was recorded"),
        (lambda seed: ss.streams("x"), "seed=x: a seed is a whole number"),
    ],
)
def test_what_is_wrong_for_every_seed_is_an_input_error(call, says):
    with pytest.raises(InputError, match=says):
        run(call)


@pytest.mark.parametrize("call", [lambda: 1, lambda seed, lr: 1, lambda *, seed: 1, 3])
def test_what_cannot_be_called_with_a_seed_alone_is_refused(call):
    with pytest.raises(InputError, match="call it with a seed alone"):
        Function.of(call, None, 1)


def test_nothing_of_a_seed_is_left_behind(monkeypatch):
    monkeypatch.delenv("SEEDSPREAD_SEED", raising=False)
    before = list(sys.meta_path)
    for call in (returns, yields, raising(ValueError())):
        with suppress(FailedError):
            run(call)
        with pytest.raises(InputError, match="no seed runs here"):
            ss.streams()
        ss.record(loss=1)  # of no seed
        assert sys.meta_path == before


def global_draws(seed):
    return {"numpy": np.random.random(), "torch": torch.rand(()).item(), "again": np.random.normal()}


def test_a_function_that_never_seeds_draws_the_same_for_a_seed():
    alone = run(global_draws, 7)["final"]
    for seed in range(7):
        np.random.random(seed), torch.rand(seed)
        run(global_draws, seed)
    assert run(global_draws, 7)["final"] == alone != run(global_draws, 6)["final"]


def test_versions_are_those_of_what_is_imported_and_are_looked_up_once(monkeypatch):
    found = Function.of(returns, None, 1).packages()
    assert (
        torch.__version__.startswith(found["torch"]) and found["numpy"] == np.__version__ and None not in found.values()
    )
    monkeypatch.setattr(function_module, "packages_distributions", lambda: pytest.fail("it takes seconds"))
    assert Function.of(returns, None, 1).packages() == found


def test_threads_are_limited_within_and_restored_after():
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        for threads in (1, 3):
            with limit_threads(threads):
                assert torch.get_num_threads() == threads and os.environ["OMP_NUM_THREADS"] == str(threads)
            assert torch.get_num_threads() == 2
        with pytest.raises(ValueError), limit_threads(1):
            raise ValueError
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)


LATE = """
import os, sys
from seedspread.scripts.script import limit_threads
before = dict(os.environ)
with limit_threads(2):
    import torch
    print(torch.get_num_threads(), os.environ["MKL_NUM_THREADS"])
print(torch.get_num_threads(), os.environ == before)
"""


@pytest.mark.parametrize("given, after", [({"OMP_NUM_THREADS": "3"}, 3), ({}, len(os.sched_getaffinity(0)))])
def test_threads_of_a_torch_that_comes_within_are_those_of_the_process_after(given, after):
    environment = (
        {k: v for k, v in os.environ.items() if k != "OMP_NUM_THREADS"} | given | {"PYTHONPATH": str(ROOT / "src")}
    )
    done = subprocess.run([sys.executable, "-c", LATE], env=environment, capture_output=True, text=True)
    assert done.stdout == f"2 2\n{after} True\n", done.stderr


SCRIPT = """
import sys
import numpy as np
import seedspread as ss

def train(seed):
    import torch
    import random
    net = torch.nn.Linear(4, 3)
    data = torch.tensor(ss.streams().order.rng().normal(size=(64, 4)), dtype=torch.float32)
    ss.record(threads=torch.get_num_threads())
    for _ in range(3):
        loss = net(data).square().mean()
        loss.backward()
        with torch.no_grad():
            for p in net.parameters():
                p -= 0.1 * p.grad + 0.01 * torch.randn_like(p)
        yield {"loss": loss, "numpy": np.random.random(), "python": random.random()}

given = eval(sys.argv[1])
scores = ss.sweep(train, metric="loss", report=False, **given)
"""


@pytest.mark.slow
def test_a_seed_has_the_same_bits_here_in_a_worker_alone_and_as_the_8th(tmp_path):
    """For a function that imports torch itself, uses every global generator and never seeds."""
    (tmp_path / "script.py").write_text(SCRIPT)
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "src")}
    found = {}
    for study, more in (
        ("here", {"seeds": range(8), "jobs": 1}), ("workers", {"seeds": range(8), "jobs": 2}),
        ("alone", {"seeds": [7], "jobs": 1}), ("backwards", {"seeds": [7, 6, 0], "jobs": 1}),
        ("sole", {"seeds": [7], "jobs": 2}),
    ):  # fmt: skip
        done = subprocess.run(
            [sys.executable, "script.py", repr({"study": study, **more})],
            cwd=tmp_path, env=environment, capture_output=True, text=True,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        records = ss.Study.load(tmp_path / "results" / study).scan().records
        found[study] = {seed: (record.curves, record.final) for seed, record in records.items()}
    assert list(found["here"]) == list(range(8)) and found["here"] == found["workers"]
    for study in ("alone", "backwards", "sole"):
        assert found[study] == {seed: found["here"][seed] for seed in found[study]}
    assert len({json.dumps(one) for one in found["here"].values()}) == 8
    assert {final["threads"] for _, final in found["here"].values()} == {1}


SHELL = """
import seedspread as ss

def helper(x):
    return x / 100

class Net:
    def fit(self, seed):
        return {"rmse": helper(seed)}

def train(seed):
    return Net().fit(seed)

scores = ss.sweep(train, seeds=range(3), study="typed", metric="rmse", jobs=2, report=False)
print(scores.final.tolist())
"""


def test_functions_typed_in_a_shell_run_in_workers(tmp_path):
    """Standard input, as in `python` without a file: no source, no module, no `if __name__`."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "src")}
    for _ in range(2):
        done = subprocess.run(
            [sys.executable],
            input=textwrap.dedent(SHELL),
            cwd=tmp_path,
            env=environment,
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0 and done.stdout.rstrip().endswith("[0.0, 0.01, 0.02]"), done.stdout + done.stderr
    assert "3 of 3 seeds have their records" in done.stdout
