"""Picture files decoded by workers: the same bytes for any number of them."""

import shutil

import numpy as np
import pytest
import torch
from hydra import compose, initialize_config_dir
from hydra.utils import instantiate
from PIL import Image

from seedspread.commands.train import main, train
from seedspread.config.errors import InputError
from seedspread.config.streams import Streams
from seedspread.data.file_data import _list_pictures
from seedspread.data.picture_data import load_pictures
from seedspread.data.picture_files import read_picture_files
from seedspread.data.pictures import Pictures, build_picture_set
from tests.conftest import CONF


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
    """Two epochs of six batches of seven pictures, the rest dropped."""
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
def test_the_bytes_do_not_depend_on_persistent_workers(files, workers):
    alone, shared = batches(files()), batches(files(f"data.workers={workers}"))
    assert equal(alone, shared) and len(alone) == 2 * (48 // 7)
    assert not equal(alone[:6], alone[6:])  # each epoch has its own crops and order


@pytest.mark.parametrize("workers", [0, 2])
def test_an_epoch_alone_has_the_same_bytes_as_after_others(files, workers):
    assert equal(batches(files(f"data.workers={workers}"), epochs=(1,)), batches(files())[6:])


def test_an_iteration_resumes_after_the_batches_done(files):
    data = instantiate(files("data.workers=2").data, _partial_=True)(streams=Streams.of(0), device=torch.device("cpu"))
    whole = batches(files(), epochs=(1,))
    loader = data.train_dataloader()
    loader.keys.sampler.set_epoch(1)
    loader.load_state_dict({"batches_done": 4})
    assert equal([(i.clone(), n.clone()) for i, n in loader], whole[4:])
    assert loader.state_dict() == {"batches_done": 6}
    assert equal([(i.clone(), n.clone()) for i, n in loader], whole)  # the next iteration is complete


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


def test_runs_with_0_and_2_workers_belong_to_one_study_and_train_the_same_network(files):
    alone = train(files("study=alone"))
    shared = train(files("study=shared", "data.workers=2"))
    assert alone.weights_sha256 == shared.weights_sha256 and alone.train_examples == 48
    assert alone.config_digest == shared.config_digest


def test_a_sweep_of_several_workers_trains_on_pictures_that_workers_decode(folder, invoked, tmp_path):
    pictures = ["data=picture_files", f"data.root={folder}", "data.size=16", "data.resize=18", "data.batch_size=7"]
    fixed = ["trainer=cpu", "trainer.max_epochs=1", "model.width=4", f"results={tmp_path}/results", "report=false"]
    swept = ["-m", "seed=0,1", "jobs=2", "study=swept", *pictures, *fixed, "data.workers=1"]
    code, out, err = invoked(main, *swept)
    assert code == 0 and "swept, 2 seeds: accuracy" in out, err


@pytest.mark.parametrize(
    "setting, says",
    [
        ("data.workers=-1", "data.workers=-1: a whole number of at least 0"),
        ("data.batch_size=49", "picture_files has 48 pictures to train on"),
        ("data.resize=8", "data.size=16, data.resize=8: pixels, 1 <= size <= resize"),
        ("data.classes=3", "has 2 classes"),
        ("data.channels=1", "pictures from files have 3"),
        ("data.root=null", "data.root is not set"),
        ("data.root=nowhere", "data.root=nowhere: no such folder"),
    ],
)
def test_invalid_settings_are_refused(files, setting, says):
    with pytest.raises(InputError, match=says):
        train(files(setting))


@pytest.mark.parametrize("workers", [0, 2])
def test_a_broken_picture_is_named_without_the_traceback_of_a_worker(files, folder, tmp_path, workers):
    broken = tmp_path / "broken"
    shutil.copytree(folder, broken)
    (broken / "train" / "a" / "03.png").write_bytes(b"no picture")
    with pytest.raises(
        InputError, match=rf"^{broken}/train/a/03\.png: not a whole picture \(.*\); replace or remove it$"
    ):
        train(files(f"data.source={broken}", f"data.workers={workers}"))


CALLS: list[dict[str, object]] = []  # the keywords of each call of the readers below


def list_files(source, cache, size, **keywords):
    """read_picture_files that counts its calls."""
    CALLS.append(keywords)
    return read_picture_files(source, cache, size)


def read_noise(source, cache, size, seed=0):
    """20 random grey pictures to train on, 10 to score."""
    CALLS.append({"seed": seed})
    images = np.random.default_rng(seed).integers(0, 256, (30, size, size, 1), np.uint8)
    labels = np.arange(30) % 10
    train, test = Pictures(images[:20], labels[:20]), Pictures(images[20:], labels[20:])
    return build_picture_set(train, test, tuple("0123456789"))


def test_files_are_listed_once_a_process_and_the_reader_gets_its_keywords(files):
    _list_pictures.cache_clear()
    CALLS.clear()
    reader = ["data.read._target_=tests.data.test_file_data.list_files"]
    for keywords in (["+data.read.part=a"], ["+data.read.part=a"], ["+data.read.part=b"], []):
        batches(files(*reader, *keywords), epochs=(0,), seed=len(CALLS))
    assert CALLS == [{"part": "a"}, {"part": "b"}, {}]


def test_arrays_are_read_once_a_process_and_the_reader_gets_its_keywords(small):
    load_pictures.cache_clear()
    CALLS.clear()
    reader = ["data.read._target_=tests.data.test_file_data.read_noise", "data.batch_size=10"]
    found = [
        train(small(f"seed={s}", f"study=noise{n}", *reader, f"+data.read.seed={n}"))
        for s, n in ((0, 7), (1, 7), (0, 8))
    ]
    assert CALLS == [{"seed": 7}, {"seed": 8}]
    assert found[0].data_sha256 == found[1].data_sha256 != found[2].data_sha256
