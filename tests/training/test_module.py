"""Waiting for the device makes a seed slow: it happens once an epoch."""

import lightning as L
import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from seedspread.commands.train import train
from seedspread.training import run as training_run
from seedspread.training.module import METRICS, Classifier

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


def test_callbacks_monitor_what_each_epoch_logs(small, monkeypatch):
    """As EarlyStopping and ModelCheckpoint do, after scoring."""
    seen, fit = [], training_run.fit

    class Monitor(L.Callback):
        def on_validation_end(self, trainer, module):
            seen.append({name: float(trainer.callback_metrics[name]) for name in METRICS})

    monkeypatch.setattr(training_run, "fit", lambda c, m, d, cb, *rest: fit(c, m, d, [*cb, Monitor()], *rest))
    record = train(small("seed=0"))
    for name in METRICS:
        assert [metrics[name] for metrics in seen] == pytest.approx(record.curves[name], rel=1e-6)


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
