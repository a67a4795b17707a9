import numpy as np
import pytest
import torch

from seedspread.config.errors import InputError
from seedspread.config.streams import Streams
from seedspread.data.augment import Augmentation
from seedspread.data.loader import Normaliser, ScoreLoader, TrainLoader

N, SIZE = 25, 12
MEAN, STD = (0.4, 0.5, 0.6), (0.2, 0.3, 0.25)


@pytest.fixture
def images():
    return torch.from_numpy(np.random.default_rng(0).integers(0, 256, (N, SIZE, SIZE, 3), np.uint8))


def normalised(images):
    return ((images.double() / 255 - torch.tensor(MEAN)) / torch.tensor(STD)).permute(0, 3, 1, 2)


def loader(images, augment=None, streams=None, batch=10):
    labels = torch.arange(len(images))
    normalise = Normaliser(MEAN, STD, SIZE, images.device)
    return TrainLoader(images, labels, batch, normalise, streams or Streams.of(0), augment)


def one_by_one(picture, draws, padding, cutout):
    """A picture (c, h, w), augmented by plain slices."""
    y, x, flipped, top, left = draws
    canvas = torch.zeros(3, SIZE + 2 * padding, SIZE + 2 * padding, dtype=picture.dtype)
    canvas[:, padding : padding + SIZE, padding : padding + SIZE] = picture
    out = canvas[:, y : y + SIZE, x : x + SIZE].clone()
    if flipped:
        out = out.flip(2)
    out[:, top : top + cutout, left : left + cutout] = 0
    return out


@pytest.mark.parametrize("padding, flip, cutout", [(4, True, 8), (0, False, 3), (2, False, 0), (0, True, 0)])
def test_augmentation_of_a_batch_equals_that_of_single_pictures(images, padding, flip, cutout):
    augment = Augmentation(padding, flip, cutout, "image")
    draws = augment.draw(np.random.default_rng(1), N, SIZE)
    pictures = normalised(images)
    ours = augment.apply(pictures.permute(0, 2, 3, 1).contiguous(), torch.from_numpy(draws)).permute(0, 3, 1, 2)
    theirs = torch.stack([one_by_one(p, d, padding, cutout) for p, d in zip(pictures, draws, strict=True)])
    assert torch.equal(ours, theirs)


def test_draws_cover_every_position_and_no_others():
    draws = Augmentation(granularity="image").draw(np.random.default_rng(0), 20_000, 32)
    assert [sorted(set(column)) for column in draws.T] == [
        list(range(9)), list(range(9)), [0, 1], list(range(25)), list(range(25)),
    ]  # fmt: skip


def test_a_chunk_shares_its_draws_and_chunks_differ():
    draws = Augmentation(chunk=10).draw(np.random.default_rng(0), 25, 32)
    assert draws.shape == (25, 5)
    assert [len(np.unique(draws[part], axis=0)) for part in (slice(0, 10), slice(10, 20), slice(20, 25))] == [1, 1, 1]
    assert len(np.unique(draws, axis=0)) == 3


def test_chunks_follow_the_order_of_the_set_not_of_the_batch(images):
    augment = Augmentation(padding=2, cutout=4, chunk=5)
    streams = Streams.of(3)
    draws = augment.draw(streams.augment.rng(0), N, SIZE)
    pictures = normalised(images)
    for batch, labels in loader(images, augment, streams):
        theirs = torch.stack([one_by_one(pictures[i], draws[i], 2, 4) for i in labels.tolist()])
        torch.testing.assert_close(batch.double(), theirs, rtol=0, atol=1e-5)


def test_an_epoch_has_each_picture_at_most_once_and_drops_the_rest(images):
    seen = torch.cat([labels for _, labels in loader(images)])
    assert len(loader(images)) == 2 and len(seen) == len(seen.unique()) == 20


def test_epochs_and_seeds_differ_and_repeat(images):
    def order(seed, epoch):
        train = loader(images, streams=Streams.of(seed))
        train.sampler.set_epoch(epoch)
        return torch.cat([labels for _, labels in train]).tolist()

    assert order(0, 1) == order(0, 1)
    assert order(0, 1) != order(0, 0) != order(1, 0)


def test_scoring_has_all_pictures_in_order_without_augmentation(images):
    batches = list(ScoreLoader(images, torch.arange(N), 10, Normaliser(MEAN, STD, SIZE, images.device)))
    assert torch.cat([labels for _, labels in batches]).tolist() == list(range(N))
    torch.testing.assert_close(torch.cat([x for x, _ in batches]).double(), normalised(images), rtol=0, atol=1e-5)
    assert batches[0][0].is_contiguous(memory_format=torch.channels_last)


@pytest.mark.parametrize("wrong", [{"granularity": "batch"}, {"padding": -1}, {"cutout": -1}, {"chunk": 0}])
def test_invalid_settings_are_named(wrong):
    (key,) = wrong
    with pytest.raises(InputError, match=f"data.augment.{key}={wrong[key]}"):
        Augmentation(**wrong)
    with pytest.raises(InputError, match="larger than the pictures"):
        Augmentation(cutout=20).draw(np.random.default_rng(0), 5, 8)


@pytest.mark.parametrize("augment", [None, Augmentation(2, True, 3, "image"), Augmentation(2, True, 3, chunk=4)])
def test_an_epoch_that_is_augmented_whole_has_the_same_bits(images, augment, monkeypatch):
    by_batch = [*loader(images, augment)]
    monkeypatch.setattr(TrainLoader, "_has_room", lambda self: True)
    monkeypatch.setattr("seedspread.data.loader.PICTURES_AT_ONCE", 7)
    whole = [*loader(images, augment)]
    for (ours, our_labels), (theirs, their_labels) in zip(whole, by_batch, strict=True):
        assert torch.equal(ours, theirs) and torch.equal(our_labels, their_labels)
        assert ours.stride() == theirs.stride()
