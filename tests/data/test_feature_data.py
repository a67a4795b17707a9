"""Kept features and live backbones: what a batch holds."""

import numpy as np
import pytest
import torch
from hydra.utils import instantiate

from seedspread.commands.train import train
from seedspread.config.resolve import resolve_config
from seedspread.config.streams import Streams
from seedspread.training.weights_hash import weights_sha256


def data_of(cfg, seed=0):
    cfg = resolve_config(cfg)
    return instantiate(cfg.data, _partial_=True)(streams=Streams.of(seed, **cfg.streams), device=torch.device("cpu"))


@pytest.mark.parametrize("stream", ["init", "order", "augment"])
def test_changing_one_stream_changes_only_its_draws(probe, stream):
    whole = "data.batch_size=9"  # 36 pictures, none dropped
    draws_of = {}
    for name, own in (("before", []), ("after", [f"streams.{stream}=99"])):
        cfg = probe(whole, *own)
        loader = data_of(cfg).train_dataloader()
        pictures, views = loader.draw()
        init = Streams.of(cfg.seed, **cfg.streams).init.rng().random()
        draws_of[name] = {"init": init, "order": pictures.tolist(), "augment": views[np.argsort(pictures)].tolist()}
    before, after = draws_of.values()
    assert {name for name in before if before[name] != after[name]} == {stream}
    assert sorted(before["order"]) == list(range(36)) and set(before["augment"]) == {0, 1}


def test_a_batch_holds_the_drawn_view_of_each_picture(probe):
    data = data_of(probe())
    loader = data.train_dataloader()
    kept = loader.shared.features
    for epoch in (0, 1):
        loader.sampler.set_epoch(epoch)
        drawn = zip(*(part.reshape(-1, 8) for part in (part[:32] for part in loader.draw())), strict=True)
        for (features, labels), (pictures, views) in zip(loader, drawn, strict=True):
            assert features.dtype == torch.float32
            assert np.array_equal(features.numpy(), kept.train[pictures, views].astype(np.float32))
            assert np.array_equal(labels.numpy(), kept.train_labels[pictures])
    scored = torch.cat([features for features, _ in data.val_dataloader()])
    assert np.array_equal(scored.numpy(), kept.test.astype(np.float32))


def test_a_live_backbone_gets_fresh_crops_and_does_not_change(probe):
    live = data_of(probe("data.views=0"))
    network = live.shared.extractor.network
    before = weights_sha256(network)
    record = train(probe("data.views=0", "study=live"))
    assert record.status == "finished"
    assert train(probe("data.views=0", "study=again")).weights_sha256 == record.weights_sha256
    loader = live.train_dataloader()
    epochs = []
    for epoch in (0, 1):
        loader.sampler.set_epoch(epoch)
        order = loader.sampler.permutation().numpy()[: len(loader) * 8]
        features = torch.cat([features for features, _ in loader])
        epochs.append(features[np.argsort(order)[:5]])
    assert not torch.equal(*epochs)
    assert weights_sha256(network) == before and not network.training
    assert all(p.grad is None for p in network.parameters())


def test_features_kept_and_live_are_the_same_for_the_same_crops(probe):
    """The live pass draws by (epoch, picture), the kept one by (picture, view): compare where both are (0, 0)."""
    kept, live = data_of(probe()), data_of(probe("data.views=0"))
    loader = live.train_dataloader()
    first = int(np.flatnonzero(kept.train_dataloader().draw()[0] == 0)[0])
    features = torch.cat([features for features, _ in loader])[first]
    assert np.allclose(features.numpy(), kept.pictures.train[0, 0].astype(np.float32), atol=5e-3)
