"""Linear probes: seeds on kept features through the real path, alone, live and stacked."""

from pathlib import Path

import numpy as np
import pytest
import torch
from hydra.utils import instantiate
from torch import nn

from seedspread.commands.train import train
from seedspread.config.errors import InputError, find_input_error
from seedspread.config.identity import compute_digest, study_identity
from seedspread.config.resolve import resolve_config, trains_in_stacks
from seedspread.config.streams import Streams
from seedspread.data import extractor
from seedspread.data import features as feature_cache
from seedspread.models.linear_probe import INITS, LinearProbe, ProbeStack
from seedspread.records.study import Study
from seedspread.training import heads
from seedspread.training.callbacks.seed_record import weights_sha256
from seedspread.training.heads import StackedLoader, stack_size
from seedspread.training.worker import train_seeds
from tests.conftest import CONF, SHARED
from tests.data.test_features import checkpoint  # noqa: F401
from tests.data.test_pictures import files, folder

PROBES = sorted(
    path.stem for path in Path(CONF, "experiment").glob("*.yaml") if path.stem.startswith(("imagenet", "cifar_probe"))
)

DIGESTS = {"cifar_quick": "fae55dc9fc81", "cifar_short": "b68a91ee3966", "digits": "985516ec9e2b"}


@pytest.fixture(autouse=True)
def _one_core(monkeypatch):
    for module in (extractor, feature_cache):
        monkeypatch.setattr(module, "count_cores", lambda: 1)


@pytest.fixture(scope="module")
def probe_cache(tmp_path_factory):
    """Pictures of two shades in three classes, and one cache of their features for all tests here."""
    there = tmp_path_factory.mktemp("probe")
    folder(there / "in", files(train=12, test=4, classes="abc"))
    return there


@pytest.fixture
def probe(config, probe_cache, checkpoint):  # noqa: F811
    """`experiment=cifar_probe` with a tiny backbone on 36 and 12 pictures, three epochs."""
    fixed = [
        "experiment=cifar_probe", "trainer=cpu", "trainer.max_epochs=3",
        "data.read._target_=seedspread.data.class_folders."
        "read_class_folders", f"data.source={probe_cache}/in", f"data.cache={probe_cache}/cache", "data.size=16",
        "data.train_size=null", "data.test_size=null", "data.views=2", "data.batch_size=8", "backbone.name=test_resnet",
        f"backbone.checkpoint={checkpoint}", "backbone.size=32", "backbone.resize=32",
    ]  # fmt: skip
    return lambda *overrides: config(*fixed, *overrides)


def data_of(cfg, seed=0):
    cfg = resolve_config(cfg)
    return instantiate(cfg.data, _partial_=True)(streams=Streams.of(seed, **cfg.streams), device=torch.device("cpu"))


def test_a_probe_is_recorded_as_any_seed_and_repeats(probe):
    records = [train(probe("seed=3", f"study={name}")) for name in "ab"]
    assert records[0]["weights_sha256"] == records[1]["weights_sha256"]
    assert records[0]["status"] == "finished" and records[0]["test_examples"] == 12
    assert records[0]["metrics"]["epochs"]["epoch"] == [0, 1, 2]
    study = Study.load(Path(probe().results) / "a")
    assert study.config["backbone"]["name"] == "test_resnet" and "checkpoint" not in study.config["backbone"]
    assert "backbone" not in study.config["data"] and study.record(3) == records[0]
    assert study.correct(3).mean() == pytest.approx(records[0]["metrics"]["final"]["val/acc"])


def test_other_studies_keep_their_digest(config):
    """Theirs on a CPU in single precision from before there were backbones."""
    assert "backbone" not in study_identity(resolve_config(config("experiment=cifar_quick", "trainer=cpu")))
    digests = {
        name: compute_digest(
            study_identity(resolve_config(config(f"experiment={name}", "trainer=cpu", "trainer.precision=32-true")))
        )[:12]
        for name in ("cifar_quick", "cifar_short", "digits")
    }
    assert digests == DIGESTS


@pytest.mark.parametrize("stream", ["init", "order", "augment"])
def test_changing_one_stream_changes_only_its_draws(probe, stream):
    whole = "data.batch_size=9"  # 36 pictures, none left out
    draws_of = {}
    for name, own in (("before", []), ("after", [f"streams.{stream}=99"])):
        cfg = probe(whole, *own)
        loader = data_of(cfg).train_dataloader()
        pictures, views = (np.concatenate(part) for part in zip(*loader.batches(), strict=True))
        init = Streams.of(cfg.seed, **cfg.streams).init.rng().random()
        draws_of[name] = {"init": init, "order": pictures.tolist(), "augment": views[np.argsort(pictures)].tolist()}
    before, after = draws_of.values()
    assert {name for name in before if before[name] != after[name]} == {stream}
    assert sorted(before["order"]) == list(range(36)) and set(before["augment"]) == {0, 1}


def test_a_batch_holds_the_drawn_view_of_each_picture(probe):
    data = data_of(probe())
    loader = data.train_dataloader()
    kept = loader.shared.features
    for epoch in (0, 1):
        loader.sampler.set_epoch(epoch)
        for (features, labels), (pictures, views) in zip(loader, loader.batches(), strict=True):
            assert features.dtype == torch.float32
            assert np.array_equal(features.numpy(), kept.train[pictures, views].astype(np.float32))
            assert np.array_equal(labels.numpy(), kept.train_labels[pictures])
    scored = torch.cat([features for features, _ in data.val_dataloader()])
    assert np.array_equal(scored.numpy(), kept.test.astype(np.float32))


def test_the_backbone_alive_sees_fresh_crops_and_stays_as_it_was(probe):
    live = data_of(probe("data.views=0"))
    network = live.shared.extractor.network
    before = weights_sha256(network)
    record = train(probe("data.views=0", "study=live"))
    assert record["status"] == "finished"
    assert train(probe("data.views=0", "study=again"))["weights_sha256"] == record["weights_sha256"]
    loader = live.train_dataloader()
    epochs = []
    for epoch in (0, 1):
        loader.sampler.set_epoch(epoch)
        order = loader.sampler.permutation().numpy()[: len(loader) * 8]
        features = torch.cat([features for features, _ in loader])
        epochs.append(features[np.argsort(order)[:5]])
    assert not torch.equal(*epochs)
    assert weights_sha256(network) == before and not network.training
    assert all(p.grad is None for p in network.parameters())


def test_features_kept_and_live_are_the_same_for_the_same_crops(probe):
    """The live pass draws by (epoch, picture), the kept one by (picture, view): compare where both are (0, 0)."""
    kept, live = data_of(probe()), data_of(probe("data.views=0"))
    loader = live.train_dataloader()
    first = int(np.flatnonzero(np.concatenate([p for p, _ in kept.train_dataloader().batches()]) == 0)[0])
    features = torch.cat([features for features, _ in loader])[first]
    assert np.allclose(features.numpy(), kept.pictures.train[0, 0].astype(np.float32), atol=5e-3)


@pytest.mark.parametrize("init", INITS)
def test_heads_begin_as_named(init):
    torch.manual_seed(0)
    head = LinearProbe(2048, 100, init)
    weight, bias = head.weight.detach(), head.bias.detach()
    expected = {
        "torch": (1 / (3 * 2048) ** 0.5, 1 / (3 * 2048) ** 0.5),
        "kaiming": ((2 / 2048) ** 0.5, 1.0),
        "tiny": (1e-5, 0.0),
        "dino": (0.01, 0.0),
    }
    assert weight.std().item() == pytest.approx(expected[init][0], rel=0.02)
    assert bias.std().item() == pytest.approx(expected[init][1], rel=0.25, abs=1e-12)
    if init == "torch":
        torch.manual_seed(0)
        linear = nn.Linear(2048, 100)
        assert torch.equal(weight, linear.weight) and torch.equal(bias, linear.bias)
    features = torch.randn(5, 2048)
    assert torch.allclose(head(features), nn.functional.linear(features, weight, bias), atol=1e-4)


def test_an_unknown_head_is_told(probe):
    with pytest.raises(InputError, match="model.init=zero: choose one of torch, kaiming, tiny, dino"):
        LinearProbe(2, 2, "zero")
    with pytest.raises(InputError, match="model.features=5: cifar10 has 96 features"):
        train(probe("model.features=5"))


def test_the_product_of_a_stack_has_the_bits_of_each_head_alone():
    heads = [LinearProbe(96, 10) for _ in range(5)]
    stack, features = ProbeStack(heads), torch.randn(5, 32, 96)
    for place, head in enumerate(heads):
        assert torch.equal(stack(features)[place], head(features[place]))
        assert torch.equal(stack(features[0])[place], head(features[0]))


def test_a_stack_gives_each_seed_the_record_it_has_alone(probe):
    assert train_seeds(probe("study=alone"), range(5)) == 0
    assert train_seeds(probe("study=stack", "stack=3"), range(5)) == 0  # stacks of 3 and 2
    alone, stacked = (Study.load(Path(probe().results) / name) for name in ("alone", "stack"))
    for seed in range(5):
        one, other = alone.record(seed), stacked.record(seed)
        for key in ("weights_sha256", "predictions_sha256", "metrics", "status", "streams", "config_digest"):
            assert one[key] == other[key], key
        assert np.array_equal(alone.correct(seed), stacked.correct(seed))
        assert other["stacked"] == (3 if seed < 3 else 2) and "stacked" not in one
        assert min(other["seconds"].values()) > 0
    assert len({stacked.record(seed)["weights_sha256"] for seed in range(5)}) == 5


def test_a_schedule_by_step_is_the_same_in_a_stack(probe):
    setting = ("schedule=warmup_cosine", "schedule.warmup=0.5")
    assert train_seeds(probe("study=alone", *setting), range(2)) == 0
    assert train_seeds(probe("study=stack", "stack=2", *setting), range(2)) == 0
    alone, stacked = (Study.load(Path(probe().results) / name) for name in ("alone", "stack"))
    for seed in range(2):
        assert alone.record(seed)["weights_sha256"] == stacked.record(seed)["weights_sha256"]
    assert "stacked" in stacked.record(0)


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
    assert stacked.record(1)["status"] == "diverged"
    assert stacked.record(1)["reason"] == "the loss was not finite in epoch 1"
    assert stacked.record(1)["metrics"]["epochs"]["epoch"] == [0, 1]
    for seed in (0, 2):
        assert stacked.record(seed)["weights_sha256"] == alone.record(seed)["weights_sha256"]


def test_a_stack_that_fails_is_recorded_for_each_seed_and_tried_again(probe, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr("seedspread.data.feature_data.SharedFeatures.gather", lambda *_: 1 / 0)
        assert train_seeds(probe("stack=2"), range(2)) == 2
    study = Study.load(Path(probe().results) / "cifar_probe")
    assert [study.record(seed)["reason"] for seed in range(2)] == ["ZeroDivisionError: division by zero"] * 2
    assert train_seeds(probe("stack=2"), range(2)) == 0
    assert study.is_done(0) and study.is_done(1)


def test_only_stacks_that_fail_in_a_row_for_one_reason_stop_a_sweep(probe, monkeypatch):

    train_stack, reasons = heads.train_stack, iter(["one", None, "two", "three", "three"])

    def flaky(cfg, study, seeds):
        if reason := next(reasons):
            raise RuntimeError(reason)
        train_stack(cfg, study, seeds)

    monkeypatch.setattr(heads, "train_stack", flaky)
    cfg = probe("stack=2", "fail_fast=2", "streams.init=7")
    assert train_seeds(cfg, range(12)) == 8
    study = Study.load(Path(cfg.results) / cfg.study)
    assert study.stopped() == "2 stacks of seeds in a row failed: RuntimeError: three"
    assert study.record(2)["status"] == "finished" and study.record(10) is None
    assert study.record(0)["status"] == "failed" and study.record(0)["streams"]["init"] == 7


def test_a_record_says_which_weights_and_views(probe):
    record = train(probe("seed=0"))
    assert record["features"]["backbone"]["name"] == "test_resnet" and record["features"]["views"] == 2
    assert len(record["features"]["weights_sha256"]) == 64 and record["features"]["transform"]["size"] == 32
    assert record["train_examples"] == 36


def test_picture_files_are_subset_as_pictures_are(probe, probe_cache):
    files_ = ("data.read._target_=seedspread.data.picture_files.read_picture_files", "study=subset")
    record = train(probe(*files_, "data.train_size=24", "data.test_size=6"))
    assert record["train_examples"] == 24 and record["test_examples"] == 6
    with pytest.raises(InputError, match=r"data\.train_size=25: a balanced subset"):
        train(probe(*files_, "study=odd", "data.train_size=25"))


def test_stacks_are_for_gpus_unless_asked_for(probe, config):
    assert stack_size(resolve_config(probe())) == 1 and stack_size(resolve_config(probe("stack=7"))) == 7
    on_gpu = resolve_config(probe())
    on_gpu.trainer.accelerator = "gpu"
    assert stack_size(on_gpu) == 64
    assert (
        trains_in_stacks(probe("stack=7")) and not trains_in_stacks(probe()) and not trains_in_stacks(config("stack=7"))
    )
    for overrides in (["data.views=0"], ["logger=csv"], ["trainer.enable_checkpointing=true"]):
        with pytest.raises(InputError, match="stack=2: for linear probes on kept features"):
            stack_size(resolve_config(probe("stack=2", *overrides)))
    with pytest.raises(InputError, match="stack=2: for linear probes"):
        stack_size(resolve_config(config("experiment=digits", "stack=2")))


@pytest.mark.parametrize("setting", ["trainer.gradient_clip_val=1.0", "callbacks=gradient_norms"])
def test_what_would_take_the_gradient_of_a_stack_as_one_is_for_heads_alone(probe, setting):
    with pytest.raises(InputError, match=f"stack=2: {setting} would take the gradient of all heads .*; stack=1"):
        stack_size(resolve_config(probe("stack=2", setting)))
    on_gpu = resolve_config(probe(setting))
    on_gpu.trainer.accelerator = "gpu"
    assert stack_size(on_gpu) == 1


def test_a_sweep_extracts_first_and_stacks_on_request(command, probe_cache, checkpoint, tmp_path):  # noqa: F811
    arguments = [
        "experiment=cifar_probe", "trainer.max_epochs=1", "data=imagenet", f"data.root={probe_cache}/in",
        "data.train_size=null", "data.test_size=null", "data.batch_size=8", "data.views=2",
        "backbone.name=test_resnet", f"backbone.checkpoint={checkpoint}",
        "backbone.size=24", "backbone.resize=24", f"results={tmp_path}/results", f"data.cache={tmp_path}/cache",
    ]  # fmt: skip
    code, out, err = command("-m", "seed=range(0,3)", "jobs=1", "stack=8", *arguments)
    assert code == 0, err
    assert out.index("train, 36 pictures x 2 views: done") < out.index("seed    0") < out.index("cifar_probe, 3 seeds")
    records = Study.load(tmp_path / "results/cifar_probe").scan().records
    assert [record["stacked"] for record in records.values()] == [3, 3, 3]
    code, out, err = command("-m", "seed=range(0,5)", "jobs=2", *arguments)
    assert code == 0 and "3 of 5 seeds have their records, 2 to train" in out and "pictures x 2 views" not in out


@pytest.mark.parametrize("experiment", PROBES)
def test_every_probe_composes_and_its_parts_fit(config, experiment):
    cfg = resolve_config(config(f"experiment={experiment}", "trainer=cpu"))
    assert cfg.study == experiment and study_identity(cfg)["backbone"]["precision"] in ("bf16-mixed", "32-true")
    backbone = instantiate(cfg.backbone)
    assert backbone.transform.size == (96 if experiment == "cifar_probe" else 224)
    assert cfg.optimizer.weight_decay == 0 and cfg.optimizer.momentum == 0.9 and cfg.data.batch_size == 256
    head = instantiate(cfg.model, features=6, classes=4)
    loss, expected = instantiate(cfg.loss), nn.CrossEntropyLoss()
    logits, labels = head(torch.randn(8, 6)), torch.arange(8) % 4
    assert loss(logits, labels).item() == pytest.approx(expected(logits, labels).item())
    optimizer = instantiate(cfg.optimizer)(head.parameters())
    schedule = instantiate(cfg.schedule)(optimizer)
    rates = []
    for _ in range(cfg.trainer.max_epochs):
        rates.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        schedule.step()
    steps = np.arange(cfg.trainer.max_epochs)
    assert rates == pytest.approx(cfg.optimizer.lr * (1 + np.cos(np.pi * steps / len(steps))) / 2)
    if experiment.endswith("published"):  # DINO's linear evaluation
        assert (backbone.blocks, cfg.optimizer.lr, cfg.trainer.max_epochs, cfg.model.init) == (4, 0.001, 100, "dino")


def test_a_batch_beyond_the_subset_is_told_before_anything_is_extracted(probe, tmp_path):
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
        ("data.augment.scale=[0.5,2]", "data.augment.scale=.*: two rising numbers above 0"),
        ("backbone.checkpoint=nowhere.pth", "backbone.checkpoint=nowhere.pth: no such file"),
    ],
)
def test_bad_values_are_told_in_one_line(probe, override, says):
    with pytest.raises(Exception) as raised:
        train(probe(override))
    told = find_input_error(raised.value)
    assert told is not None
    with pytest.raises(InputError, match=says):
        raise told


def test_other_weights_are_other_data(probe, tmp_path, checkpoint):  # noqa: F811
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
    assert record["metrics"]["final"]["val/acc"] > 0.4
