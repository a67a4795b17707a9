"""`ss.assert_reproducible`, in tests of training code."""

import numpy as np
import pytest
import torch

import seedspread as ss

X = torch.sin(torch.arange(96.0)).reshape(24, 4)


def fit(seed, jitter=lambda: 0.0, noise=lambda x: x, steps=6):
    torch.manual_seed(seed)
    net = torch.nn.Sequential(torch.nn.Linear(4, 8), torch.nn.Dropout(0.1), torch.nn.Linear(8, 1))
    net[0].register_forward_hook(lambda module, args, output: noise(output))
    optimizer = torch.optim.SGD(net.parameters(), 0.1)
    for chosen in torch.randperm(24).split(24 // steps):
        optimizer.zero_grad()
        net(X[chosen] + jitter()).square().mean().backward()
        optimizer.step()


def test_a_seeded_function_passes_and_is_left_as_it_was():
    before = torch.Tensor.backward, torch.manual_seed, np.random.seed, torch.utils.data.dataloader._BaseDataLoaderIter
    ss.assert_reproducible(fit, seed=3)

    after = torch.Tensor.backward, torch.manual_seed, np.random.seed, torch.utils.data.dataloader._BaseDataLoaderIter
    assert before == after
    assert not torch.nn.modules.module._global_forward_hooks


def test_unseeded_numpy_is_located_in_the_batch():
    with pytest.raises(AssertionError, match=r"seed 0 twice: first differ at step 0, in the batch of Sequential"):
        ss.assert_reproducible(lambda seed: fit(seed, jitter=np.random.rand))


def test_a_kernel_that_differs_is_located_in_its_module():
    calls = iter(range(100))

    def noise(output):
        return output + 1e-6 * (next(calls) == 9)  # in the fourth step of the second run

    with pytest.raises(AssertionError, match=r"first differ at step 3, in what a module receives .* of 1$"):
        ss.assert_reproducible(lambda seed: fit(seed, noise=noise))


def test_a_changing_seed_is_named():
    seeds = iter([1, 2])

    with pytest.raises(AssertionError, match=r"test_function.py:\d+ calls torch.manual_seed with another value"):
        ss.assert_reproducible(lambda _: fit(next(seeds)))


def test_steps_end_each_run():
    ended = []

    def train(seed):
        fit(seed)
        ended.append(seed)

    ss.assert_reproducible(train, steps=2)

    assert not ended


def test_a_function_that_trains_nothing_is_refused():
    with pytest.raises(ss.InputError, match="no step"):
        ss.assert_reproducible(lambda seed: seed)
