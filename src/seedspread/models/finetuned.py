"""A pretrained backbone under a new linear head, which trains first; then all layers train."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from seedspread.config.errors import InputError
from seedspread.models.backbones import Backbone


class FineTuned(nn.Module):
    """Pictures (n, 3, h, w), normalised by `mean` and `std`, to logits (n, classes).

    The backbone gets them at its own size and normalisation. In the first `head_epochs` epochs it is frozen as under a
    probe: without gradients, and with the batch-norm statistics of its weights. An optimizer skips parameters without
    gradients, so that neither momentum nor weight decay reaches it before. Several devices need
    trainer.strategy=ddp_find_unused_parameters_true.
    """

    def __init__(
        self, backbone: Backbone | None, classes: int, mean: Sequence[float], std: Sequence[float], head_epochs: int = 1
    ) -> None:
        super().__init__()
        if backbone is None:
            raise InputError("model=finetuned needs a pretrained network: backbone=timm backbone.name=NAME")
        transform = backbone.transform
        self.pretrained = {"name": backbone.name, "weights_sha256": backbone.weights_sha256()}  # for the record
        self.head_epochs, self.frozen = head_epochs, False
        self.backbone = backbone.load()
        with torch.no_grad():
            features = self.backbone(torch.zeros(1, 3, transform.size, transform.size)).shape[1]
        self.backbone.requires_grad_(True)
        self.head = nn.Linear(features, classes)
        self.size, self.interpolation = transform.size, transform.interpolation
        ours, theirs = (
            [torch.tensor(values, dtype=torch.float32)[:, None, None] for values in pair]
            for pair in ((mean, std), (transform.mean, transform.std))
        )
        # No part of the weights: they follow from the config.
        self.register_buffer("_scale", ours[1] / theirs[1], persistent=False)
        self.register_buffer("_shift", (ours[0] - theirs[0]) / theirs[1], persistent=False)
        self.train()

    def set_epoch(self, epoch: int) -> None:
        """Freeze the backbone, or train it from `epoch` on; the Classifier calls this before each epoch."""
        self.frozen = epoch < self.head_epochs
        self.train(self.training)

    def train(self, mode: bool = True) -> "FineTuned":
        super().train(mode)
        if self.frozen:
            self.backbone.eval()
        return self

    def forward(self, images: Tensor) -> Tensor:
        images = images * self._scale + self._shift  # type: ignore[operator]
        if images.shape[-1] != self.size:
            # As Pillow resizes, by which a probe's pictures are: bicubic differs without antialias=True.
            images = F.interpolate(images, (self.size, self.size), mode=self.interpolation, antialias=True)
        with torch.set_grad_enabled(torch.is_grad_enabled() and not self.frozen):
            features = self.backbone(images)
        return self.head(features)
