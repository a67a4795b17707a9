"""The streams and seeds that code of the user's draws from; their bits are part of what a seed reproduces."""

import os
import random
import subprocess
import sys

import numpy as np
import pytest
import torch

import seedspread as ss
from seedspread.config.errors import InputError
from seedspread.scripts.generators import SEED_VARIABLE, seeded
from seedspread.training.seeding import draw_from
from tests.conftest import ROOT


def draw_global():
    return random.random(), np.random.random(), torch.rand(()).item()


@pytest.fixture(autouse=True)
def _keep_states():
    states = random.getstate(), np.random.get_state(), torch.get_rng_state()
    yield
    random.setstate(states[0]), np.random.set_state(states[1]), torch.set_rng_state(states[2])


def test_without_a_seed_that_runs_one_is_to_be_named(monkeypatch):
    monkeypatch.delenv(SEED_VARIABLE, raising=False)
    for call in (ss.streams, ss.seed_everything):
        with pytest.raises(InputError, match="no seed runs here: name one"):
            call()
    assert ss.streams(3).seeds()["init"] == 3 and ss.seed_everything(np.int64(3)) == 3


@pytest.mark.parametrize("seed", [-1, 2**63, 1.5, "3", True])
def test_what_is_no_seed_is_refused(seed):
    with pytest.raises(InputError, match=f"seed={seed}: a seed is a whole number"):
        ss.streams(seed)


def test_within_a_function_it_is_the_seed_that_runs(monkeypatch):
    monkeypatch.setenv(SEED_VARIABLE, "9")
    with seeded(5):
        assert ss.streams() == ss.streams(5) and ss.seed_everything() == 5
        with seeded(6):
            assert ss.streams() == ss.streams(6)
        assert ss.streams() == ss.streams(5)
        assert ss.streams(7).init.seed == 7
    assert ss.streams() == ss.streams(9)


def test_within_a_program_it_is_that_of_the_environment(monkeypatch):
    monkeypatch.setenv(SEED_VARIABLE, "12")
    assert ss.streams() == ss.streams(12) and ss.seed_everything() == 12
    monkeypatch.setenv(SEED_VARIABLE, "twelve")
    with pytest.raises(InputError, match=f"{SEED_VARIABLE}=twelve: a seed is a whole number"):
        ss.streams()


@pytest.mark.parametrize("name", ["init", "order", "augment", "other", "split"])
def test_torchs_generator_draws_what_training_draws_from_the_stream(name):
    stream = getattr(ss.streams(3), name)
    with draw_from(stream):
        there = torch.rand(10)
    assert torch.equal(torch.rand(10, generator=stream.torch_generator()), there)
    assert not torch.equal(torch.rand(10, generator=stream.torch_generator(1)), there)
    assert not torch.equal(torch.rand(10, generator=getattr(ss.streams(4), name).torch_generator()), there)


def test_the_numbers_of_a_seed_stay_what_they_are():
    """Pinned: another value here is another result for every study of functions and programs."""
    ss.seed_everything(3)
    assert draw_global() == (0.7545020879180687, 0.131089643922498, 0.33237916231155396)
    assert ss.streams(3).init.rng().random() == 0.5413696492633944
    assert torch.rand((), generator=ss.streams(3).init.torch_generator()).item() == 0.8420324921607971


def test_seeding_twice_gives_the_same_and_a_sweep_seeds_in_the_same_way():
    ss.seed_everything(3)
    first = draw_global()
    with seeded(3):
        assert draw_global() == first
    ss.seed_everything(4)
    assert not set(draw_global()) & set(first)


IMPORTING = """
import json, sys
{first}
from seedspread.scripts.generators import seeded
with seeded(3):
    import random
    import numpy as np
    drawn = [random.random(), np.random.random()]
    import torch
    print(json.dumps([*drawn, torch.rand(()).item(), len(sys.meta_path)]))
print(len(sys.meta_path))
"""


def test_what_a_function_draws_does_not_depend_on_what_was_imported_before():
    """The first seed of a process imports torch within the function, the eighth has it: the same bits."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "src")}
    said = [
        subprocess.run(
            [sys.executable, "-c", IMPORTING.format(first=first)], env=environment, capture_output=True, text=True
        )
        for first in ("", "import torch; torch.rand(3)")
    ]
    assert said[0].stdout == said[1].stdout, said[0].stderr
    with seeded(3):
        assert said[0].stdout.startswith(f"[{', '.join(map(str, draw_global()))}")
