"""Pictures in memory."""

import numpy as np
import pytest
import torch

from seedspread.config.errors import InputError
from seedspread.data.picture_data import load_pictures
from seedspread.data.pictures import Pictures


def test_a_balanced_subset_is_fixed_and_equal_over_classes():
    labels = np.array([0, 0, 1, 0, 1, 2, 2, 1])
    pictures = Pictures(np.arange(8, dtype=np.uint8).reshape(8, 1, 1, 1), labels)
    assert pictures.balanced_subset(6, 3, "data.train_size").images.ravel().tolist() == [0, 1, 2, 4, 5, 6]
    assert pictures.balanced_subset(None, 3, "data.train_size") is pictures
    with pytest.raises(InputError, match=r"data.train_size=7: .* multiple of the 3 classes"):
        pictures.balanced_subset(7, 3, "data.train_size")
    with pytest.raises(InputError, match="at most 6"):
        pictures.balanced_subset(9, 3, "data.train_size")


def test_a_process_reads_its_pictures_once(small):
    from hydra.utils import instantiate

    from seedspread.config.streams import Streams

    load_pictures.cache_clear()
    for seed in range(3):
        instantiate(small().data, _partial_=True)(streams=Streams.of(seed), device=torch.device("cpu"))
    assert load_pictures.cache_info().misses == 1


def test_grey_pictures_become_rgb():
    grey = Pictures(np.full((1, 8, 8, 1), 7, np.uint8), np.zeros(1, np.int64))
    assert np.asarray(grey.load(0)).tolist() == np.full((8, 8, 3), 7).tolist()
