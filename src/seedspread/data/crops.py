"""Crops of pictures of any shape: random ones for training, the centre for scoring.

The same pixels as torchvision's RandomResizedCrop, RandomHorizontalFlip, Resize and CenterCrop for the same draw. The
draws come from a NumPy generator that the caller passes.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image

from seedspread.config.errors import InputError
from seedspread.models.backbones import INTERPOLATIONS, Transform

ATTEMPTS = 10  # as in torchvision
Box = tuple[int, int, int, int]  # left, top, right, bottom


def _resampling(interpolation: str) -> Image.Resampling:
    return Image.Resampling[interpolation.upper()]


@dataclass(frozen=True)
class RandomResizedCrop:
    """A random crop, resized, then flipped horizontally with probability 0.5 where `flip` is set.

    `scale`: range of the crop's share of the area; `ratio`: range of its width divided by its height. Szegedy et al.
    2015, "Going deeper with convolutions", section 6. Raises InputError for ranges that are empty or out of bounds.
    """

    scale: tuple[float, float] = (0.08, 1.0)
    ratio: tuple[float, float] = (3 / 4, 4 / 3)
    flip: bool = True
    interpolation: str | None = None  # None: the interpolation of the transform

    def __post_init__(self) -> None:
        if self.interpolation not in (None, *INTERPOLATIONS):
            raise InputError(f"data.augment.interpolation={self.interpolation}: choose {' or '.join(INTERPOLATIONS)}")
        for key, most in (("scale", 1.0), ("ratio", math.inf)):
            pair: Sequence[float] = tuple(getattr(self, key))
            object.__setattr__(self, key, pair)  # Hydra's lists are not hashable
            if len(pair) != 2 or not 0 < pair[0] <= pair[1] <= most:
                raise InputError(
                    f"data.augment.{key}={list(pair)}: two numbers above 0 in ascending order, at most {most}"
                )

    def draw(self, rng: np.random.Generator, width: int, height: int) -> tuple[Box, bool]:
        """The box of one crop of a picture of `width` x `height`, and whether it is flipped."""
        low, high = math.log(self.ratio[0]), math.log(self.ratio[1])
        scales, ratios = rng.uniform(*self.scale, ATTEMPTS), np.exp(rng.uniform(low, high, ATTEMPTS))
        places, flipped = rng.random((2, ATTEMPTS)), bool(rng.random() < 0.5)
        for scale, ratio, x, y in zip(scales, ratios, *places, strict=True):
            area = width * height * scale
            w, h = round(math.sqrt(area * ratio)), round(math.sqrt(area / ratio))
            if 0 < w <= width and 0 < h <= height:
                left, top = int(x * (width - w + 1)), int(y * (height - h + 1))
                return (left, top, left + w, top + h), flipped and self.flip
        # No crop fits a very long picture: the centre, as close to the ratios as possible.
        w, h = min(width, round(height * self.ratio[1])), min(height, round(width / self.ratio[0]))
        left, top = (width - w) // 2, (height - h) // 2
        return (left, top, left + w, top + h), flipped and self.flip

    def apply(self, picture: Image.Image, box: Box, flipped: bool, transform: Transform) -> np.ndarray:
        """Pixels (size, size, 3) uint8 of one crop."""
        chosen = self.interpolation or transform.interpolation
        view = picture.crop(box).resize((transform.size, transform.size), _resampling(chosen))
        return np.asarray(view.transpose(Image.Transpose.FLIP_LEFT_RIGHT) if flipped else view)


def center_crop(picture: Image.Image, transform: Transform) -> np.ndarray:
    """Pixels (size, size, 3) uint8: the short side resized to `transform.resize`, the centre cropped."""
    short, size = transform.resize, transform.size
    w, h = picture.size
    resized = (short, int(short * h / w)) if w <= h else (int(short * w / h), short)
    if resized != picture.size:
        picture = picture.resize(resized, _resampling(transform.interpolation))
    left, top = round((picture.width - size) / 2.0), round((picture.height - size) / 2.0)
    return np.asarray(picture.crop((left, top, left + size, top + size)))
