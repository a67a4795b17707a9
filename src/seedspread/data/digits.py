"""The handwritten digits that come with scikit-learn: 1,797 pictures of 8x8 grey pixels, ten classes.

Alpaydin and Kaynak 1998, UCI "Optical Recognition of Handwritten Digits", test part. Nothing is downloaded.
"""

from pathlib import Path

import numpy as np

from seedspread.config.errors import InputError
from seedspread.data.picture_cache import load_or_build
from seedspread.data.pictures import Pictures, PictureSet, build_picture_set

# The set is ordered by writer: the last 500 pictures are by people who wrote none of the others.
TRAIN = 1297


def read_digits(source: str | None, cache: Path, size: int) -> PictureSet:
    """1,297 pictures to train on and 500 to score; Raises InputError for a `source`, and a `size` but 8."""
    if source is not None:
        raise InputError(f"data.source={source}: the digits come with scikit-learn; leave it out")
    if size != 8:
        raise InputError(f"data.size={size}: the digits are 8x8; leave it at 8")
    return load_or_build(cache, "digits", f"scikit-learn digits, split at {TRAIN}", _from_scikit_learn)


def _from_scikit_learn() -> PictureSet:
    from sklearn.datasets import load_digits  # noqa: PLC0415 - takes a second, and only without a cache

    digits = load_digits()
    images = np.round(digits.images * (255 / 16)).astype(np.uint8)[..., None]
    labels = digits.target.astype(np.int64)
    return build_picture_set(
        Pictures(images[:TRAIN], labels[:TRAIN]), Pictures(images[TRAIN:], labels[TRAIN:]), tuple("0123456789")
    )
