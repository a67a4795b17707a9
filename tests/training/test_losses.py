"""The paper's loss."""

import torch
from torch.nn import functional as F

from seedspread.training.losses import SharpAndSmoothed


def test_the_loss_against_torchs_two_cross_entropies():
    logits, labels = torch.randn(50, 10, dtype=torch.float64), torch.randint(0, 10, (50,))
    expected = F.cross_entropy(logits, labels) + 2 * F.cross_entropy(logits, labels, label_smoothing=0.2)
    torch.testing.assert_close(SharpAndSmoothed()(logits, labels), expected)
