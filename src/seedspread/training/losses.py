"""The training objective."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from seedspread.config.errors import InputError


class SharpAndSmoothed(nn.Module):
    """Cross-entropy plus `weight` times label-smoothed cross-entropy, averaged over the batch.

    Picard 2021 (arXiv 2109.08203), released recipe: weight 2, smoothing 0.2. Logits (n, classes), labels (n,) to a
    scalar. Raises InputError for smoothing outside 0 to 1.
    """

    def __init__(self, weight: float = 2.0, smoothing: float = 0.2) -> None:
        super().__init__()
        if not 0 <= smoothing <= 1:
            raise InputError(f"loss.smoothing={smoothing}: a number from 0 to 1")
        self.weight = weight
        self.smoothing = smoothing

    def forward(self, logits: Tensor, labels: Tensor) -> Tensor:
        log_p = torch.log_softmax(logits, dim=1)
        sharp = F.nll_loss(log_p, labels)
        smoothed = (1 - self.smoothing) * sharp - self.smoothing * log_p.mean()
        return sharp + self.weight * smoothed
