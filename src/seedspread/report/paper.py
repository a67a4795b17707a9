"""The results of Picard 2021 (arXiv 2109.08203), for comparison with a study of the same setting."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from seedspread.config.identity import flatten

CIFAR10 = {
    "model._target_": "seedspread.models.resnet9.ResNet9",
    "model.width": 64,
    "model.activation": "celu",
    "model.pooling": "max",
    "data.name": "cifar10",
    "data.train_size": None,
    "data.test_size": None,
    "data.batch_size": 500,
    "data.augment.padding": 4,
    "data.augment.flip": True,
    "data.augment.cutout": 8,
    "data.augment.granularity": "chunk",
    "optimizer._target_": "torch.optim.SGD",
    "optimizer.lr": 0.2,
    "optimizer.momentum": 0.9,
    "optimizer.weight_decay": 1e-3,
    "loss.weight": 2.0,
    "loss.smoothing": 0.2,
    "schedule.lr_lambda.end": 22,
    "streams.init": None,
    "streams.order": None,
    "streams.augment": None,
}


def _probe(**backbone: Any) -> dict[str, Any]:
    return {"data.name": "imagenet", **{f"backbone.{key}": value for key, value in backbone.items()}}


@dataclass(frozen=True)
class PaperRow:
    """A row of the paper's tables: accuracies in percent; `setting` holds the config values that identify it.

    `note` names a remaining difference.
    """

    setting: Mapping[str, Any]
    seeds: int
    mean: float
    std: float
    min: float
    max: float
    time: str
    note: str = ""


# The paper trains all layers of its ImageNet networks (its released code); a probe trains the head alone.
TUNED = ", all layers trained"
DINO = "https://dl.fbaipublicfiles.com/dino/"
LONG_TIME = "2 h to 3 h 40 a seed, V100"
ROWS = (
    PaperRow({**CIFAR10, "trainer.max_epochs": 45}, 500, 90.70, 0.20, 90.14, 91.41, "1 min a seed, V100"),
    PaperRow({**CIFAR10, "trainer.max_epochs": 22}, 10_000, 90.02, 0.23, 89.01, 90.83, "30 s a seed, V100"),
    PaperRow(
        _probe(name="resnet50", url="https://download.pytorch.org/models/resnet50-0676ba61.pth"),
        50, 75.48, 0.10, 75.25, 75.69, LONG_TIME, TUNED,
    ),
    PaperRow(
        _probe(name="resnet50", url=f"{DINO}dino_resnet50_pretrain/dino_resnet50_pretrain.pth"),
        50, 75.15, 0.08, 74.98, 75.35, LONG_TIME, TUNED,
    ),
    PaperRow(
        _probe(name="vit_small_patch16_224", url=f"{DINO}dino_deitsmall16_pretrain/dino_deitsmall16_pretrain.pth"),
        50, 76.83, 0.09, 76.63, 77.02, LONG_TIME, TUNED,
    ),
)  # fmt: skip


def paper_row(config: Mapping[str, Any]) -> PaperRow | None:
    """The paper's row with the setting of a study's config; None where it has none."""
    ours = dict(flatten(config))
    for row in ROWS:
        if all(key in ours and ours[key] == value for key, value in row.setting.items()):
            return row
    return None
