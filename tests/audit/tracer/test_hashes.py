"""Hashes of what a training computes."""

import numpy as np
import pytest
import torch

from seedspread.audit.tracer.hashes import UNKNOWN, hash_examples, hash_rows, hash_value


def test_equal_values_have_equal_hashes_and_others_do_not():
    x = torch.arange(12.0).reshape(3, 4)

    assert hash_value(x) == hash_value(x.clone())
    assert hash_value(x) != hash_value(x + 1e-6)
    assert hash_value([x, x]) != hash_value([x, x + 1])


def test_one_bit_of_a_large_tensor_shows():
    x = torch.zeros(70_001)
    y = x.clone()
    y.view(torch.int32)[69_999] = 1

    assert hash_value(x) != hash_value(y)


def test_rows_that_change_places_show():
    x = torch.arange(40_000.0)

    assert hash_value(x) != hash_value(torch.cat([x[1:2], x[0:1], x[2:]]))


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.bool, torch.int64, torch.complex64])
def test_every_type_can_be_hashed(dtype):
    assert hash_value(torch.ones(3, dtype=dtype)) not in (UNKNOWN, hash_value(torch.zeros(3, dtype=dtype)))


def test_odd_tensors_can_be_hashed():
    x = torch.ones(4, 3)

    assert hash_value(x.t()) == hash_value(x.t().contiguous())
    assert hash_value(x.to_sparse()) != UNKNOWN
    assert hash_value(torch.tensor(3.0, requires_grad=True)) != UNKNOWN
    assert hash_value(torch.empty(0)) != UNKNOWN


def test_what_cannot_be_read_is_said():
    assert hash_value(iter([])) == UNKNOWN
    assert hash_value({1, 2}) == UNKNOWN  # its order is of no meaning


def test_an_example_has_its_hash_wherever_it_stands_in_a_batch():
    x = torch.randn(5, 7, generator=torch.Generator().manual_seed(0))

    assert hash_rows([x])[3] == hash_rows([x[3:]])[0]
    assert len(set(hash_rows([x, torch.arange(5)]))) == 5


def test_examples_before_and_after_they_are_collated():
    examples = [(np.ones(3) * i, i) for i in range(4)]

    assert len(set(hash_examples(examples))) == 4
    assert hash_examples(examples)[2] == hash_examples(examples[2:])[0]


def test_tensors_within_transforms_of_functions_are_hashed():
    seen = []

    def loss(w):
        seen.append(hash_value(w))
        return (w * w).sum()

    w = torch.arange(3.0)
    torch.func.grad(loss)(w)

    assert seen == [hash_value(w)]
