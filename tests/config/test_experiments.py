"""Every experiment composes, instantiates and holds what it promises."""

from pathlib import Path

import numpy as np
import pytest
import torch
from hydra.utils import instantiate
from torch import nn

from seedspread.config.identity import study_identity
from seedspread.config.resolve import resolve_config
from tests.conftest import CONF

MODULES = ("diabetes", "docstrings", "multilabel")  # of tests/examples
EXPERIMENTS = sorted(  # those of a pretrained backbone come below
    path.stem
    for path in Path(CONF, "experiment").glob("*.yaml")
    if not path.stem.startswith(("imagenet", "cifar_probe", "cifar_finetune", *MODULES))
)


@pytest.mark.parametrize("experiment", EXPERIMENTS)
def test_every_experiment_composes_and_instantiates(config, experiment):
    cfg = resolve_config(config(f"experiment={experiment}", "trainer=cpu"))
    assert cfg.study == experiment and study_identity(cfg)["trainer"]["precision"] in ("bf16-mixed", "32-true")
    model = instantiate(cfg.model)
    images = torch.zeros(2, cfg.data.channels, cfg.data.size, cfg.data.size)
    logits = model(images)
    assert logits.shape == (2, cfg.data.classes)
    assert torch.isfinite(instantiate(cfg.loss)(logits, torch.zeros(2, dtype=torch.long)))
    optimizer = instantiate(cfg.optimizer)(model.parameters())
    instantiate(cfg.schedule)(optimizer).step()
    instantiate(cfg.data.augment)
    for callback in cfg.callbacks.values():
        instantiate(callback)
    instantiate(cfg.trainer, _partial_=True)(logger=False)


PROBES = sorted(
    path.stem for path in Path(CONF, "experiment").glob("*.yaml") if path.stem.startswith(("imagenet", "cifar_probe"))
)


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


def test_fine_tuning_takes_the_pictures_of_cifar_quick_at_the_size_of_its_backbone(config, checkpoint):
    tiny = ("backbone.name=test_resnet", f"backbone.checkpoint={checkpoint}")
    cfg = resolve_config(config("experiment=cifar_finetune", "trainer=cpu", *tiny))
    quick = resolve_config(config("experiment=cifar_quick", "trainer=cpu"))
    for key in ("read", "size", "train_size", "test_size", "mean", "std"):
        assert cfg.data[key] == quick.data[key]
    assert cfg.study == "cifar_finetune" and 0 < cfg.model.head_epochs < cfg.trainer.max_epochs
    network = instantiate(cfg.model)
    assert network.size == cfg.backbone.size == cfg.backbone.resize
    assert network(torch.zeros(2, 3, 32, 32)).shape == (2, 10)
    optimizer = instantiate(cfg.optimizer)(network.parameters())
    assert isinstance(optimizer, torch.optim.AdamW) and optimizer.defaults["lr"] == cfg.optimizer.lr == 1e-3
    assert "checkpoint" not in study_identity(cfg)["backbone"] and "backbone" not in study_identity(cfg)["model"]


def test_experiments_hold_the_papers_values(config):
    short, long = config("experiment=cifar_short"), config("experiment=cifar_long")
    assert (short.trainer.max_epochs, long.trainer.max_epochs) == (22, 45)
    for cfg in (short, long):
        optimizer, augment = cfg.optimizer, cfg.data.augment
        assert (optimizer.lr, optimizer.momentum, optimizer.nesterov, optimizer.weight_decay) == (0.2, 0.9, True, 1e-3)
        assert (cfg.data.batch_size, augment.chunk, augment.granularity) == (500, 500, "chunk")
        assert (augment.padding, augment.flip, augment.cutout) == (4, True, 8)
        assert (cfg.loss.weight, cfg.loss.smoothing, cfg.model.width) == (2.0, 0.2, 64)
        np.testing.assert_allclose(cfg.data.mean, (0.4914, 0.4822, 0.4465))
        np.testing.assert_allclose(cfg.data.std, (0.2023, 0.1994, 0.2010))
