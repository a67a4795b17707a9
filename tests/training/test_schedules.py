"""Schedules, clipping and gradient norms: against closed forms, torch's own and a loop written by hand."""

import math
from contextlib import nullcontext
from pathlib import Path

import lightning as L
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as some
from lightning.pytorch.plugins.precision import MixedPrecision
from torch.optim.lr_scheduler import CosineAnnealingLR, LinearLR

from seedspread.commands.train import train
from seedspread.config.errors import InputError, find_input_error
from seedspread.config.identity import compute_digest, study_identity
from seedspread.config.resolve import resolve_config
from seedspread.records.study import Study, study_folder
from seedspread.training import run as training_run
from seedspread.training.build import build_run, open_study
from seedspread.training.callbacks.gradient_norms import GradientNorms
from seedspread.training.reproduction import reproduce
from seedspread.training.run import fit
from seedspread.training.schedules import DECAYS, RiseAndFall, WarmUp


class Watch(L.Callback):
    """The rate and the gradient's norm of every step, as the optimizer is about to use them."""

    def __init__(self) -> None:
        self.rates, self.norms = [], []

    def on_before_optimizer_step(self, trainer, pl_module, optimizer):
        self.rates.append(optimizer.param_groups[0]["lr"])
        squares = sum(p.grad.double().square().sum() for p in pl_module.parameters())
        self.norms.append(math.sqrt(squares))


@pytest.fixture
def watched(small, monkeypatch):
    """Train with `overrides`; the record and what was seen of every step."""

    def run(*overrides):

        watch = Watch()
        with monkeypatch.context() as patch:
            patch.setattr(training_run, "fit", lambda c, m, d, cb, *rest: fit(c, m, d, [*cb, watch], *rest))
            record = train(small("seed=3", *overrides))
        return record, watch

    return run


def test_without_warm_up_the_decays_are_torchs_own():
    weight = torch.zeros(1, requires_grad=True)
    theirs = {
        "cosine": lambda optimizer: CosineAnnealingLR(optimizer, 40),
        "linear": lambda optimizer: LinearLR(optimizer, 1.0, 0.0, 40),
        "constant": lambda optimizer: LinearLR(optimizer, 1.0, 1.0, 40),
    }
    for decay in DECAYS:
        optimizer = torch.optim.SGD([weight], lr=1.0)
        schedule, rates = theirs[decay](optimizer), []
        for _ in range(40):
            rates.append(optimizer.param_groups[0]["lr"])
            optimizer.step()
            schedule.step()
        ours = [WarmUp(epochs=4, decay=decay).factor(step, 40, 10) for step in range(40)]
        assert ours == pytest.approx(rates, abs=1e-9)


@given(
    epochs=some.integers(1, 30),
    share=some.integers(0, 100).map(lambda percent: percent / 100),
    steps_an_epoch=some.integers(1, 50),
    decay=some.sampled_from(DECAYS),
)
def test_any_warm_up_rises_in_equal_steps_to_1_and_never_rises_again(epochs, share, steps_an_epoch, decay):
    schedule, steps = WarmUp(epochs, share * epochs, decay), epochs * steps_an_epoch
    factors = np.array([schedule.factor(step, steps, steps_an_epoch) for step in range(steps)])
    rise = share * epochs * steps_an_epoch
    rising = factors[: max(0, math.ceil(rise) - 1)]
    assert np.allclose(np.diff(rising, prepend=0), 1 / rise if rise else 0)
    assert (np.diff(factors[len(rising) :]) <= 0).all() and (factors > 0).all() and factors.max() <= 1
    if math.ceil(rise) < steps:
        assert factors[math.ceil(rise)] == pytest.approx(1, abs=3 / (steps - rise))


@pytest.mark.parametrize("name, decay", [("warmup_cosine", "cosine"), ("linear", "linear"), ("constant", "constant")])
def test_the_rate_of_every_step_of_a_seed(watched, name, decay):
    _, watch = watched(f"schedule={name}", "schedule.warmup=0.75", "optimizer.lr=0.1")
    schedule = WarmUp(2, 0.75, decay)  # 24 steps, 9 of them rising
    assert watch.rates == pytest.approx([0.1 * schedule.factor(step, 24, 12) for step in range(24)])
    assert watch.rates[:9] == pytest.approx(np.arange(1, 10) * 0.1 / 9)


def test_summed_gradients_count_as_one_step(watched):
    _, watch = watched("schedule=warmup_cosine", "schedule.warmup=1", "+trainer.accumulate_grad_batches=4")
    assert watch.rates == pytest.approx([0.2 * WarmUp(2, 1).factor(step, 6, 3) for step in range(6)])


@pytest.mark.parametrize("setting, steps", [("data.train_size=500", 5), ("data.batch_size=200", 6)])
def test_a_shorter_epoch_has_fewer_steps(watched, setting, steps):
    _, watch = watched("schedule=linear", "schedule.warmup=1", setting)
    expected = [WarmUp(2, 1, "linear").factor(step, 2 * steps, steps) for step in range(2 * steps)]
    assert watch.rates == pytest.approx(0.2 * np.array(expected))


@pytest.mark.parametrize(
    "overrides, says",
    [
        (["schedule=linear", "schedule.warmup=-1"], "schedule.warmup=-1: a number of epochs of at least 0"),
        (["schedule=linear", "schedule.warmup=soon"], "schedule.warmup=soon: a number of epochs"),
        (["schedule=linear", "schedule.warmup=nan"], "schedule.warmup=nan: a number of epochs"),
        (["schedule=warmup_cosine", "schedule.warmup=3"], "schedule.warmup=3: longer than .*trainer.max_epochs=2"),
        (["schedule=linear", "schedule.decay=steep"], "schedule.decay=steep: choose one of cosine, linear, constant"),
        (["trainer.gradient_clip_val=0"], "trainer.gradient_clip_val=0: a number above 0"),
        (["trainer.gradient_clip_val=-1.5"], "trainer.gradient_clip_val=-1.5: a number above 0"),
        (["trainer.gradient_clip_val=much"], "trainer.gradient_clip_val=much: a number above 0"),
    ],
)
def test_invalid_values_are_refused_before_training(small, overrides, says):
    cfg = small(*overrides)
    with pytest.raises(Exception) as raised:
        train(cfg)
    error = find_input_error(raised.value)
    assert error is not None and len(str(error).splitlines()) <= 2
    with pytest.raises(InputError, match=says):
        raise error
    assert not list(Path(cfg.results).glob("*/seeds/0*"))


def test_clipping_is_part_of_a_study_and_clips_the_norm_of_all_weights(watched, small):
    free, before = watched("study=free")
    clipped, watch = watched("study=clipped", "trainer.gradient_clip_val=0.5")
    assert clipped.weights_sha256 != free.weights_sha256 and watch.norms[0] == before.norms[0] > 0.5
    loose, _ = watched("study=loose", "trainer.gradient_clip_val=1e6")
    assert loose.weights_sha256 == free.weights_sha256
    digests = {
        compute_digest(study_identity(resolve_config(small(f"trainer.gradient_clip_val={value}"))))
        for value in ("null", 0.5, 1)
    }
    assert len(digests) == 3
    with pytest.raises(InputError, match="gradient_clip_val: 0.5 there, - now"):
        train(small("study=clipped", "seed=4"))


@pytest.mark.parametrize("more", [[], ["+trainer.accumulate_grad_batches=3"], ["trainer.gradient_clip_val=0.5"]])
def test_gradient_norms_are_those_of_the_steps_and_the_weights_do_not_move(watched, more):
    plain, _ = watched("study=plain", "trainer.precision=32-true", *more)
    record, watch = watched("study=norms", "callbacks=gradient_norms", "trainer.precision=32-true", *more)
    for field in ("weights_sha256", "predictions_sha256", "config_digest"):
        assert getattr(record, field) == getattr(plain, field)
    norms = np.array(watch.norms).reshape(2, -1)
    curves = record.curves
    assert curves["grad_norm/max"] == pytest.approx(norms.max(axis=1), rel=1e-5)
    assert curves["grad_norm/p90"] == pytest.approx(np.percentile(norms, 90, axis=1), rel=1e-5)
    assert record.final["grad_norm/max"] == curves["grad_norm/max"][-1]
    assert {key: line for key, line in curves.items() if not key.startswith("grad_norm")} == plain.curves


def test_gradient_norms_of_a_scaled_loss_are_those_without_the_scale(small, tmp_path):
    """By fp16's scaler over fp32 arithmetic: what a GPU does, where the fused optimizer takes the scale out itself."""

    class Scaled(MixedPrecision):
        def autocast_context_manager(self):
            return nullcontext()

    largest = []
    for scale, more in (None, "foreach=true"), (2.0**12, "foreach=true"), (2.0**12, "fused=true"):
        cfg, study = open_study(small(f"+optimizer.{more}", "trainer.precision=32-true", f"study=n{len(largest)}"))
        classifier, data, _, _ = build_run(cfg, study, 3)
        plugins = [Scaled("16-mixed", "cpu", torch.amp.GradScaler("cpu", init_scale=scale))] if scale else None
        quiet = {"logger": False, "enable_progress_bar": False, "enable_checkpointing": False}
        trainer = L.Trainer(
            accelerator="cpu", max_epochs=1, plugins=plugins, callbacks=[GradientNorms()], num_sanity_val_steps=0,
            enable_model_summary=False, default_root_dir=tmp_path, **quiet,
        )  # fmt: skip
        trainer.fit(classifier, datamodule=data)
        largest.append(float(trainer.callback_metrics["grad_norm/max"]))
    assert largest == pytest.approx([largest[0]] * 3, rel=0.02)


def test_a_study_takes_seeds_with_and_without_gradient_norms(small):
    train(small("seed=0"))
    train(small("seed=1", "callbacks=gradient_norms"))
    records = Study.load(study_folder(small().results, "digits")).scan().records
    assert "grad_norm/max" not in records[0].final and "grad_norm/max" in records[1].final


def test_a_seed_with_gradient_norms_is_reproduced_with_them(command, tmp_path):
    from hydra import initialize_config_dir

    from tests.conftest import CONF

    arguments = ["experiment=digits", "trainer.max_epochs=2", "callbacks=gradient_norms", "seed=3"]
    assert command(*arguments)[0] == 0
    with initialize_config_dir(CONF, version_base="1.3"):
        comparison = reproduce(Study.load(tmp_path / "results" / "digits"), 3)
    assert not comparison.differing and comparison.compared == 7 * 2 + 6


def test_a_seed_of_diverging_steps_keeps_its_norms(small):
    record = train(small("optimizer.lr=1e30", "callbacks=gradient_norms"))
    assert record.status == "diverged" and record.curves["grad_norm/max"] == [None]


# Factors of epochs 0 to 21, worked out by hand in thousandths of 1/19 where the line falls.
RISING = [0.01, 0.01 + 0.5 / 3, 0.01 + 1 / 3, 0.51]
FALLING = [0.01 + 0.5 * k / 19 for k in range(18, 0, -1)]


def test_the_schedule_value_by_value():
    factors = [RiseAndFall()(epoch) for epoch in range(45)]
    assert factors == pytest.approx(RISING + FALLING + [0.01] * 23, abs=1e-12)
    assert 0.2 * max(factors) == pytest.approx(0.102)
