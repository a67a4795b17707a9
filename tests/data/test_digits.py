"""The digits."""

import numpy as np

from seedspread.data.digits import read_digits


def test_the_digits_are_all_there(tmp_path):
    digits = read_digits(None, tmp_path, 8)
    assert len(digits.train) == 1297 and len(digits.test) == 500
    assert np.bincount(digits.test.labels).min() >= 45
    assert digits.train.images.max() == 255
