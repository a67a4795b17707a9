"""Linear probes on kept features against running the backbone each time: `python -m benchmarks.probe`, some minutes.

Random weights and pictures of noise: a step costs the same on them. tf_efficientnet_lite0 at 96 pixels, 1,280 features,
ten classes, on the GPU where there is one. The contenders take turns; medians.
"""

import pickle
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import timm
import torch
import torchvision
from hydra import compose, initialize_config_dir
from PIL import Image
from torch.nn import functional as F

from seedspread.config import resolve
from seedspread.config.resolve import count_cores
from seedspread.config.streams import Stream, Streams
from seedspread.data.crops import RandomResizedCrop
from seedspread.data.extractor import FeatureExtractor
from seedspread.data.feature_data import ProbeLoader, SharedFeatures, _total_memory
from seedspread.data.features import Extraction, Features
from seedspread.data.picture_files import PictureFiles, PictureSource
from seedspread.data.pictures import Pictures, PictureSet, build_picture_set
from seedspread.execution.plan import SeedJob
from seedspread.models.backbones import Backbone
from seedspread.models.linear_probe import LinearProbe, ProbeStack
from seedspread.records.record import Status
from seedspread.records.study import Study
from seedspread.training import hardware
from seedspread.training.heads import losses_of_heads
from seedspread.training.worker import prepare, train_job

ACCELERATOR = resolve.resolve_accelerator("auto")
DEVICE = torch.device("cuda" if ACCELERATOR == "gpu" else "cpu")
PRECISION = str(resolve.resolve_precision("auto", ACCELERATOR))
TRAIN, TEST, VIEWS, EPOCHS, SEEDS, LIVE_EPOCHS = 1024, 256, 8, 30, 50, 1
ROUNDS = 7


def random_pictures(source: str | None, cache: Path, size: int) -> PictureSet:
    """Noise in the shape of CIFAR-10."""
    rng = np.random.default_rng(0)
    train, test = (Pictures(rng.integers(0, 256, (n, 32, 32, 3), np.uint8), np.arange(n) % 10) for n in (TRAIN, TEST))
    return build_picture_set(train, test, tuple("abcdefghij"))


def random_backbone(folder: Path, name: str, library: str, size: int) -> Backbone:
    """A backbone with the weights it is built with."""
    path = folder / f"{name}.pth"
    whole = timm.create_model(name) if library == "timm" else torchvision.models.get_model(name, weights=None)
    torch.save(whole.state_dict(), path)
    return Backbone(name, library, checkpoint=str(path), size=size, resize=size, precision=PRECISION)


def medians(contenders: dict[str, Callable[[], Any]], rounds: int = ROUNDS) -> dict[str, float]:
    """Median seconds of each, taking turns, after one turn that is not counted."""
    seconds: dict[str, list[float]] = {name: [] for name in contenders}
    for turn in range(rounds + 1):
        for name, run in contenders.items():
            began = time.perf_counter()
            run()
            if DEVICE.type == "cuda":
                torch.cuda.synchronize()
            if turn:
                seconds[name].append(time.perf_counter() - began)
    return {name: statistics.median(values) for name, values in seconds.items()}


def fifty_seeds(folder: Path) -> None:
    """All seeds from kept features, extraction included; a live seed of fewer epochs, scaled by pictures seen."""
    backbone = random_backbone(folder, "tf_efficientnet_lite0", "timm", 96)

    def seconds(study: str, seeds: int, *overrides: str) -> float:
        began = time.perf_counter()
        fixed = [
            "experiment=cifar_probe", "data.read._target_=benchmarks.probe.random_pictures", "data.train_size=null",
            "data.test_size=null", f"backbone.checkpoint={backbone.checkpoint}", f"data.cache={folder}/cache",
            f"results={folder}/results", f"trainer.max_epochs={EPOCHS}", f"data.views={VIEWS}", f"study={study}",
        ]  # fmt: skip
        with initialize_config_dir(str(Path("conf").resolve()), version_base="1.3"):
            config = pickle.dumps(compose("train", [*fixed, *overrides]))
        stack = prepare((config, None))
        for first in range(0, seeds, stack):
            chunk = dict.fromkeys(range(first, min(seeds, first + stack)), "")
            train_job(SeedJob(config, folder / "results" / study, chunk, "benchmark"))
        records = Study.load(folder / "results" / study).scan().records
        assert [record.status for record in records.values()] == [Status.FINISHED] * seeds
        return time.perf_counter() - began

    kept = seconds("kept", SEEDS)
    again = seconds("again", SEEDS)
    torch.set_num_threads(count_cores())
    live = seconds("live", 1, "data.views=0", f"trainer.max_epochs={LIVE_EPOCHS}", f"threads={count_cores()}")
    seen = TRAIN * EPOCHS * SEEDS
    each = live / (TRAIN * LIVE_EPOCHS)
    print(f"{SEEDS} seeds x {EPOCHS} epochs x {TRAIN} pictures, {VIEWS} views kept")
    print(
        f"  kept features     {kept:7.1f} s, extraction {kept - again:.1f} s of it; {1e6 * kept / seen:.1f} us/picture"
    )
    print(f"  backbone alive    {1e6 * each:.1f} us/picture (one seed, {LIVE_EPOCHS} epoch, all cores)")
    print(f"  so all of it      {each * seen:7.1f} s, {each * seen / kept:.0f} x")
    kept_looks, live_looks = TRAIN * VIEWS + TEST, SEEDS * (TRAIN * EPOCHS)
    print(f"  pictures through the backbone: {kept_looks} against {live_looks}, {live_looks / kept_looks:.0f} x")


def extraction(folder: Path) -> None:
    """The whole pass over decoded pictures, against the backbone alone over batches that are cut already."""
    small, large = ("tf_efficientnet_lite0", "timm", 96, 1024, ROUNDS), ("resnet50", "torchvision", 224, 256, 3)
    for name, library, size, n, rounds in (small, large):
        backbone = random_backbone(folder, name, library, size)
        images = np.random.default_rng(0).integers(0, 256, (n, 32, 32, 3), np.uint8)
        pictures = Pictures(images, np.zeros(n, np.int64))
        source = PictureSource(pictures, pictures, ("a",), "")
        pass_ = Extraction(source, backbone, RandomResizedCrop(), VIEWS, 0, 64, 4096, DEVICE, folder, False)
        torch.set_num_threads(count_cores())
        extractor = FeatureExtractor(backbone, DEVICE, 64)
        crops = np.concatenate([pass_._random_crops(index) for index in range(n)])

        def bare(extractor: FeatureExtractor = extractor, crops: np.ndarray = crops) -> None:
            for start in range(0, len(crops), 64):
                extractor.extract(crops[start : start + 64])

        def whole(extractor: FeatureExtractor = extractor, pass_: Extraction = pass_, n: int = n) -> None:
            for _ in extractor.extract_runs(pass_._random_crops, [range(n)], VIEWS):
                pass

        found = medians({"bare": bare, "whole": whole}, rounds)
        each = {kind: 1e3 * value / len(crops) for kind, value in found.items()}
        print(f"extraction, {name} at {size}: {each['whole']:.2f} ms/crop, backbone alone {each['bare']:.2f}, "
              f"{100 * (each['whole'] / each['bare'] - 1):+.1f} %")  # fmt: skip


def decoding(folder: Path) -> None:
    """Decoding a JPEG of ImageNet's usual 500x375 once and cutting it k times, against decoding it k times."""
    smooth = np.random.default_rng(0).integers(0, 256, (24, 32, 3), np.uint8)
    Image.fromarray(smooth).resize((500, 375), Image.Resampling.BICUBIC).save(folder / "a.jpg", quality=95)
    pictures, crops = PictureFiles(folder, ("a.jpg",), np.zeros(1, np.int64)), RandomResizedCrop()
    transform = Backbone("resnet50", "torchvision").transform
    draws = Stream("augment", 0)
    for k in (4, 8):

        def cut(picture: Image.Image, view: int) -> None:
            crops.apply(picture, *crops.draw(draws.rng(0, view), *picture.size), transform)

        def once(k: int = k) -> None:
            for _ in range(10):
                picture = pictures.load(0)
                for view in range(k):
                    cut(picture, view)

        def each_time(k: int = k) -> None:
            for _ in range(10):
                for view in range(k):
                    cut(pictures.load(0), view)

        found = medians({"once": once, "each": each_time})
        print(f"{k} crops of a JPEG of 500x375 decoded once: {100 * found['once']:.1f} ms, decoded {k} times: "
              f"{100 * found['each']:.1f} ms, {found['each'] / found['once']:.2f} x")  # fmt: skip


def large_cache(folder: Path, gib: int = 30) -> None:
    """Batches from a cache larger than this machine's memory (a sparse file); what the process holds of its own."""
    d, views = 2048, 4
    n = gib * 2**30 // (2 * d * views)
    rows = np.lib.format.open_memmap(folder / "train.npy", "w+", np.float16, (n, views, d))
    del rows
    before = _own_mib()
    train, labels = np.load(folder / "train.npy", mmap_mode="r"), np.arange(n) % 1000
    kept = Features(train, np.arange(n), labels, train[:8, 0], np.arange(8), labels[:8], (), "")
    stand_in: Any = SimpleNamespace(device=torch.device("cpu"), features=lambda: kept)
    loader = ProbeLoader(SharedFeatures(stand_in, np.arange(8)), 256, Streams.of(0))
    batches = iter(loader)
    next(batches)
    began = time.perf_counter()
    for _ in range(400):
        next(batches)
    each = (time.perf_counter() - began) / 400
    memory = _total_memory() / 2**30
    print(f"a cache of {gib} GiB, {n} pictures, on a machine of {memory:.0f} GiB: {before} MiB of its own "
          f"before, {_own_mib()} after 400 batches; {1e3 * each:.1f} ms a batch")  # fmt: skip


def _own_mib() -> int:
    if sys.platform != "linux":
        return 0
    status = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    return int(status["RssAnon"].split()[0]) // 1024


def stacked(folder: Path) -> None:
    """A step of many heads at once against as many steps of one, 2,048 features and 1,000 classes."""
    torch.set_num_threads(1)
    for heads in (10, 50) if DEVICE.type == "cuda" else (4,):
        found = medians(_steps(heads))
        print(f"{heads} heads, a step: {1e3 * found['stack']:.1f} ms stacked, {1e3 * found['alone']:.1f} ms one by "
              f"one, {found['alone'] / found['stack']:.2f} x")  # fmt: skip


def _steps(heads: int) -> dict[str, Callable[[], None]]:
    features = torch.randn(heads, 256, 2048, device=DEVICE)
    labels = torch.randint(0, 1000, (heads, 256), device=DEVICE)
    alone = [LinearProbe(2048, 1000).to(DEVICE) for _ in range(heads)]
    stack = ProbeStack(alone).to(DEVICE)
    *optimizers, of_stack = (torch.optim.SGD(m.parameters(), 0.1, 0.9, nesterov=True) for m in (*alone, stack))

    def one_by_one() -> None:
        for head, optimizer, x, y in zip(alone, optimizers, features, labels, strict=True):
            optimizer.zero_grad()
            F.cross_entropy(head(x), y).backward()
            optimizer.step()

    def together() -> None:
        of_stack.zero_grad()
        losses_of_heads(F.cross_entropy, stack(features), labels).sum().backward()
        of_stack.step()

    return {"alone": one_by_one, "stack": together}


def looks(folder: Path) -> None:
    """Pictures a second of the three backbones at 224 pixels."""
    torch.set_num_threads(count_cores())
    batch = 256 if DEVICE.type == "cuda" else 32
    crops = np.random.default_rng(0).integers(0, 256, (batch, 224, 224, 3), np.uint8)
    for name, library in (("resnet50", "torchvision"), ("vit_small_patch16_224", "timm")):
        extractor = FeatureExtractor(random_backbone(folder, name, library, 224), DEVICE, batch)
        found = medians({"look": lambda extractor=extractor: extractor.extract(crops)})  # type: ignore[misc]
        print(f"{name} at 224, batches of {batch}: {batch / found['look']:.0f} pictures/s")


def main() -> None:
    hardware.keep_memory()
    where = torch.cuda.get_device_name() if DEVICE.type == "cuda" else f"{count_cores()} cores"
    print(f"{where}, {PRECISION}, medians of {ROUNDS}")
    for measure in (extraction, decoding, stacked, looks, large_cache, fifty_seeds):
        with tempfile.TemporaryDirectory() as folder:
            measure(Path(folder))


if __name__ == "__main__":
    main()
