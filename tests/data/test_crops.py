"""Crops against torchvision's for the same draw."""

import numpy as np
import pytest
from PIL import Image
from torchvision.transforms import functional as F

from seedspread.config.streams import Stream
from seedspread.data.crops import RandomResizedCrop, center_crop
from seedspread.models.backbones import Transform


@pytest.mark.parametrize("shape", [(40, 60), (60, 40), (30, 30), (7, 200), (200, 7)])
def test_crops_are_those_of_torchvision_for_the_same_draw(shape):
    picture = Image.fromarray(np.random.default_rng(0).integers(0, 256, (*shape, 3), np.uint8))
    transform = Transform(24, 28, "bilinear", (0.5,) * 3, (0.5,) * 3)
    crops, flips = RandomResizedCrop(), set()
    for key in range(20):
        box, flipped = crops.draw(Stream("augment", 3).rng(key), *picture.size)
        left, top, right, bottom = box
        assert 0 <= left < right <= picture.width and 0 <= top < bottom <= picture.height
        expected = F.resized_crop(picture, top, left, bottom - top, right - left, [24, 24])
        expected = F.hflip(expected) if flipped else expected
        assert np.array_equal(crops.apply(picture, box, flipped, transform), np.asarray(expected))
        flips.add(flipped)
    assert flips == {False, True}
    expected = F.center_crop(F.resize(picture, 28), [24, 24])
    assert np.array_equal(center_crop(picture, transform), np.asarray(expected))


def test_crops_are_distributed_over_scale_and_ratio():
    crops, areas, ratios = RandomResizedCrop(scale=(0.2, 0.6), ratio=(0.8, 1.25), flip=False), [], []
    for key in range(400):
        (left, top, right, bottom), flipped = crops.draw(Stream("augment", 0).rng(key), 1000, 800)
        areas.append((right - left) * (bottom - top) / 800_000)
        ratios.append((right - left) / (bottom - top))
        assert not flipped
    assert 0.19 < min(areas) < 0.22 and 0.58 < max(areas) < 0.61 and np.mean(areas) == pytest.approx(0.4, abs=0.03)
    assert min(ratios) > 0.79 and max(ratios) < 1.26 and np.mean(np.log(ratios)) == pytest.approx(0, abs=0.02)
