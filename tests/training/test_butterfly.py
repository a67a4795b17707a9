"""One bit of one weight: exactly that is flipped, once, and all else is as without it."""

import lightning as L
import numpy as np
import pytest
import torch
from torch import nn

from seedspread.commands.train import train
from seedspread.config.errors import InputError
from seedspread.config.identity import study_identity
from seedspread.config.resolve import resolve_config
from seedspread.config.streams import Stream
from seedspread.records.study import Study, study_folder
from seedspread.training import run as training_run
from seedspread.training.callbacks.butterfly import INTEGERS, flip_lowest_bit
from seedspread.training.seeding import generator_states

HELD = tuple(f"streams.{name}=0" for name in ("init", "order", "augment", "other", "split"))


def bits(tensor):
    """The bits of each element, as integers."""
    return tensor.detach().contiguous().view(INTEGERS[tensor.element_size()]).clone() if tensor.ndim else tensor.clone()


def changed_bits(before, after):
    """Name, place and bits that differ of each element that does."""
    for name, one in before.items():
        for place in (one != after[name]).nonzero().tolist():
            yield f"{name}{place}", int(one[tuple(place)] ^ after[name][tuple(place)])


class Watch(L.Callback):
    """Keeps at the start of each epoch what a flip could change: all bits, the optimizer, all generators."""

    def __init__(self) -> None:
        self.seen = []

    def on_train_epoch_start(self, trainer, pl_module):
        states = [value for state in trainer.optimizers[0].state.values() for value in state.values()]
        momenta = [bits(value) for value in states if torch.is_tensor(value)]
        tensors = {name: bits(tensor) for name, tensor in pl_module.state_dict().items()}
        self.seen.append((tensors, momenta, generator_states()))


@pytest.fixture
def watched(small, monkeypatch):
    """Train with a watch before the seed's callbacks and one behind them; the record and both."""

    def run(*overrides):
        fit, before, after = training_run.fit, Watch(), Watch()
        with monkeypatch.context() as patch:
            patch.setattr(training_run, "fit", lambda c, m, d, cb, *rest: fit(c, m, d, [before, *cb, after], *rest))
            return train(small(*overrides)), before.seen, after.seen

    return run


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16, torch.float16])
@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_one_bit_of_one_weight_is_flipped_and_comes_back(dtype, layout):
    network = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4)).to(dtype=dtype, memory_format=layout)
    before = {name: bits(tensor) for name, tensor in network.state_dict().items()}
    named = flip_lowest_bit(network, np.random.default_rng(1))
    after = {name: bits(tensor) for name, tensor in network.state_dict().items()}
    assert list(changed_bits(before, after)) == [(named, 1)]
    assert flip_lowest_bit(network, np.random.default_rng(1)) == named, "the place is drawn, whatever the bits"
    assert not list(changed_bits(before, {name: bits(tensor) for name, tensor in network.state_dict().items()}))


def test_every_weight_that_is_trained_and_not_zero_is_drawn_alike():
    network = nn.Sequential(nn.Linear(3, 2), nn.BatchNorm1d(2), nn.Linear(2, 2))
    network[2].requires_grad_(False)
    nn.init.constant_(network[0].bias, 0.0)
    rng, drawn = np.random.default_rng(0), {}
    for _ in range(800):
        named = flip_lowest_bit(network, rng)
        drawn[named] = drawn.get(named, 0) + 1
    # 6 weights and 2 scales of 1; the biases are 0. Of 100 expected each, 60 is 4 standard deviations below.
    assert set(drawn) == {f"0.weight[{i}, {j}]" for i in range(2) for j in range(3)} | {"1.weight[0]", "1.weight[1]"}
    assert min(drawn.values()) > 60


def test_a_scalar_is_a_weight_and_zeros_alone_are_none():
    network = nn.Module()
    network.scale = nn.Parameter(torch.tensor(1.0))
    assert flip_lowest_bit(network, np.random.default_rng(0)) == "scale[]" and network.scale.item() == 1 + 2**-23
    nn.init.constant_(network.scale, 0.0)
    with pytest.raises(InputError, match="butterfly=0: no trained weight to flip a bit of; all are 0"):
        flip_lowest_bit(network, np.random.default_rng(0), "butterfly=0")


@pytest.mark.parametrize("epoch", [0, 1])
def test_at_its_epoch_one_bit_changes_and_nothing_else_at_any(watched, epoch):
    record, before, after = watched("seed=3", f"butterfly={epoch}")
    assert len(before) == len(after) == 2
    for at, ((tensors, momenta, generators), (flipped, momenta_after, generators_after)) in enumerate(
        zip(before, after, strict=True)
    ):
        assert list(changed_bits(tensors, flipped)) == ([(record.flipped, 1)] if at == epoch else [])
        assert str(generators) == str(generators_after) and len(momenta) == len(momenta_after)
        assert all(torch.equal(*pair) for pair in zip(momenta, momenta_after, strict=True))


def test_runs_are_one_until_their_flip_and_flip_distinct_places(small):
    still = train(small("study=still", *HELD))
    assert train(small("study=again", "seed=1", *HELD)).weights_sha256 == still.weights_sha256 and not still.flipped
    runs = [train(small("study=late", f"seed={seed}", "butterfly=1", *HELD)) for seed in range(3)]
    assert {record.curves["train/loss"][0] for record in runs} == {still.curves["train/loss"][0]}
    assert all(record.streams == still.streams for record in runs)
    assert len({record.flipped for record in runs}) == 3
    assert len({record.weights_sha256 for record in [still, *runs]}) == 4
    study = Study.load(study_folder(small().results, "late"))
    assert study.config["butterfly"] == 1 and study.record(2).flipped == runs[2].flipped


def test_every_run_of_a_study_draws_a_place_of_its_own():
    """Of 320,000 weights hardly two of 100 runs draw the same; a later epoch flips the same place."""
    drawn = [Stream("butterfly", seed).rng().integers(320_000) for seed in range(100)]
    assert len(set(drawn)) == 100
    assert Stream("butterfly", 3).rng().integers(10**9) != Stream("other", 3).rng().integers(10**9)


def test_without_a_flip_the_identity_of_a_study_is_as_it_was(small):
    plain, flipped = (study_identity(resolve_config(small(*key))) for key in ((), ("butterfly=0",)))
    assert "butterfly" not in plain and {**plain, "butterfly": 0} == flipped


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ("2", "butterfly=2: choose an epoch below trainer.max_epochs=2"),
        ("-1", "butterfly=-1: a whole number of at least"),
    ],
)
def test_an_epoch_that_never_comes_is_refused(small, given, says):
    with pytest.raises(InputError, match=says):
        train(small(f"butterfly={given}"))


def test_a_checkpoint_from_after_the_epoch_that_lacks_the_flip_is_refused(small):
    every = ("checkpoint.keep=true", "study=other", "trainer.max_epochs=1")
    train(small(*every))
    kept = study_folder(small().results, "other") / "checkpoints" / "000000.final.ckpt"
    with pytest.raises(InputError, match="butterfly=0: the checkpoint is of a later step, without this flip"):
        train(small("butterfly=0", f"ckpt_path={kept}", "study=mine"))
    later = train(small("butterfly=1", f"ckpt_path={kept}", "study=later"))
    whole = train(small("butterfly=1", "study=whole"))
    assert later.flipped == whole.flipped and later.weights_sha256 == whole.weights_sha256
