"""Fine-tuning: the head first, with the backbone of a probe; then all layers."""

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from seedspread.config.errors import InputError
from seedspread.models.backbones import Backbone
from seedspread.models.finetuned import FineTuned

MEAN, STD = (0.4914, 0.4822, 0.4465), (0.2023, 0.1994, 0.2010)


@pytest.fixture
def backbone(checkpoint):
    return Backbone("test_resnet", "timm", checkpoint=checkpoint, size=32, resize=32)


@pytest.fixture
def network(backbone):
    torch.manual_seed(0)
    return FineTuned(backbone, 4, MEAN, STD, head_epochs=2)


def step(network):
    """One step of SGD with momentum and weight decay; the names of what it changed, buffers included."""
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    optimizer = torch.optim.SGD(network.parameters(), lr=0.1, momentum=0.9, weight_decay=0.1)
    F.cross_entropy(network(torch.randn(6, 3, 16, 16)), torch.arange(6) % 4).backward()
    optimizer.step()
    network.zero_grad()
    return {name for name, tensor in network.state_dict().items() if not torch.equal(tensor, before[name])}


def test_the_head_alone_trains_before_all_layers_do(network):
    for epoch in (0, 1):
        network.set_epoch(epoch)
        assert step(network) == {"head.weight", "head.bias"}
    network.set_epoch(2)
    changed = step(network)
    # Biases behind this network's zero weights have no gradient yet.
    assert {name for name, _ in network.named_parameters() if name.endswith("weight")} <= changed
    assert any(name.endswith("running_mean") for name in changed)


def test_scoring_between_epochs_leaves_the_backbone_as_its_epoch_has_it(network):
    network.set_epoch(1)
    assert not network.eval().train().backbone.training and network.head.training
    network.set_epoch(2)
    assert network.eval().train().backbone.training
    assert not any(part.training for part in network.eval().modules())


def test_it_sees_what_a_probe_sees(network, backbone):
    """Pictures in the backbone's own normalisation and at its size, whatever they were normalised by before."""
    pictures = torch.rand(3, 3, 16, 16)
    mean, std = (torch.tensor(values)[:, None, None] for values in (MEAN, STD))
    theirs, spread = (torch.tensor(v)[:, None, None] for v in (backbone.transform.mean, backbone.transform.std))
    larger = F.interpolate(pictures, (32, 32), mode=backbone.transform.interpolation, antialias=True)
    expected = network.head(backbone.load()((larger - theirs) / spread))
    found = network.eval()((pictures - mean) / std)
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)
    whole = torch.rand(2, 3, 32, 32)
    expected = network.head(backbone.load()((whole - theirs) / spread))
    torch.testing.assert_close(network((whole - mean) / std), expected, rtol=1e-4, atol=1e-5)


def test_grey_pictures_become_rgb(backbone):
    network = FineTuned(backbone, 4, [0.3], [0.4])
    grey = torch.randn(2, 1, 16, 16)
    colour = FineTuned(backbone, 4, [0.3] * 3, [0.4] * 3)
    colour.load_state_dict(network.state_dict())
    torch.testing.assert_close(network.eval()(grey), colour.eval()(grey.expand(-1, 3, -1, -1)))


def test_only_the_head_is_drawn(backbone):
    """Two seeds differ in the head alone, and their backbones are the file's weights."""
    one, other = FineTuned(backbone, 4, MEAN, STD), FineTuned(backbone, 4, MEAN, STD)
    names = {name for name, tensor in one.state_dict().items() if not torch.equal(tensor, other.state_dict()[name])}
    assert names == {"head.weight", "head.bias"}
    assert one.pretrained == {"name": "test_resnet", "weights_sha256": backbone.weights_sha256()}


def test_gradients_reach_all_layers_of_a_network_that_nobody_freezes(backbone):
    network: nn.Module = FineTuned(backbone, 4, MEAN, STD, head_epochs=0)
    network(torch.randn(2, 3, 16, 16)).sum().backward()
    assert all(p.grad is not None for p in network.parameters())


def test_without_a_backbone_it_says_what_is_missing():
    with pytest.raises(InputError, match="model=finetuned needs a pretrained network: backbone=timm"):
        FineTuned(None, 4, MEAN, STD)
