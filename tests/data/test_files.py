"""Picture files decoded by workers: the same bytes for any number of them."""

import subprocess
import sys

import pytest
import torch
from hydra import compose, initialize_config_dir
from hydra.utils import instantiate
from PIL import Image

from seedspread.commands.train import train
from seedspread.config.errors import InputError
from seedspread.config.streams import Streams
from tests.conftest import CONF, ROOT


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Two classes of 24 pictures of several sizes to train on, 4 to score."""
    root = tmp_path_factory.mktemp("pictures")
    generator = torch.Generator().manual_seed(0)
    for part, count in (("train", 24), ("test", 4)):
        for kind in ("a", "b"):
            (root / part / kind).mkdir(parents=True)
            for i in range(count):
                pixels = torch.randint(0, 256, (40 + i, 60 - i, 3), generator=generator, dtype=torch.uint8)
                Image.fromarray(pixels.numpy()).save(root / part / kind / f"{i:02}.png")
    return root


@pytest.fixture
def files(folder, tmp_path):
    """Two epochs of six batches of seven pictures and a rest."""
    fixed = ["data=picture_files", f"data.root={folder}", "data.size=16", "data.resize=18", "data.batch_size=7"]
    fixed += ["trainer=cpu", "trainer.max_epochs=2", "model.width=4", f"results={tmp_path}/results"]

    def composed(*more):
        with initialize_config_dir(CONF, version_base="1.3"):
            return compose("train", [*fixed, *more])

    return composed


def batches(cfg, epochs=(0, 1), seed=0):
    data = instantiate(cfg.data, _partial_=True)(streams=Streams.of(seed), device=torch.device("cpu"))
    loader = data.train_dataloader()
    found = []
    for epoch in epochs:
        loader.keys.sampler.set_epoch(epoch)
        found += [(images.clone(), labels.clone()) for images, labels in loader]
    return found


def equal(one, other):
    return len(one) == len(other) and all(
        torch.equal(a, c) and torch.equal(b, d) for (a, b), (c, d) in zip(one, other, strict=True)
    )


@pytest.mark.parametrize("workers", [1, 2, 5])
def test_the_bytes_do_not_depend_on_workers_kept_over_epochs(files, workers):
    alone, shared = batches(files()), batches(files(f"data.workers={workers}"))
    assert equal(alone, shared) and len(alone) == 2 * (48 // 7)
    assert not equal(alone[:6], alone[6:])  # each epoch has crops and an order of its own


@pytest.mark.parametrize("workers", [0, 2])
def test_an_epoch_alone_has_the_bytes_that_it_has_after_others(files, workers):
    assert equal(batches(files(f"data.workers={workers}"), epochs=(1,)), batches(files())[6:])


def test_a_pass_goes_on_after_the_batches_done(files):
    data = instantiate(files("data.workers=2").data, _partial_=True)(streams=Streams.of(0), device=torch.device("cpu"))
    whole = batches(files(), epochs=(1,))
    loader = data.train_dataloader()
    loader.keys.sampler.set_epoch(1)
    loader.load_state_dict({"batches_done": 4})
    assert equal([(i.clone(), n.clone()) for i, n in loader], whole[4:])
    assert loader.state_dict() == {"batches_done": 6}
    assert equal([(i.clone(), n.clone()) for i, n in loader], whole)  # the pass after is whole again


def test_the_global_generator_is_left_alone(files):
    torch.manual_seed(0)
    expected = torch.rand(3)
    torch.manual_seed(0)
    batches(files("data.workers=1"))
    assert torch.equal(torch.rand(3), expected)


def test_only_the_augment_stream_moves_the_crops(files):
    cfg = files()

    def first(**own):
        data = instantiate(cfg.data, _partial_=True)(streams=Streams.of(0, **own), device=torch.device("cpu"))
        return next(iter(data.train_dataloader()))

    images, labels = first()
    assert torch.equal(first(init=9)[0], images)
    assert torch.equal(first(augment=9)[1], labels) and not torch.equal(first(augment=9)[0], images)
    assert not torch.equal(first(order=9)[0], images)


def test_runs_with_0_and_2_workers_belong_to_one_study_and_give_the_same_network(files):
    alone = train(files("study=alone"))
    shared = train(files("study=shared", "data.workers=2"))
    assert alone["weights_sha256"] == shared["weights_sha256"] and alone["train_examples"] == 48
    assert alone["config_digest"] == shared["config_digest"]


def test_a_sweep_of_several_workers_trains_on_pictures_that_workers_decode(folder, tmp_path):
    pictures = ["data=picture_files", f"data.root={folder}", "data.size=16", "data.resize=18", "data.batch_size=7"]
    fixed = ["trainer=cpu", "trainer.max_epochs=1", "model.width=4", f"results={tmp_path}/results", "report=false"]
    sweep = [sys.executable, "-m", "src.train", "-m", "seed=0,1", "jobs=2", "study=swept", *pictures, *fixed]
    done = subprocess.run([*sweep, "data.workers=1"], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0 and "swept, 2 seeds: accuracy" in done.stdout


@pytest.mark.parametrize(
    "setting, says",
    [
        ("data.workers=-1", "data.workers=-1: a whole number of at least 0"),
        ("data.batch_size=49", "picture_files has 48 pictures to train on"),
        ("data.resize=8", "resize no smaller"),
        ("data.classes=3", "has 2 classes"),
        ("data.channels=1", "pictures from files have 3"),
        ("data.root=null", "data.root is not set"),
        ("data.root=nowhere", "data.root=nowhere: no such folder"),
    ],
)
def test_what_cannot_be_is_refused(files, setting, says):
    with pytest.raises(InputError, match=says):
        train(files(setting))


def test_a_broken_picture_is_named(files, folder, tmp_path):
    import shutil

    broken = tmp_path / "broken"
    shutil.copytree(folder, broken)
    (broken / "train" / "a" / "03.png").write_bytes(b"no picture")
    with pytest.raises(InputError, match=r"03\.png .*: not a whole picture"):
        train(files(f"data.source={broken}"))
