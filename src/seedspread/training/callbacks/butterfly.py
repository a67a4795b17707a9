"""Flips one bit of one weight, and leaves all else as it is."""

from typing import Any

import lightning as L
import numpy as np
import torch

from seedspread.config.errors import InputError
from seedspread.config.streams import Stream
from seedspread.training.build import Header

INTEGERS = {2: torch.int16, 4: torch.int32, 8: torch.int64}  # by the bytes of a float


class Butterfly(L.Callback):
    """Flips the lowest bit of one weight, the smallest change there is, when `epoch` epochs are trained: once.

    How far runs then part is how much training amplifies any difference (Summers and Dinneen 2021, arXiv 2103.04514);
    after later epochs less (Altıntaş et al. 2025, arXiv 2506.13234). Which weight, the seed in `header` draws, and
    `header["flipped"]` names it. A run that resumes after the flip does not flip again.
    """

    every_step = False  # it looks at the first step of a fit alone

    def __init__(self, epoch: int, header: Header) -> None:
        self.epoch, self.header = epoch, header

    def on_train_epoch_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        if trainer.current_epoch == self.epoch and "flipped" not in self.header:
            rng = Stream("butterfly", self.header["seed"]).rng()
            self.header["flipped"] = flip_lowest_bit(pl_module, rng, f"butterfly={self.epoch}")

    def on_train_batch_start(
        self, trainer: L.Trainer, pl_module: L.LightningModule, batch: Any, batch_idx: int
    ) -> None:
        if trainer.current_epoch >= self.epoch and "flipped" not in self.header:
            raise InputError(f"butterfly={self.epoch}: the checkpoint is of a later step, without this flip")

    def state_dict(self) -> dict[str, Any]:
        """The weight, once its bit is flipped."""
        return {"flipped": self.header["flipped"]} if "flipped" in self.header else {}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.header.update(state_dict)


def flip_lowest_bit(module: torch.nn.Module, rng: np.random.Generator, what: str = "butterfly") -> str:
    """Flip the lowest bit of one trained weight of `module`, drawn uniformly; return which: `layer.weight[3, 0]`.

    Weights that are 0 are not drawn: of 0 the lowest bit is so small that the first step would lose it. Raises
    InputError, which begins with `what`, where there is no other weight.
    """
    weights = [(name, weight.detach()) for name, weight in module.named_parameters() if weight.requires_grad]
    places = [(weight != 0).nonzero() for _, weight in weights]
    total = sum(map(len, places))
    if not total:
        raise InputError(f"{what}: no trained weight to flip a bit of; all are 0")
    drawn = int(rng.integers(total))
    for (name, weight), found in zip(weights, places, strict=True):
        if drawn < len(found):
            place = tuple(found[drawn].tolist())
            # A view of one element, in any layout.
            weight[place].view(INTEGERS[weight.element_size()]).bitwise_xor_(1)
            return f"{name}{list(place)}"
        drawn -= len(found)
    raise AssertionError
