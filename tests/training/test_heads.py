"""Linear probes: seeds on kept features through the real path, alone, live and stacked."""

import re
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from seedspread.commands.train import train
from seedspread.config.errors import InputError, find_input_error
from seedspread.config.resolve import resolve_config, stack_size
from seedspread.models.linear_probe import LinearProbe
from seedspread.records.requests import stop_reason
from seedspread.records.study import Study
from seedspread.training.heads import StackedLoader, losses_of_heads, train_stack
from seedspread.training.losses import SharpAndSmoothed
from tests.conftest import SHARED
from tests.training.inline import train_seeds


def test_a_probe_is_recorded_as_any_seed_and_repeats(probe):
    records = [train(probe("seed=3", f"study={name}")) for name in "ab"]
    assert records[0].weights_sha256 == records[1].weights_sha256
    assert records[0].status == "finished" and records[0].test_examples == 12
    assert records[0].epochs == [0, 1, 2]
    study = Study.load(Path(probe().results) / "a")
    assert study.config["backbone"]["name"] == "test_resnet" and "checkpoint" not in study.config["backbone"]
    assert "backbone" not in study.config["data"] and study.record(3) == records[0]
    assert (study.predictions(3) == study.read_index().labels).mean() == pytest.approx(records[0].final["val/acc"])


def test_an_unknown_init_is_named(probe):
    with pytest.raises(InputError, match="model.init=zero: choose one of torch, kaiming, tiny, dino"):
        LinearProbe(2, 2, "zero")
    with pytest.raises(InputError, match="model.features=5: cifar10 has 96 features"):
        train(probe("model.features=5"))


def test_a_stack_gives_each_seed_the_record_it_has_alone(probe):
    assert train_seeds(probe("study=alone"), range(5)) == 0
    assert train_seeds(probe("study=stack", "stack=3"), range(5)) == 0  # stacks of 3 and 2
    alone, stacked = (Study.load(Path(probe().results) / name) for name in ("alone", "stack"))
    for seed in range(5):
        one, other = alone.record(seed), stacked.record(seed)
        for name in ("weights_sha256", "predictions_sha256", "epochs", "status", "streams", "config_digest"):
            assert getattr(one, name) == getattr(other, name), name
        for name, curve in one.curves.items():  # the mean of a stack's losses is summed in another order
            assert other.curves[name] == pytest.approx(curve, rel=1e-6 if "loss" in name else 0, abs=0), name
        assert np.array_equal(alone.predictions(seed), stacked.predictions(seed))
        assert other.stacked == (3 if seed < 3 else 2) and one.stacked is None
        assert min(other.seconds.values()) > 0
    assert len({stacked.record(seed).weights_sha256 for seed in range(5)}) == 5


class Counter(TorchDispatchMode):
    """Counts the operators within the block."""

    calls = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        self.calls += not func.is_view
        return func(*args, **(kwargs or {}))


@pytest.mark.parametrize("loss", [SharpAndSmoothed(), torch.nn.CrossEntropyLoss()])
def test_the_losses_of_a_stack_take_as_many_operators_as_one(loss):
    """A GPU waits for none of them: their number is the time of a step."""
    counts, found = {}, {}
    mapped, alone = partial(losses_of_heads, loss), lambda *pair: torch.stack([*map(loss, *pair)])
    for name, losses in (("mapped", mapped), ("alone", alone)):
        torch.manual_seed(0)
        logits, labels = torch.randn(64, 20, 5, requires_grad=True), torch.randint(5, (64, 20))
        with Counter() as counter:
            values = losses(logits, labels)
            values.sum().backward()
        counts[name], found[name] = counter.calls, (values, logits.grad)
    assert counts["mapped"] < 60 and counts["alone"] > 64 * 4, counts
    assert torch.equal(found["mapped"][1], found["alone"][1])
    assert torch.allclose(found["mapped"][0], found["alone"][0], rtol=1e-6)


def test_a_loss_that_cannot_be_mapped_is_taken_head_by_head():
    def loss(logits, labels):
        return logits.sum() * float(labels.sum())

    logits, labels = torch.randn(3, 4, 2), torch.ones(3, 4, dtype=torch.int64)
    assert torch.equal(losses_of_heads(loss, logits, labels), torch.stack([*map(loss, logits, labels)]))


def test_a_schedule_by_step_is_the_same_in_a_stack(probe):
    setting = ("schedule=warmup_cosine", "schedule.warmup=0.5")
    assert train_seeds(probe("study=alone", *setting), range(2)) == 0
    assert train_seeds(probe("study=stack", "stack=2", *setting), range(2)) == 0
    alone, stacked = (Study.load(Path(probe().results) / name) for name in ("alone", "stack"))
    for seed in range(2):
        assert alone.record(seed).weights_sha256 == stacked.record(seed).weights_sha256
    assert stacked.record(0).stacked == 2


def test_a_head_that_diverges_leaves_the_others_of_its_stack_alone(probe, monkeypatch):
    batches = StackedLoader.__iter__

    def poisoned(self):
        for features, labels in batches(self):
            if self.loaders[0].sampler.epoch == 1:
                features = features.clone()
                features[1, 0, 0] = float("inf")
            yield features, labels

    assert train_seeds(probe("study=alone"), range(3)) == 0
    monkeypatch.setattr(StackedLoader, "__iter__", poisoned)
    assert train_seeds(probe("study=stack", "stack=3"), range(3)) == 0
    alone, stacked = (Study.load(Path(probe().results) / name) for name in ("alone", "stack"))
    assert stacked.record(1).status == "diverged"
    assert stacked.record(1).reason == "the loss was not finite in epoch 1"
    assert stacked.record(1).epochs == [0, 1]
    for seed in (0, 2):
        assert stacked.record(seed).weights_sha256 == alone.record(seed).weights_sha256


def test_a_stack_that_fails_is_recorded_for_each_seed_and_tried_again(probe, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr("seedspread.data.feature_data.SharedFeatures.open_epoch", lambda *_: 1 / 0)
        assert train_seeds(probe("stack=2"), range(2)) == 2
    study = Study.load(Path(probe().results) / "cifar_probe")
    assert [study.record(seed).reason for seed in range(2)] == ["ZeroDivisionError: division by zero"] * 2
    assert train_seeds(probe("stack=2"), range(2)) == 0
    assert study.is_done(0) and study.is_done(1)


def test_only_stacks_that_fail_in_a_row_for_one_reason_stop_a_sweep(probe, monkeypatch):
    reasons = iter(["one", None, "two", "three", "three"])

    def flaky(*stack):
        if reason := next(reasons):
            raise RuntimeError(reason)
        train_stack(*stack)

    monkeypatch.setattr("seedspread.training.heads.train_stack", flaky)
    cfg = probe("stack=2", "fail_fast=2", "streams.init=7")
    assert train_seeds(cfg, range(12)) == 8
    study = Study.load(Path(cfg.results) / cfg.study)
    assert stop_reason(study.folder) == "2 stacks of seeds in a row failed: RuntimeError: three"
    assert study.record(2).status == "finished" and study.record(10) is None
    assert study.record(0).status == "failed" and study.record(0).streams["init"] == 7


def test_a_record_says_which_weights_and_views(probe):
    record = train(probe("seed=0"))
    assert record.features["backbone"]["name"] == "test_resnet" and record.features["views"] == 2
    assert len(record.features["weights_sha256"]) == 64 and record.features["transform"]["size"] == 32
    assert record.train_examples == 36


def test_picture_files_are_subset_as_pictures_are(probe, probe_cache):
    files_ = ("data.read._target_=seedspread.data.picture_files.read_picture_files", "study=subset")
    record = train(probe(*files_, "data.train_size=24", "data.test_size=6"))
    assert record.train_examples == 24 and record.test_examples == 6
    index = Study.load(Path(probe().results) / "subset").read_index()
    assert index.labels.tolist() == [0, 0, 1, 1, 2, 2] and index.positions.tolist() == [0, 1, 4, 5, 8, 9]
    assert index.names.tolist() == [f"test/{label}/{i}.png" for label in "abc" for i in (0, 1)]
    with pytest.raises(InputError, match=r"data\.train_size=25: a balanced subset"):
        train(probe(*files_, "study=odd", "data.train_size=25"))


def test_stacks_are_for_gpus_unless_set(probe, config):
    assert stack_size(resolve_config(probe())) == 1 and stack_size(resolve_config(probe("stack=7"))) == 7
    on_gpu = resolve_config(probe())
    on_gpu.trainer.accelerator = "gpu"
    assert stack_size(on_gpu) == 64
    for overrides in (["data.views=0"], ["logger=csv"], ["trainer.enable_checkpointing=true"]):
        with pytest.raises(InputError, match="stack=2: needs linear probes on kept features"):
            stack_size(resolve_config(probe("stack=2", *overrides)))
    with pytest.raises(InputError, match="stack=2: needs linear probes"):
        stack_size(resolve_config(config("experiment=digits", "stack=2")))


@pytest.mark.parametrize("setting", ["trainer.gradient_clip_val=1.0", "callbacks=gradient_norms", "butterfly=1"])
def test_what_treats_all_heads_as_one_is_refused_for_stacks(probe, setting):
    with pytest.raises(InputError, match=f"stack=2: {setting} does not treat each head alone; set stack=1"):
        stack_size(resolve_config(probe("stack=2", setting)))
    on_gpu = resolve_config(probe(setting))
    on_gpu.trainer.accelerator = "gpu"
    assert stack_size(on_gpu) == 1


def test_a_gradient_scaler_is_not_shared_by_the_heads_of_a_stack(probe):
    """It would skip the step of all heads where the gradient of one overflows."""
    on_gpu = resolve_config(probe("stack=2"))
    on_gpu.trainer.accelerator, on_gpu.trainer.precision = "gpu", "16-mixed"
    with pytest.raises(InputError, match="stack=2: trainer.precision=16-mixed does not treat each head alone"):
        stack_size(on_gpu)
    on_gpu.stack = "auto"
    assert stack_size(on_gpu) == 1


def test_a_sweep_extracts_first_and_stacks_where_set(command, probe_cache, checkpoint, tmp_path):
    arguments = [
        "experiment=cifar_probe", "trainer.max_epochs=1", "data=imagenet", f"data.root={probe_cache}/in",
        "data.train_size=null", "data.test_size=null", "data.batch_size=8", "data.views=2",
        "backbone.name=test_resnet", f"backbone.checkpoint={checkpoint}",
        "backbone.size=24", "backbone.resize=24", f"results={tmp_path}/results", f"data.cache={tmp_path}/cache",
    ]  # fmt: skip
    code, out, err = command("-m", "seed=range(0,3)", "jobs=1", "stack=8", *arguments)
    assert code == 0 and "cifar_probe, 3 seeds" in out, err
    written = {path: path.stat().st_mtime_ns for path in (tmp_path / "cache").rglob("*") if path.is_file()}
    study = Study.load(tmp_path / "results/cifar_probe")
    assert written and max(written.values()) < min(path.stat().st_mtime_ns for path in study.folder.glob("seeds/*"))
    assert [record.stacked for record in study.scan().records.values()] == [3, 3, 3]
    code, out, err = command("-m", "seed=range(0,5)", "jobs=2", *arguments)
    assert code == 0 and "3 of 5 seeds have their records, 2 to train" in out
    assert {path: path.stat().st_mtime_ns for path in written} == written, "features are extracted once"


def test_a_batch_beyond_the_subset_is_refused_before_extraction(probe, tmp_path):
    cfg = probe("data.train_size=12", "data.batch_size=13", f"data.cache={tmp_path}/cache")
    with pytest.raises(Exception) as raised:
        train(cfg)
    assert "data.batch_size=13: cifar10 has 12 pictures to train on" in str(find_input_error(raised.value))
    assert not (tmp_path / "cache").exists()


@pytest.mark.parametrize(
    "override, says",
    [
        ("backbone.name=resnet_fifty", "backbone.name=resnet_fifty: timm has no such network"),
        ("data.views=-1", "data.views=-1: a whole number of at least 0"),
        ("data.batch_size=37", "data.batch_size=37: cifar10 has 36 pictures to train on; choose 1 to 36"),
        ("data.classes=9", "data.classes=9: cifar10 has 3 classes"),
        ("data.augment.scale=[0.5,2]", "data.augment.scale=.*: two numbers above 0 in ascending order"),
        ("backbone.checkpoint=nowhere.pth", "backbone.checkpoint=nowhere.pth: no such file"),
    ],
)
def test_bad_values_are_named(probe, override, says):
    with pytest.raises(Exception) as raised:
        train(probe(override))
    assert re.search(says, str(find_input_error(raised.value)))


def test_other_weights_are_other_data(probe, tmp_path, checkpoint):
    train(probe("seed=0"))
    weights = torch.load(checkpoint, weights_only=True)
    torch.save({name: value * 1.01 if value.is_floating_point() else value for name, value in weights.items()},
               tmp_path / "other.pth")  # fmt: skip
    with pytest.raises(InputError, match="holds results on other data"):
        train(probe("seed=1", f"backbone.checkpoint={tmp_path}/other.pth"))


def test_real_weights_on_real_pictures_beat_training_from_scratch(config, cifar_pictures, tmp_path):
    weights = SHARED / "tf_efficientnet_lite0_fp16.pth"
    if not weights.exists():
        pytest.skip(f"real weights are not at {weights}")
    record = train(
        config(
            "experiment=cifar_probe", f"data.source={cifar_pictures}", f"backbone.checkpoint={weights}", "trainer=cpu",
            "data.train_size=500", "data.test_size=200", "data.views=1", "backbone.size=64", "backbone.resize=64",
        )
    )  # fmt: skip
    assert record.final["val/acc"] > 0.4
