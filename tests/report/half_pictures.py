"""Networks that see one half of each of the digits: two families that err on different pictures."""

import torch
from torch import Tensor, nn


class HalfPictures(nn.Module):
    """One hidden layer on the upper or the lower half of pictures (n, 1, 8, 8)."""

    def __init__(self, upper: bool, classes: int = 10) -> None:
        super().__init__()
        self.upper = upper
        self.layers = nn.Sequential(nn.Flatten(), nn.Linear(32, 64), nn.ReLU(), nn.Linear(64, classes))

    def forward(self, pictures: Tensor) -> Tensor:
        return self.layers(torch.chunk(pictures, 2, dim=2)[0 if self.upper else 1])
