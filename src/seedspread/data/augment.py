"""Random crop, flip and cutout, drawn for a whole epoch at once and applied to batches on the device.

Picard 2021 (arXiv 2109.08203), released recipe: crop of the picture padded by 4, horizontal flip, 8x8 cutout, all
drawn once per chunk of 500 pictures in the order of the set. The pictures are normalised first: padding and cutout fill
with zero, the mean colour.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from seedspread.config.errors import InputError


@dataclass(frozen=True)
class Augmentation:
    """The augmentation of a training set; `padding=0`, `flip=False` or `cutout=0` leaves that part out.

    granularity "chunk": one draw for each `chunk` consecutive pictures of the set, as in the author's code; "image":
    one for each picture, a stronger augmentation with a higher accuracy. Raises InputError for values out of range.
    """

    padding: int = 4
    flip: bool = True
    cutout: int = 8
    granularity: Literal["chunk", "image"] = "chunk"
    chunk: int = 500

    def __post_init__(self) -> None:
        if self.granularity not in ("chunk", "image"):
            raise InputError(f"data.augment.granularity={self.granularity}: choose chunk or image")
        for name, least in (("padding", 0), ("cutout", 0), ("chunk", 1)):
            if getattr(self, name) < least:
                raise InputError(f"data.augment.{name}={getattr(self, name)}: at least {least}")

    def draw(self, rng: np.random.Generator, pictures: int, size: int) -> np.ndarray:
        """Draws of one epoch, (pictures, 5) int64: crop row and column, flip (0 or 1), cutout row and column."""
        if self.cutout > size:
            raise InputError(f"data.augment.cutout={self.cutout}: larger than the pictures, {size}x{size}")
        run = 1 if self.granularity == "image" else self.chunk
        runs = -(-pictures // run)
        draws = np.empty((runs, 5), np.int64)
        draws[:, :2] = rng.integers(0, 2 * self.padding + 1, (runs, 2))
        draws[:, 2] = rng.integers(0, 2, runs) if self.flip else 0
        draws[:, 3:] = rng.integers(0, size - self.cutout + 1, (runs, 2))
        return np.repeat(draws, run, axis=0)[:pictures]

    def apply(self, images: Tensor, draws: Tensor) -> Tensor:
        """Augment normalised images (n, h, w, c) by draws (n, 5): crop, then flip, then cutout; same shape."""
        n, h, w, _ = images.shape
        row, column, flipped, top, left = draws.unbind(1)
        if self.padding:
            p = self.padding
            windows = F.pad(images, (0, 0, p, p, p, p)).unfold(1, h, 1).unfold(2, w, 1)
            images = windows[torch.arange(n, device=images.device), row, column].permute(0, 2, 3, 1)
        if self.flip:
            images = torch.where(flipped.bool()[:, None, None, None], images.flip(2), images)
        if self.cutout:
            rows = torch.arange(h, device=images.device) - top[:, None]
            columns = torch.arange(w, device=images.device) - left[:, None]
            inside_rows = (rows >= 0) & (rows < self.cutout)
            inside_columns = (columns >= 0) & (columns < self.cutout)
            images = images.masked_fill((inside_rows[:, :, None] & inside_columns[:, None, :])[..., None], 0.0)
        return images
