"""Compiled networks: one compilation for all seeds, no trace of one in another."""

import pytest
import torch
from torch import nn

from seedspread.commands.train import train
from seedspread.config.errors import InputError
from seedspread.records.study import Study
from seedspread.training import compilation
from tests.training.inline import train_seeds


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
        return {seed: record.weights_sha256 for seed, record in records.items()}

    try:
        first = hashes("one", [0, 1, 2])
        assert compiled == [{"dynamic": False, "backend": "aot_eager"}]
        assert hashes("two", [2, 0]) == {0: first[0], 2: first[2]}
        assert len(set(first.values())) == 3
        assert len(compiled) == 1
        # A network that has just been compiled gives what one gives that others trained in.
        compilation._networks.clear()
        assert hashes("three", [1]) == {1: first[1]}
        assert len(compiled) == 2
    finally:
        compilation._networks.clear()
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
        "model._target_=tests.training.test_compilation.Shifted",
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
        return {seed: record.weights_sha256 for seed, record in records.items()}

    try:
        with torch._dynamo.config.patch(recompile_limit=4):
            first = hashes("one", 100, [0, 1])
            hashes("two", 50, [1])
            assert hashes("three", 100, [1]) == {1: first[1]}
    finally:
        compilation._networks.clear()
        torch._dynamo.reset()


@pytest.mark.parametrize("value", ["true", "default", "[1]"])
def test_compile_takes_the_arguments_of_torch_compile(small, value):
    with pytest.raises(InputError, match=r"compile=.*: arguments of torch.compile, for example compile="):
        train(small(f"compile={value}"))


def test_arguments_that_torch_compile_does_not_take_are_named(small):
    with pytest.raises(InputError, match=r"compile=.*mode.*fastest"):
        train(small("compile={mode:fastest}"))
    assert not compilation._networks
