"""Which examples train, validate and test, in every data module of the project."""

import numpy as np
import pytest
import torch
from hydra import compose, initialize_config_dir
from hydra.utils import instantiate

from seedspread.config.errors import InputError
from seedspread.config.identity import compute_digest, study_identity
from seedspread.config.resolve import resolve_config
from seedspread.config.streams import STREAMS, Streams
from seedspread.data.class_folders import read_class_folders
from seedspread.data.picture_files import read_picture_files
from seedspread.data.splits import draw_split
from tests.conftest import CONF
from tests.data.pictures import archive, files, folder, png, values

LABELS = np.random.default_rng(0).choice(4, 500, p=[0.5, 0.3, 0.15, 0.05])


@pytest.mark.parametrize("validation, size", [(0.1, 50), (0.333, 166), (50, 50), (4, 4), (499 - 3, 496)])
def test_each_class_validates_in_proportion(validation, size):
    labels = np.repeat(np.arange(4), 125) if size in (4, 496) else LABELS
    split = draw_split(labels, validation, Streams.of(3).split)
    assert sorted([*split.train, *split.validation]) == list(range(500)) and len(split.validation) == size
    share = np.bincount(labels) * size / 500
    assert np.abs(np.bincount(labels[split.validation]) - share).max() < 1
    assert (np.diff(split.train) > 0).all() and (np.diff(split.validation) > 0).all()


def test_every_example_of_a_class_validates_equally_often():
    counts = sum(
        np.bincount(draw_split(LABELS, 0.2, Streams.of(s).split).validation, minlength=500) for s in range(500)
    )
    for label in range(4):
        of_class = counts[label == LABELS]
        mean = of_class.mean()
        expected = mean * (1 - mean / 500)  # of a binomial count
        assert of_class.var() == pytest.approx(expected, rel=0.4 if len(of_class) > 50 else 0.8)


def test_only_the_split_stream_draws_the_split():
    def drawn(**own):
        return draw_split(LABELS, 0.1, Streams.of(0, **own).split).sha256

    assert {drawn(**{name: 9}) for name in STREAMS if name != "split"} == {drawn()} != {drawn(split=9)}
    assert drawn(split=9) == draw_split(LABELS, 50, Streams.of(9).split).sha256


@pytest.mark.parametrize("validation", [1.5, 500, 499, 3, 0.005, 0.999])
def test_a_split_that_leaves_a_class_without_examples_is_refused(validation):
    with pytest.raises(InputError, match=f"data.validation={validation}: ") as raised:
        draw_split(LABELS, validation, Streams.of(0).split)
    assert len(str(raised.value).splitlines()) == 1


def data_of(cfg, seed=0, **own):
    cfg = resolve_config(cfg)
    return instantiate(cfg.data, _partial_=True)(streams=Streams.of(seed, **own), device=torch.device("cpu"))


def rows(loader, epochs=(0,)):
    """The inputs of a loader, a row each."""
    found = []
    for epoch in epochs:
        if hasattr(loader, "sampler") and hasattr(loader.sampler, "set_epoch"):
            loader.sampler.set_epoch(epoch)
        found += [inputs.flatten(1) for inputs, _ in loader]
    return torch.cat(found).numpy() if found else np.empty((0, 1))


def as_set(rows):
    return {row.tobytes() for row in rows}


def composed(*overrides):
    with initialize_config_dir(CONF, version_base="1.3"):
        return compose("train", list(overrides))


@pytest.fixture
def picture_files(tmp_path):
    """Two classes of 20 pictures to train on, 4 to test on, each of one shade, scored as they train."""
    contents = {f"{p}/{k}/{i:02}.png": png(120 * c + 3 * i + t) for p, n, t in (("train", 20, 0), ("test", 4, 90))
                for c, k in enumerate("ab") for i in range(n)}  # fmt: skip
    root = folder(tmp_path / "files", contents)
    fixed = ["data=picture_files", f"data.root={root}", "data.size=8", "data.resize=8", "data.batch_size=4"]
    fixed += ["trainer=cpu", "data.augment.flip=false"]
    return lambda *more: composed(*fixed, *more)


MODULES = {"PictureData": "small", "FileData": "picture_files", "FeatureData": "probe"}
# Batches of one shade or of the same pictures without augmentation, so that a row names its picture.
PLAIN = {"small": ["data.augment=null", "data.batch_size=1"], "picture_files": ["data.batch_size=1"], "probe": []}


@pytest.mark.parametrize("name", MODULES.values(), ids=MODULES)
def test_training_validation_and_test_examples_are_disjoint_and_complete(name, request):
    make = request.getfixturevalue(name)
    whole = data_of(make(*PLAIN[name]))
    data = data_of(make(*PLAIN[name], "data.validation=0.25"))
    train, validation = data.train_examples, data.validation_examples
    assert train + validation == whole.train_examples and validation == round(0.25 * whole.train_examples)
    assert whole.validation_examples is None and whole.test_dataloader() == []
    assert np.array_equal(rows(data.test_dataloader()), rows(whole.val_dataloader()))
    assert len(rows(data.val_dataloader())) == validation
    labels = torch.cat([labels for _, labels in data.val_dataloader()])
    assert np.array_equal(labels, labels_of(whole)[data.split.validation])
    if name != "probe":  # whose views are crops
        assert not as_set(rows(data.train_dataloader())) & (scored := as_set(rows(data.val_dataloader())))
        assert as_set(rows(data.train_dataloader())) | scored == as_set(rows(whole.train_dataloader()))
    else:
        loader = data.train_dataloader()
        pictures = loader.draw()[0][: len(loader) * loader.batch_size]
        assert set(pictures) <= set(data.split.train) and len(pictures) == 24


def labels_of(data):
    """The labels of all training examples, in their order."""
    pictures = data.pictures
    found = getattr(pictures, "train_labels", None)
    return np.asarray(pictures.train.labels if found is None else found)


@pytest.mark.parametrize("name", MODULES.values(), ids=MODULES)
def test_the_split_stream_changes_the_split_and_nothing_else(name, request):
    make = request.getfixturevalue(name)
    cfg = make("data.validation=0.25", "data.batch_size=3")
    before = data_of(cfg)
    for stream in STREAMS:
        after = data_of(cfg, **{stream: 99})
        assert (after.split.sha256 == before.split.sha256) == (stream != "split")
        assert np.array_equal(rows(after.val_dataloader()), rows(before.val_dataloader())) == (stream != "split")
        assert np.array_equal(rows(after.test_dataloader()), rows(before.test_dataloader()))
        if stream != "augment":  # crops of one shade are equal
            moved = not np.array_equal(rows(after.train_dataloader()), rows(before.train_dataloader()))
            assert moved == (stream in ("order", "split"))
    after = data_of(cfg, split=99)
    assert torch.equal(*(order_of(data.train_dataloader()) for data in (before, after)))


def order_of(loader):
    sampler = loader.keys.sampler if hasattr(loader, "keys") else loader.sampler
    return sampler.permutation()


def test_kept_features_of_validation_pictures_are_those_of_their_centre_crops(probe):
    data = data_of(probe("data.validation=6"))
    swapped = data_of(probe("data.validation=6", "data.views=0"))
    assert np.array_equal(rows(data.val_dataloader()), rows(swapped.val_dataloader()))
    assert data.pictures.fingerprint != data_of(probe()).pictures.fingerprint
    chosen = data.shared.validation.test[data.split.validation].astype(np.float32)
    assert np.array_equal(rows(data.val_dataloader()), chosen)


def test_a_subset_is_taken_before_the_split(small):
    data = data_of(small("data.train_size=200", "data.validation=0.1"))
    assert (data.train_examples, data.validation_examples) == (180, 20)
    assert np.bincount(data.validation[1]).tolist() == [2] * 10


def test_no_digest_moves_without_a_validation_set(small):
    identity = study_identity(resolve_config(small()))
    assert "validation" not in identity["data"]
    assert compute_digest(identity) != compute_digest(study_identity(resolve_config(small("data.validation=0.1"))))


@pytest.mark.parametrize("value", ["0", "-1", "some"])
def test_no_part_of_the_data_is_refused_before_anything_is_read(small, value):
    from seedspread.config.check import check_config
    from seedspread.config.schema import Train

    with pytest.raises(InputError, match=f"data.validation={value}: a fraction of the training examples below 1"):
        check_config(small(f"data.validation={value}"), Train)


def three_parts(val="val"):
    return {
        **files(),
        **{f"{val}/{label}/{i}.png": png(200 + 10 * c + i) for c, label in enumerate("ab") for i in (0, 1)},
    }


@pytest.mark.parametrize("val", ["val", "valid", "validation"])
def test_folders_with_three_parts_validate_on_val_and_test_on_test(tmp_path, val):
    for source in (folder(tmp_path / "in", three_parts(val)), archive(tmp_path / "in.zip", three_parts(val))):
        for _ in range(2):  # decoded, then from the cache
            found = read_class_folders(str(source), tmp_path / "cache", 8)
            assert values(found.validation) == [200, 210, 201, 211] and values(found.test) == [100, 110, 101, 111]
    without = read_class_folders(str(folder(tmp_path / "two", files())), tmp_path / "cache", 8)
    assert without.validation is None and without.fingerprint != found.fingerprint
    listed = read_picture_files(str(tmp_path / "in"), tmp_path, 8)
    assert listed.validation.names == tuple(f"{val}/{label}/{i}.png" for label in "ab" for i in (0, 1))
    assert [len(part) for part in (listed.train, listed.test)] == [6, 4]


def test_a_class_without_validation_pictures_is_named(tmp_path):
    contents = {name: data for name, data in three_parts().items() if not name.startswith("val/b")}
    with pytest.raises(InputError, match="train/ and val/ hold different classes: only in train/: b;"):
        read_class_folders(str(folder(tmp_path / "in", contents)), tmp_path / "cache", 8)


OWN = {
    "PictureData": ["data=class_folders", "data.source={0}", "data.size=8", "data.batch_size=3", "data.cache={0}/../c"],
    "FileData": ["data=picture_files", "data.root={0}", "data.size=8", "data.resize=8", "data.batch_size=3"],
    "FeatureData": ["data.source={0}", "data.cache={0}/../c"],
}  # fmt: skip


@pytest.mark.parametrize("name", OWN)
def test_a_validation_set_of_the_datas_own_validates_and_is_not_split_again(name, probe, tmp_path):
    root = folder(tmp_path / "in", three_parts())
    make, fixed = probe if name == "FeatureData" else composed, [one.format(root) for one in OWN[name]]
    data = data_of(make(*fixed, "trainer=cpu", "data.batch_size=3"))
    assert (data.train_examples, data.validation_examples, data.split) == (6, 4, None)
    assert len(rows(data.val_dataloader())) == len(rows(data.test_dataloader())) == 4
    assert not np.array_equal(rows(data.val_dataloader()), rows(data.test_dataloader()))
    with pytest.raises(
        Exception, match=r"data.validation=0.1: \w+ has a validation set of its own; data.validation=null"
    ):
        data_of(make(*fixed, "trainer=cpu", "data.batch_size=3", "data.validation=0.1"))
