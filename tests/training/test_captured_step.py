"""Captured steps without a GPU: a tape stands in for the CUDA graph."""

from types import SimpleNamespace

import pytest
import torch
from lightning.pytorch.strategies import Strategy
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from seedspread.commands.train import train
from seedspread.config.errors import InputError
from seedspread.config.resolve import check_capture, resolve_config, stack_size
from seedspread.models.resnet9 import ResNet9
from seedspread.records.study import Study
from seedspread.training import captured_step, compilation
from seedspread.training.captured_step import WARM_UP, CapturedStep, check_captured
from seedspread.training.losses import SharpAndSmoothed
from seedspread.training.module import Classifier
from tests.training.inline import train_seeds
from tests.training.test_resume import same


class Tape(TorchDispatchMode):
    """Repeats operators on the tensors and with the numbers of the time at which it recorded them, as a graph does.

    Nothing of the Python between them runs again, and what they return is written where it was. Unlike a graph it
    computes while it records, so that the first replay has nothing to do.
    """

    made: list["Tape"] = []  # noqa: RUF012

    def __init__(self):
        super().__init__()
        self.made.append(self)
        self.operators, self.replays = [], 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        assert func.name() != "aten::_local_scalar_dense", "a value is read while a graph is captured"
        out = func(*args, **(kwargs or {}))
        if not func.is_view:
            self.operators.append((func, args, kwargs or {}, out))
        return out

    def warm_up(self, function):
        function()

    def capture(self, function):
        with self:
            function()

    @torch.no_grad()
    def replay(self):
        self.replays += 1
        if self.replays == 1:
            return
        for func, args, kwargs, out in self.operators:
            for kept, new in zip(tree_leaves(out), tree_leaves(func(*args, **kwargs)), strict=True):
                if isinstance(kept, torch.Tensor) and kept is not new:
                    kept.copy_(new)


@pytest.fixture
def tapes(monkeypatch):
    """Let steps be captured on a CPU; the tapes that were made."""
    monkeypatch.setattr(captured_step, "CudaGraph", Tape)
    monkeypatch.setattr("seedspread.config.resolve.check_capture", lambda cfg: None)
    Tape.made = []
    yield Tape.made
    captured_step._latest = None
    compilation._networks.clear()


@pytest.mark.parametrize(
    "overrides",
    [
        ("trainer.precision=bf16-mixed",),
        ("schedule=warmup_cosine", "schedule.warmup=1.25", "trainer.gradient_clip_val=0.5"),
        ("optimizer=adamw", "+trainer.val_check_interval=0.4"),
        (
            "butterfly=1",
            "data.validation=0.1",
            "loss._target_=torch.nn.CrossEntropyLoss",
            "~loss.weight",
            "~loss.smoothing",
        ),
    ],
    ids=lambda overrides: overrides[0],
)
def test_captured_steps_have_the_bits_of_ordinary_ones(small, tapes, overrides):
    ordinary = train(small("study=ordinary", *overrides))
    assert not tapes
    assert same(ordinary, train(small("study=captured", "capture=true", *overrides)))
    (tape,) = tapes
    steps = 2 * (ordinary.train_examples // 100)
    assert tape.replays == steps - 1 - WARM_UP


def test_one_graph_serves_all_seeds_at_the_same_addresses(small, tapes, tmp_path, monkeypatch):
    """No seed leaves a trace in the next, though a fit that ends moves its module off the GPU."""
    places, set_gradients, teardown = set(), CapturedStep.set_gradients, Strategy.teardown

    def noted(step, *given):
        loss = set_gradients(step, *given)
        if step.gradients:
            held = [*step.weights, *(weight.grad for weight in step.weights), *step.network.buffers(), *step.batch]
            places.add(tuple(tensor.data_ptr() for tensor in (*held, step.sums)))
        return loss

    def moved(strategy):
        strategy.lightning_module._apply(torch.clone)  # to other memory, as to another device
        teardown(strategy)

    monkeypatch.setattr(CapturedStep, "set_gradients", noted)
    monkeypatch.setattr(Strategy, "teardown", moved)

    def hashes(name, seeds, *overrides):
        cfg = small(f"study={name}", f"results={tmp_path}/{name}", "trainer.max_epochs=1", *overrides)
        assert train_seeds(cfg, seeds) == 0
        records = Study.load(tmp_path / name / name).scan().records
        return {seed: record.weights_sha256 for seed, record in records.items()}

    captured = hashes("captured", [0, 1, 2], "capture=true")
    assert len(tapes) == 1 and tapes[0].replays == 3 * 11 - WARM_UP and len(places) == 1
    assert captured == hashes("ordinary", [0, 1, 2]) and len(set(captured.values())) == 3
    hashes("other loss", [0], "capture=true", "loss.weight=1.0")
    assert len(tapes) == 2 and len(places) == 2


def test_a_batch_of_another_size_takes_the_ordinary_step(tapes):
    module = Classifier(ResNet9(1, 10, 4), SharpAndSmoothed(), None)
    batches = {n: (torch.randn(n, 1, 8, 8), torch.zeros(n, dtype=torch.int64)) for n in (4, 3)}
    assert captured_step.captured_step(module, batches[4]) is captured_step.captured_step(module, batches[4])
    assert captured_step.captured_step(module, batches[3]) is None and len(tapes) == 1


def test_a_value_that_a_step_reads_is_found_by_the_tape(small, tapes):
    with pytest.raises(AssertionError, match="a value is read while a graph is captured"):
        train(
            small(
                "capture=true",
                "loss._target_=tests.training.test_captured_step.Reading",
                "~loss.weight",
                "~loss.smoothing",
            )
        )


class Reading(torch.nn.CrossEntropyLoss):
    """A loss that reads its value."""

    def forward(self, logits, labels):
        loss = super().forward(logits, labels)
        return loss * float(loss.item() > 0)


def test_captured_steps_need_a_gpu(small):
    with pytest.raises(
        InputError, match="capture=true: needs a CUDA device, and this trains on a CPU; set capture=false"
    ):
        train(small("capture=true"))


@pytest.mark.parametrize(
    "override, says",
    [
        ("callbacks=gradient_norms", "GradientNorms.on_before_optimizer_step takes each step for itself"),
        ("+trainer.accumulate_grad_batches=2", "trainer.accumulate_grad_batches=2: a graph holds the gradient of one"),
        ("+trainer.profiler=simple", "a profiler takes each step for itself"),
    ],
)
def test_what_a_graph_cannot_hold_is_refused(small, tapes, override, says):
    with pytest.raises(InputError, match=f"capture=true: {says}.*; set capture=false"):
        train(small("capture=true", override))


def test_networks_that_change_over_the_epochs_and_stacks_are_refused(probe, monkeypatch):
    with pytest.raises(InputError, match="capture=true: model=finetuned trains other layers"):
        check_captured(SimpleNamespace(model=SimpleNamespace(set_epoch=print)), None, 1)
    monkeypatch.setattr("seedspread.config.resolve.check_capture", lambda cfg: None)
    with pytest.raises(InputError, match="stack=2: capture=true does not treat each head alone"):
        stack_size(resolve_config(probe("stack=2", "capture=true")))


def test_compiled_code_that_captures_graphs_itself_is_refused(config):
    cfg = config("experiment=digits", "capture=true", "compile={mode:reduce-overhead}")
    cfg.trainer.accelerator = "gpu"
    with pytest.raises(InputError, match="capture=true: compile.mode=reduce-overhead captures graphs of its own"):
        check_capture(cfg)
