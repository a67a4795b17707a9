"""How many operators a step takes, and that none of them waits for a GPU.

A small step on a GPU takes as long as the host needs to launch its operators: a loop over examples, heads or layers
that comes into a step is found here by their number. `benchmarks/step.py --profile` counts them on a GPU.
"""

from functools import wraps

import numpy as np
import pytest
import torch
from torch._subclasses.fake_tensor import DataDependentOutputException, FakeTensorMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from seedspread.commands.train import train
from seedspread.config.streams import Streams
from seedspread.data import feature_data
from seedspread.data.augment import Augmentation
from seedspread.data.feature_data import ProbeLoader, SharedFeatures
from seedspread.data.features import Features
from seedspread.data.loader import Normaliser, ScoreLoader, TrainLoader
from seedspread.models.linear_probe import LinearProbe
from seedspread.models.resnet9 import ResNet9
from seedspread.training.epoch_loop import EpochLoop
from seedspread.training.heads import StackedClassifier, StackedLoader
from seedspread.training.losses import SharpAndSmoothed
from seedspread.training.module import Classifier
from tests.training.inline import train_seeds
from tests.training.test_heads import Counter


@pytest.fixture
def operators(monkeypatch):
    """Count the operators, views left out, of each call of a method, or of each item that it yields."""

    def watch(owner, name):
        counts, function = [], getattr(owner, name)

        @wraps(function)  # Lightning asks for the signature
        def counted(*given, **more):
            with Counter() as counter:
                result = function(*given, **more)
            counts.append(counter.calls)
            return result

        @wraps(function)
        def counted_items(*given):
            items = iter(function(*given))
            while True:
                with Counter() as counter:
                    item = next(items, None)
                if item is None:
                    return
                counts.append(counter.calls)
                yield item

        monkeypatch.setattr(owner, name, counted_items if name == "__iter__" else counted)
        return counts

    return watch


NOISE = ("data.read._target_=benchmarks.rivals.random_pictures", "data.source=400x200", "data.train_size=null")
QUICK = ("experiment=cifar_quick", *NOISE, "data.test_size=null", "model.width=4")


@pytest.mark.parametrize(
    "overrides, in_a_step, in_a_score",
    [
        (("experiment=digits", "trainer.precision=32-true"), 130, 46),
        ((*QUICK, "trainer.precision=bf16-mixed"), 142, 58),
    ],
    ids=["digits, fp32", "cifar_quick, bf16"],
)
def test_a_step_of_pictures_takes_few_operators(config, operators, overrides, in_a_step, in_a_score):
    """Forward, backward and the update of all tensors at once; 127, and 138 with the casts to bf16, on torch 2.14."""
    steps, scores = operators(EpochLoop, "_take_step"), operators(Classifier, "validation_step")
    train(config("trainer=cpu", "trainer.max_epochs=2", *overrides))
    assert len(steps) > 4 and max(steps) <= in_a_step
    assert len(scores) > 1 and max(scores) <= in_a_score


@pytest.mark.parametrize("whole, most", [(True, 2), (False, 26)])
def test_a_batch_takes_few_operators(config, operators, whole, most, monkeypatch):
    """Two gathers where the epoch is augmented whole, as on a GPU."""
    monkeypatch.setattr(TrainLoader, "_has_room", lambda self: whole)
    batches = operators(TrainLoader, "__iter__")
    train(config("trainer=cpu", "trainer.max_epochs=1", *QUICK))
    assert len(batches) == 4 and max(batches[1:]) <= most and batches[0] <= 26


@pytest.mark.parametrize("heads", [3, 9])
def test_a_step_of_many_heads_takes_as_many_operators_as_one_of_few(probe, operators, heads):
    steps, scores = operators(EpochLoop, "_take_step"), operators(StackedClassifier, "validation_step")
    batches = operators(StackedLoader, "__iter__")
    assert train_seeds(probe(f"stack={heads}", "data.score_batch_size=5"), range(heads)) == 0
    assert len(steps) == 11 and max(steps) <= 62
    assert len(scores) == 9 and max(scores) <= 17
    assert len(batches) == 12 and max(batches) <= 2


class Device(TorchDispatchMode):
    """A GPU that nobody has: raises at whatever would make the host wait for it, within FakeTensorMode.

    That mode raises where the host reads a value, also of a tensor on the CPU; this one where an operator takes tensors
    of both sides, or where a copy between them is not queued. Numbers in tensors of no dimension are no copies.
    """

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        out = func(*args, **(kwargs or {}))
        tensors = [leaf for leaf in tree_leaves((args, kwargs, out)) if isinstance(leaf, torch.Tensor) and leaf.ndim]
        queued = (kwargs or {}).get("non_blocking") or (func.name() == "aten::copy_" and args[2:3] == (True,))
        if len({tensor.device.type for tensor in tensors}) > 1 and not (queued and out.device.type == "cuda"):
            raise AssertionError(f"the host waits in {func.name()}: {[str(tensor.device) for tensor in tensors]}")
        return out


@pytest.fixture
def gpu():
    """Tensors are made on a GPU without memory, on which nothing is computed."""
    with FakeTensorMode(), torch.device("cuda"):
        yield torch.device("cuda")


@pytest.mark.parametrize(
    "wait",
    [
        lambda x: x.sum().item(),
        lambda x: x.mean(1).tolist(),
        lambda x: bool(x.sum() > 0),
        lambda x: x.cpu(),
        lambda x: x.to("cpu", non_blocking=True),
        lambda x: x[torch.zeros(3, dtype=torch.int64, device="cpu")],
        lambda x: x + torch.ones(5, device="cpu").to("cuda"),
    ],
    ids=["item", "tolist", "bool", "cpu", "unfinished copy", "index on the CPU", "copy from the CPU"],
)
def test_what_waits_is_found(gpu, wait):
    with pytest.raises((AssertionError, DataDependentOutputException)), Device():
        wait(torch.zeros(4, 5))


def update(weights):
    """The optimizer's step, with gradients that are at hand.

    None from a loss: autograd's engine asks the driver for the device. The operators of backward are counted above. Not
    by the fused kernel, one operator, which FakeTensorMode does not know.
    """
    for weight in weights:
        weight.grad = torch.zeros_like(weight)
    torch.nn.utils.clip_grad_norm_(weights, 1.0)
    torch.optim.SGD(weights, 0.1, momentum=0.9, nesterov=True, weight_decay=1e-3, foreach=True).step()


@pytest.mark.parametrize("granularity", ["chunk", "image"])
@pytest.mark.parametrize("whole", [True, False])
def test_no_step_of_pictures_waits_for_a_gpu(gpu, whole, granularity, monkeypatch):
    monkeypatch.setattr(TrainLoader, "_has_room", lambda self: whole)
    classifier, normalise = Classifier(ResNet9(1, 10, 4), SharpAndSmoothed(), None), Normaliser((0.3,), (0.4,), 8, gpu)
    classifier._train_sums, classifier._score_loss = torch.zeros(3), torch.zeros(())
    pictures = torch.zeros((40, 8, 8, 1), dtype=torch.uint8), torch.zeros(40, dtype=torch.int64)
    loader = TrainLoader(*pictures, 10, normalise, Streams.of(0), Augmentation(1, True, 2, granularity))
    with Device():
        for batch in loader:
            assert classifier.training_step(batch).requires_grad
            update([*classifier.parameters()])
        for batch in ScoreLoader(*pictures, 15, normalise):
            classifier.validation_step(batch)


class Resident(SharedFeatures):
    """Features of 24 pictures in two views that lie in the memory of a GPU."""

    def __init__(self, device):
        n, views, d, labels = 24, 2, 6, np.zeros(24, np.int64)
        kept = np.zeros((n, views, d), np.float16), np.arange(n), labels
        self.features, self.device = Features(*kept, kept[0][:, 0], *kept[1:], ("a", "b"), ""), device
        self.train_labels = torch.zeros(n, dtype=torch.int64)
        vars(self)["_resident"] = torch.zeros((n * views, d), dtype=torch.float16)


@pytest.mark.parametrize("heads", [1, 5])
def test_no_step_of_heads_waits_for_a_gpu(gpu, heads, monkeypatch):
    """Of one head alone, and of a stack."""
    monkeypatch.setattr(torch.Tensor, "pin_memory", lambda self: self)
    monkeypatch.setattr(ProbeLoader, "draw", lambda self: (np.arange(24), np.arange(24) % 2))
    shared = Resident(gpu)
    alone = [Classifier(LinearProbe(6, 2), SharpAndSmoothed(), None) for _ in range(heads)]
    classifier = alone[0] if heads == 1 else StackedClassifier(alone, [])
    classifier._train_sums, classifier._score_loss = torch.zeros(heads, 3).squeeze(0), torch.zeros(heads).squeeze(0)
    loaders = [ProbeLoader(shared, 8, Streams.of(seed)) for seed in range(heads)]
    loader = iter(loaders[0] if heads == 1 else StackedLoader(loaders))  # an epoch begins with one copy of its order
    scores = feature_data.ScoreLoader(shared.features, 10, gpu)
    with Device():
        for batch in loader:
            assert classifier.training_step(batch).requires_grad
            update([*classifier.model.parameters()])
        for batch in scores:
            classifier.validation_step(batch)
