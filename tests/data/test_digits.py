"""The digits."""

import numpy as np
import torch
from hydra.utils import instantiate

from seedspread.config.streams import Streams
from seedspread.data.digits import read_digits


def test_the_digits_are_all_there(tmp_path):
    digits = read_digits(None, tmp_path, 8)
    assert len(digits.train) == 1297 and len(digits.test) == 500
    assert np.bincount(digits.test.labels).min() >= 45
    assert digits.train.images.max() == 255


def test_the_index_of_a_subset_has_positions_in_the_test_set_as_read(small, tmp_path):
    cfg = small("data.test_size=100")
    data = instantiate(cfg.data, _partial_=True)(streams=Streams.of(0), device=torch.device("cpu"))
    index, test = data.example_index(), read_digits(None, tmp_path, 8).test
    assert len(index.labels) == 100 and index.names is None and (np.bincount(index.labels) == 10).all()
    assert np.array_equal(test.labels[index.positions], index.labels)
    assert np.array_equal(test.images[index.positions], data.pictures.test_images.numpy())
