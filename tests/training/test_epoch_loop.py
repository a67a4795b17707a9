"""Steps taken in runs: the bits, the counters and the checkpoints of Lightning's own loop."""

import lightning as L
import pytest

from seedspread.commands.train import train
from seedspread.training import run as training_run
from seedspread.training.callbacks.checkpoints import Checkpoints
from seedspread.training.epoch_loop import EpochLoop
from seedspread.training.module import Classifier
from tests.training.test_resume import same


class Watcher(L.Callback):
    """Looks at each step; `seen` are the positions and learning rates after each."""

    def __init__(self) -> None:
        self.seen = []

    def on_train_batch_end(self, trainer, module, outputs, batch, batch_idx):
        rates = [group["lr"] for group in trainer.optimizers[0].param_groups]
        self.seen.append((trainer.current_epoch, batch_idx, trainer.global_step, rates))


class Casual(Watcher):
    """As Watcher, but content with the last step of a run."""

    every_step = False


@pytest.fixture
def both(monkeypatch):
    """Train with a callback that looks at each step, and by runs; both records and what the callbacks have seen."""

    def trained(make, *overrides):
        records, seen, fit = [], [], training_run.fit
        for callback in (Watcher(), Casual()):
            with monkeypatch.context() as patch:
                patch.setattr(training_run, "fit", lambda c, m, d, cb, *rest, w=callback: fit(c, m, d, [*cb, w], *rest))
                records.append(train(make(f"study={type(callback).__name__.lower()}", *overrides)))
            seen.append(callback.seen)
        return records, seen

    return trained


@pytest.mark.parametrize(
    "overrides",
    [
        (),
        ("trainer.precision=bf16-mixed",),
        ("schedule=warmup_cosine", "schedule.warmup=1.25", "trainer.gradient_clip_val=0.5"),
        ("+trainer.accumulate_grad_batches=5", "schedule=linear", "schedule.warmup=0.5"),
        ("+trainer.gradient_clip_algorithm=value", "trainer.gradient_clip_val=0.01"),
        ("+trainer.val_check_interval=0.4",),
        ("trainer.max_steps=17",),
        ("butterfly=1",),
        ("data.validation=0.1",),
    ],
    ids=lambda overrides: " ".join(overrides) or "digits",
)
def test_runs_of_steps_have_the_bits_and_the_counters_of_single_ones(small, both, overrides):
    (one, other), (every, last) = both(small, *overrides)
    assert same(one, other)
    assert set(map(str, last)) <= set(map(str, every)) and every[-1] == last[-1]
    assert len(last) < len(every) / 2, "no run was taken"


def test_a_probe_takes_runs(probe, both):
    (one, other), (every, last) = both(probe)
    assert same(one, other) and len(last) < len(every)


@pytest.mark.parametrize(
    "due, written",
    [({"every_minutes": 1e-9, "every_n_epochs": None}, 22), ({"every_minutes": None, "every_n_epochs": 1}, 1)],
)
def test_a_checkpoint_that_is_due_ends_a_run(small, monkeypatch, due, written):
    steps, write = [], Checkpoints._write
    monkeypatch.setattr(
        Checkpoints,
        "_write",
        lambda self, trainer, path: steps.append(trainer.global_step) or write(self, trainer, path),
    )
    train(small(*(f"checkpoint.{key}={'null' if value is None else value}" for key, value in due.items())))
    assert len(steps) == written and (written > 1 or steps == [13]), steps


@pytest.mark.parametrize(
    "overrides, name",
    [
        ((), None),
        (("callbacks=gradient_norms",), "GradientNorms.on_before_optimizer_step"),
        (("+callbacks.mine._target_=tests.training.test_epoch_loop.Watcher",), "Watcher.on_train_batch_end"),
        (("trainer.precision=16-true",), "trainer.precision=16-true"),
        (("+trainer.profiler=simple",), "a profiler"),
    ],
)
def test_what_looks_at_single_steps_is_named(small, monkeypatch, overrides, name):
    found, teardown = [], EpochLoop.teardown
    monkeypatch.setattr(EpochLoop, "teardown", lambda self: found.append(self._observer) or teardown(self))
    train(small("trainer.max_epochs=1", *overrides))
    assert found == [name]


class Scorer(L.Callback):
    """Looks at each scored batch; `seen` are their numbers."""

    def __init__(self) -> None:
        self.seen = []

    def on_validation_batch_end(self, trainer, module, outputs, batch, batch_idx):
        self.seen.append(batch_idx)


def test_a_callback_that_looks_at_scored_batches_gets_each(small, monkeypatch):
    fit, scorer = training_run.fit, Scorer()
    one = train(small("study=one", "data.score_batch_size=200"))
    monkeypatch.setattr(training_run, "fit", lambda c, m, d, cb, *rest: fit(c, m, d, [*cb, scorer], *rest))
    assert same(one, train(small("study=other", "data.score_batch_size=200")))
    assert scorer.seen == [0, 1, 2] * 2


def test_a_signal_waits_for_no_more_than_a_run(small, monkeypatch):
    """With no time for a run each step is one: so the time is looked at in each."""
    monkeypatch.setattr("seedspread.training.epoch_loop.SECONDS", -1.0)
    calls, step = [], EpochLoop._take_step
    monkeypatch.setattr(
        EpochLoop, "_take_step", lambda *given, ends_run=False: calls.append(ends_run) or step(*given, ends_run)
    )
    train(small())
    assert all(calls) and len(calls) == 2 * 12 - 1


def test_a_module_with_a_hook_of_its_own_is_named(small, monkeypatch):
    found, teardown = [], EpochLoop.teardown
    monkeypatch.setattr(EpochLoop, "teardown", lambda self: found.append(self._observer) or teardown(self))
    monkeypatch.setattr(Classifier, "optimizer_step", lambda *given: L.LightningModule.optimizer_step(*given))
    train(small("trainer.max_epochs=1"))
    assert found == ["Classifier.optimizer_step"]
