"""What it costs to be repeatable: `python -m benchmarks.repeatable --cifar PATH` (CIFAR-10 pictures).

A seed of cifar_quick with a checkpoint after every epoch against one without; crops keyed by epoch and picture against
torchvision's own transforms in the same loader. Runs take turns; medians.
"""

import argparse
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from hydra import compose, initialize_config_dir
from PIL import Image
from torchvision.transforms import v2

from seedspread.config.compose import CONF
from seedspread.config.streams import Streams
from seedspread.data.crops import RandomResizedCrop
from seedspread.data.file_data import CroppedPictures, EpochBatches, FileLoader
from seedspread.data.loader import EpochOrder, Normaliser
from seedspread.data.picture_files import PictureFiles
from seedspread.models.backbones import Transform
from seedspread.training.build import open_study
from seedspread.training.run import train_seed

SIZE, PICTURES, BATCH = 64, 600, 50
TRANSFORM = Transform(SIZE, 72, "bilinear", (0.485, 0.456, 0.406), (0.229, 0.224, 0.225))


def checkpoints(cifar: str, rounds: int) -> None:
    took: dict[str, list[float]] = {"none": [], "every epoch": []}
    for _ in range(rounds):
        for name, every in zip(took, ("null", "1"), strict=True):
            with tempfile.TemporaryDirectory() as results, initialize_config_dir(CONF, version_base="1.3"):
                overrides = ["experiment=cifar_quick", f"data.source={cifar}", f"results={results}", "trainer=cpu"]
                cfg, study = open_study(compose("train", [*overrides, f"checkpoint.every_n_epochs={every}"]))
                began = time.process_time()
                train_seed(cfg, study, 0)
                took[name].append(time.process_time() - began)
    none, every_epoch = (statistics.median(times) for times in took.values())
    print(
        f"a seed of cifar_quick, median of {rounds}: {none:.2f} s of processor time without checkpoints, "
        f"{every_epoch:.2f} s with one after every epoch: {100 * (every_epoch / none - 1):+.1f} %"
    )


class Torchvision(CroppedPictures):
    """The same pictures varied by torchvision, which draws from the worker's global generator."""

    def __init__(self, pictures: PictureFiles) -> None:
        super().__init__(pictures, TRANSFORM, None, Streams.of(0))
        self.vary = v2.Compose([v2.RandomResizedCrop(SIZE, (0.25, 1.0)), v2.RandomHorizontalFlip()])

    def __getitem__(self, key: tuple[int, int]) -> tuple[torch.Tensor, int]:
        picture: Any = self.vary(self.pictures.load(key[1]))
        return torch.from_numpy(np.array(picture)), int(self.pictures.labels[key[1]])


def keyed_crops(rounds: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        rng = np.random.default_rng(0)
        for i in range(PICTURES):
            coarse = Image.fromarray(rng.integers(0, 256, (24, 32, 3), dtype=np.uint8))
            coarse.resize((320, 240), Image.Resampling.BICUBIC).save(Path(folder) / f"{i:04}.jpg", quality=90)
        names = tuple(f"{i:04}.jpg" for i in range(PICTURES))
        files = PictureFiles(Path(folder), names, np.zeros(PICTURES, np.int64))
        sets = {
            "keyed": CroppedPictures(files, TRANSFORM, RandomResizedCrop((0.25, 1.0)), Streams.of(0)),
            "torchvision": Torchvision(files),
        }
        took: dict[str, list[float]] = {name: [] for name in sets}
        device = torch.device("cpu")
        normalise = Normaliser(TRANSFORM.mean, TRANSFORM.std, SIZE, device)
        for _ in range(rounds):
            for name, pictures in sets.items():
                keys = EpochBatches(EpochOrder(PICTURES, Streams.of(0)), BATCH)
                began = time.process_time()
                for _ in FileLoader(pictures, keys, normalise, device, workers=0):
                    pass
                took[name].append(time.process_time() - began)
    keyed, theirs = (1000 * statistics.median(times) / PICTURES for times in took.values())
    print(
        f"a picture of 320 x 240 decoded and cut to {SIZE}, median of {rounds} passes: {keyed:.3f} ms with crops keyed "
        f"by picture, {theirs:.3f} ms with torchvision's: {100 * (keyed / theirs - 1):+.1f} %"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--cifar", help="CIFAR-10 pictures, to measure checkpoints on cifar_quick")
    options = parser.parse_args()
    torch.set_num_threads(1)
    keyed_crops(2 * options.rounds + 1)
    if options.cifar:
        checkpoints(options.cifar, options.rounds)


if __name__ == "__main__":
    main()
