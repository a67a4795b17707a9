"""Records the norm of the gradient."""

from typing import Any

import lightning as L
import torch
from torch import Tensor
from torch.nn.utils import get_total_norm
from torch.optim import Optimizer

PERCENTILE = 0.9  # where the Deep Learning Tuning Playbook (Godbole et al. 2023) starts clipping


class GradientNorms(L.Callback):
    """Logs grad_norm/max and grad_norm/p90 of each epoch: the L2 norm of the gradient, over its steps.

    One norm over all weights, before clipping, of accumulated gradients where `accumulate_grad_batches` is set. Norms
    stay on the device until the epoch is scored. The callback does not change the weights.
    """

    def __init__(self) -> None:
        self._norms: list[Tensor] = []

    def on_train_epoch_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        self._norms = []

    def on_before_optimizer_step(self, trainer: L.Trainer, pl_module: L.LightningModule, optimizer: Optimizer) -> None:
        norm = get_total_norm([p.grad for p in pl_module.parameters() if p.grad is not None])
        scaler = getattr(trainer.precision_plugin, "scaler", None)  # of fp16
        if scaler is not None and getattr(optimizer, "_step_supports_amp_scaling", False):
            norm = norm / scaler._get_scale_async()  # a fused optimizer unscales within its step
        self._norms.append(norm)

    def on_validation_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        if trainer.state.fn != "fit" or trainer.sanity_checking or not self._norms:
            return
        norms = torch.stack([norm.to(pl_module.device) for norm in self._norms]).float()
        largest, high = torch.stack([norms.max(), norms.quantile(PERCENTILE)]).tolist()
        pl_module.log_dict({"grad_norm/max": largest, "grad_norm/p90": high})

    def state_dict(self) -> dict[str, Any]:
        """The norms of the epoch so far."""
        return {"norms": torch.stack(self._norms).cpu()} if self._norms else {}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self._norms = list(state_dict.get("norms", []))
