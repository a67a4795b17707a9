"""What Picard 2021 (arXiv 2109.08203) reports, to stand beside a study of the same setting, marked as the paper's."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from src.study.store import flattened

CIFAR10 = {"data.name": "cifar10", "data.train_size": None, "data.test_size": None, "model.width": 64}


@dataclass(frozen=True)
class PaperRow:
    """A row of the paper's tables: accuracies in percent; `setting` are the keys of a config that make it the same."""

    setting: Mapping[str, Any]
    seeds: int
    mean: float
    std: float
    min: float
    max: float
    time: str


ROWS = (
    PaperRow({**CIFAR10, "trainer.max_epochs": 45}, 500, 90.70, 0.20, 90.14, 91.41, "1 min a seed, V100"),
    PaperRow({**CIFAR10, "trainer.max_epochs": 22}, 10_000, 90.02, 0.23, 89.01, 90.83, "30 s a seed, V100"),
    PaperRow({"study": "imagenet_resnet50"}, 50, 75.48, 0.10, 75.25, 75.69, "2 h to 3 h 40 a seed, V100"),
    PaperRow({"study": "imagenet_dino_resnet50"}, 50, 75.15, 0.08, 74.98, 75.35, "2 h to 3 h 40 a seed, V100"),
    PaperRow({"study": "imagenet_dino_vits16"}, 50, 76.83, 0.09, 76.63, 77.02, "2 h to 3 h 40 a seed, V100"),
)


def paper_row(study: str, config: Mapping[str, Any]) -> PaperRow | None:
    """The paper's row of the same setting, or None where it has none."""
    ours = {**dict(flattened(config)), "study": study}
    for row in ROWS:
        if all(key in ours and ours[key] == value for key, value in row.setting.items()):
            return row
    return None
