"""A seed that is interrupted resumes from its checkpoint and ends with the bits of an uninterrupted one."""

import random
import signal
import time

import lightning as L
import pytest
import torch
from hydra import compose, initialize_config_dir
from torch import nn

from seedspread.commands.train import train
from seedspread.config.errors import InputError
from seedspread.records.study import Study, study_folder
from seedspread.training import run as training_run
from tests.conftest import CONF

EVERY_STEP = "checkpoint.every_minutes=1e-9"


class Interruption(L.Callback):
    """Raises before the step `at`."""

    def __init__(self, at: int) -> None:
        self.at = at

    def on_train_batch_start(self, trainer, *_):
        if trainer.global_step == self.at:
            raise RuntimeError("interrupted")


class Dropping(nn.Module):
    """A network that draws from the global generator in every step."""

    def __init__(self, pixels: int = 64) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Flatten(), nn.Dropout(0.3), nn.Linear(pixels, 10))

    def forward(self, images):
        return self.layers(images)


def same(one, other):
    fields = ("weights_sha256", "predictions_sha256", "epochs", "curves", "final", "status")
    return all(getattr(one, field) == getattr(other, field) for field in fields)


@pytest.fixture
def digits(small):
    """Three epochs of twelve steps, a checkpoint after every step."""
    return lambda *overrides: small("seed=3", "trainer.max_epochs=3", EVERY_STEP, *overrides)


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory, cache):
    """The record of that seed with these settings, trained without a break and without checkpoints; once for all."""
    fixed = [f"results={tmp_path_factory.mktemp('whole')}", f"data.cache={cache}", "experiment=digits", "trainer=cpu"]
    records = {}

    def trained(*setting):
        if setting not in records:
            with initialize_config_dir(CONF, version_base="1.3"):
                cfg = compose("train", [*fixed, "seed=3", "trainer.max_epochs=3", f"study=s{len(records)}", *setting])
            records[setting] = train(cfg)
        return records[setting]

    return trained


@pytest.fixture
def resumed(digits, small, monkeypatch):
    """Train with `overrides`, interrupted before the steps `at`, then to the end; the record and the study's folder."""

    def run(study, at, *overrides):
        fit = training_run.fit
        for step in at:
            with monkeypatch.context() as patch:
                # Not among the config's callbacks, which belong to the identity of a study.
                patch.setattr(
                    training_run, "fit", lambda c, m, d, cb, *rest, s=step: fit(c, m, d, [*cb, Interruption(s)], *rest)
                )
                with pytest.raises(RuntimeError, match="interrupted"):
                    train(digits(f"study={study}", *overrides))
        cfg = small("seed=3", "trainer.max_epochs=3", f"study={study}", *overrides)
        return train(cfg), study_folder(cfg.results, cfg.study)

    return run


@pytest.mark.parametrize("at", [(1,), (7,), (11,), (12,), (13,), (24,), (25,), (35,), (3, 17, 30)])
def test_interrupted_at_any_step_the_bits_are_those_of_an_uninterrupted_run(resumed, at, uninterrupted):
    whole = uninterrupted()
    record, folder = resumed("parts", at)
    assert same(record, whole) and record.resumed_from.endswith("checkpoints/000003.ckpt")
    assert record.seconds["train"] > 0 and not list((folder / "checkpoints").iterdir())


def test_networks_that_draw_while_training_resume_with_their_generator(resumed, uninterrupted):
    network = ("model._target_=tests.training.test_resume.Dropping", "~model.classes", "~model.channels")
    whole = uninterrupted(*network)
    assert same(resumed("parts", (16,), *network)[0], whole)


def test_half_precision_resumes_to_the_same_bits(resumed, uninterrupted):
    whole = uninterrupted("trainer.precision=bf16-mixed")
    assert same(resumed("parts", (14,), "trainer.precision=bf16-mixed")[0], whole)


@pytest.mark.parametrize("at", [13, 14, 15, 16, 17, 18])
@pytest.mark.parametrize(
    "setting", [("+trainer.accumulate_grad_batches=3",), ("+trainer.val_check_interval=0.5",)], ids=["sums", "scores"]
)
def test_summed_gradients_and_scores_within_an_epoch_are_not_lost(resumed, at, setting, uninterrupted):
    step = at // 3 if "accumulate" in setting[0] else at  # Lightning counts the optimizer's
    whole = uninterrupted(*setting)
    assert same(resumed("parts", (step,), *setting)[0], whole)


@pytest.mark.parametrize("at", [(7,), (12,), (13,), (20, 30)])
@pytest.mark.parametrize("schedule", ["warmup_cosine", "linear"])
def test_schedules_by_step_clipping_and_gradient_norms_resume_within_an_epoch(resumed, schedule, at, uninterrupted):
    setting = (f"schedule={schedule}", "schedule.warmup=1.25", "trainer.gradient_clip_val=1.0")
    setting += ("callbacks=gradient_norms",)
    whole = uninterrupted(*setting)
    record, _ = resumed("parts", at, *setting)
    assert same(record, whole) and record.resumed_from and "grad_norm/p90" in record.final


@pytest.mark.parametrize("at", [(1,), (11,), (12,), (13,), (14,), (24,), (30,), (12, 13), (10, 12, 14, 25)])
def test_a_seed_that_is_resumed_across_its_flip_flips_once(resumed, at, uninterrupted):
    """The flip stands before step 12."""
    whole = uninterrupted("butterfly=1")
    record, _ = resumed("parts", at, "butterfly=1")
    assert same(record, whole) and record.resumed_from and record.flipped == whole.flipped is not None
    assert not same(record, uninterrupted())


def test_a_seed_resumed_with_gradient_norms_has_the_norms_from_there_on(digits, resumed, monkeypatch):
    fit = training_run.fit
    with monkeypatch.context() as patch:
        patch.setattr(training_run, "fit", lambda c, m, d, cb, *rest: fit(c, m, d, [*cb, Interruption(30)], *rest))
        with pytest.raises(RuntimeError, match="interrupted"):
            train(digits("study=parts"))
    record, whole = train(digits("study=parts", "callbacks=gradient_norms")), train(digits("study=whole"))
    assert record.weights_sha256 == whole.weights_sha256 and record.resumed_from
    first, second, third = record.curves["grad_norm/max"]
    assert first is None and second is None and third > 0


def test_a_checkpoint_of_another_config_is_named_in_the_record(digits):
    cfg = digits("study=other", "optimizer.lr=0.1", "trainer.max_epochs=2", "checkpoint.keep=true")
    train(cfg)
    kept = study_folder(cfg.results, "other") / "checkpoints" / "000003.final.ckpt"
    record = train(digits("study=mine", f"ckpt_path={kept}"))
    other = Study.load(study_folder(cfg.results, "other"))
    assert record.resumed_from == str(kept) and record.resumed_from_config == other.digest


def test_after_every_epoch(resumed, uninterrupted):
    by_epoch = ("checkpoint.every_minutes=null", "checkpoint.every_n_epochs=1")
    whole = uninterrupted()
    record, _ = resumed("parts", (30,), *by_epoch)
    assert same(record, whole) and record.resumed_from


def test_short_seeds_write_none_and_kept_ones_have_the_trained_network(small):
    cfg = small("seed=3")
    record = train(cfg)
    folder = study_folder(cfg.results, cfg.study)
    assert record.resumed_from is None and not (folder / "checkpoints").exists()
    cfg = small("seed=3", "study=kept", "checkpoint.keep=true")
    train(cfg)
    (kept,) = (study_folder(cfg.results, cfg.study) / "checkpoints").iterdir()
    checkpoint = torch.load(kept, weights_only=True)
    assert kept.name == "000003.final.ckpt" and checkpoint["epoch"] == cfg.trainer.max_epochs
    assert {"python", "numpy", "torch", "cuda"} == checkpoint["generator_states"].keys()


def test_a_corrupted_checkpoint_is_named_and_the_seed_starts_from_the_beginning(digits, resumed, capsys, uninterrupted):
    whole = uninterrupted()
    folder = resumed("parts", (9,))[1]
    (folder / "seeds" / "000003.json").unlink()
    place = folder / "checkpoints" / "000003.ckpt"
    place.write_bytes(b"PK torn")
    record = train(digits("study=parts"))
    out = capsys.readouterr().out
    assert same(record, whole) and record.resumed_from is None
    assert "000003.ckpt: not a whole Lightning checkpoint" in out and "seed 3 starts from the beginning" in out
    assert (folder / "damaged" / "000003-0.ckpt").read_bytes() == b"PK torn"


@pytest.mark.parametrize("part", ["optimizer_states", "loops", "generator_states"])
def test_a_checkpoint_without_one_of_its_parts_moves_to_damaged(digits, resumed, capsys, part, uninterrupted):
    whole = uninterrupted()
    folder = resumed("parts", (9,))[1]
    (folder / "seeds" / "000003.json").unlink()
    cfg = digits("study=parts", "checkpoint.keep=true")
    train(cfg)
    (folder / "seeds" / "000003.json").unlink()
    checkpoint = torch.load(folder / "checkpoints" / "000003.final.ckpt", weights_only=True)
    del checkpoint[part]
    torch.save(checkpoint, folder / "checkpoints" / "000003.ckpt")
    assert same(train(digits("study=parts")), whole)
    assert f"a checkpoint without {part}; it moves to" in capsys.readouterr().out


def test_a_checkpoint_of_another_study_moves_to_damaged(digits, resumed, capsys):
    cfg = digits("study=other2", "optimizer.lr=0.1", "checkpoint.keep=true")
    train(cfg)
    kept = study_folder(cfg.results, "other2") / "checkpoints" / "000003.final.ckpt"
    folder = study_folder(cfg.results, "mine")
    (folder / "checkpoints").mkdir(parents=True)
    kept.rename(folder / "checkpoints" / "000003.ckpt")
    record = train(digits("study=mine"))
    assert record.resumed_from is None and "a checkpoint of another study" in capsys.readouterr().out


@pytest.mark.parametrize("setting", ["checkpoint.every_minutes=0", "checkpoint.every_n_epochs=-1"])
def test_invalid_settings_are_refused(small, setting):
    with pytest.raises(InputError, match=rf"{setting}: a (whole )?number (above 0|of at least 1), or null"):
        train(small(setting))


def test_checkpoints_are_no_part_of_a_study(small):
    train(small("seed=0", "checkpoint.every_minutes=1"))
    train(small("seed=1", "checkpoint.keep=true"))


def train_with_kills(start, arguments, checkpoint, times, rng):
    """Run a command to its end, killed up to `times` times by SIGKILL; how often it was killed.

    Each run is killed after a random number of new checkpoints and a random delay, in a step or while the next one is
    written: so every run makes progress, however slow the machine is.
    """

    def written():
        try:
            return {checkpoint.stat().st_mtime_ns}
        except FileNotFoundError:
            return set()

    kills = 0
    while True:
        process = start("src.train", *arguments)
        if kills < times:
            seen, last = written(), rng.randint(1, 60)
            while process.poll() is None and len(seen) <= last:
                seen |= written()
                time.sleep(0.001)
            time.sleep(rng.uniform(0, 0.02))
            if process.poll() is None:
                process.send_signal(signal.SIGKILL)
        if process.wait(600) != -signal.SIGKILL:
            assert process.returncode == 0
            return kills
        kills += 1


@pytest.mark.slow
@pytest.mark.parametrize(
    "setting",
    [("experiment=digits", "trainer.max_epochs=50"), ("experiment=cifar_quick", "trainer.max_epochs=8")],
    ids=["digits", "cifar_quick"],
)
def test_25_kills_at_random_moments_leave_the_same_bits(tmp_path, cache, cifar_pictures, start, setting):
    fixed = [*setting, "seed=5", f"data.cache={cache}", f"results={tmp_path}/results", "trainer=cpu"]
    if "experiment=cifar_quick" in setting:
        fixed.append(f"data.source={cifar_pictures}")
    assert start("src.train", *fixed, "study=whole").wait(600) == 0
    whole = Study.load(tmp_path / "results" / "whole").record(5)
    rng, kills = random.Random(0), 0
    for part in range(8):
        folder = tmp_path / "results" / f"part{part}"
        checkpoint = folder / "checkpoints" / "000005.ckpt"
        kills += train_with_kills(start, [*fixed, f"study=part{part}", EVERY_STEP], checkpoint, 5, rng)
        record = Study.load(folder).record(5)
        assert same(record, whole) and record.resumed_from
        if kills >= 25:
            break
    assert kills >= 25
