"""What metrics have summed up within an epoch: Lightning's checkpoints hold none of it, a resumed epoch needs it."""

from typing import Any

import lightning as L
import torch
from torch import Tensor
from torchmetrics import Metric

States = dict[str, dict[str, Any]]  # by name of the metric


def _state(metric: Metric) -> dict[str, Any]:
    values: dict[str, Any] = metric.metric_state
    kept = {name: value.detach().cpu() if isinstance(value, Tensor) else value for name, value in values.items()}
    return {"updates": metric._update_count, "values": kept}


def metric_states(module: L.LightningModule) -> States:
    """The states of the torchmetrics within `module`."""
    return {name: _state(part) for name, part in module.named_modules() if isinstance(part, Metric)}


def restore_metrics(module: L.LightningModule, states: States) -> None:
    """Restore what `metric_states` returned."""
    for name, part in module.named_modules():
        if isinstance(part, Metric) and name in states:
            for key, value in states[name]["values"].items():
                setattr(part, key, value.to(part.device) if isinstance(value, Tensor) else value)
            part._update_count = states[name]["updates"]


def _logged_metrics(trainer: L.Trainer) -> dict[str, Any]:
    """Lightning's sums of the values that a module logged in the training epoch so far."""
    results: dict[str, Any] = trainer.fit_loop.epoch_loop._results
    return {name: metric for name, metric in results.items() if metric.is_tensor and metric.meta.on_epoch}


def logged_states(trainer: L.Trainer) -> States:
    """The states of those sums."""
    return {name: _state(metric) for name, metric in _logged_metrics(trainer).items()}


def add_logged(trainer: L.Trainer, states: States) -> None:
    """Add what `logged_states` returned to the sums, which a resumed epoch has begun anew with one value."""
    for name, metric in _logged_metrics(trainer).items():
        before = states.get(name, {}).get("values", {})
        for key, value in before.items():
            now, value = getattr(metric, key), value.to(metric.device)
            if metric.meta.is_max_reduction or metric.meta.is_min_reduction:
                setattr(metric, key, (torch.maximum if metric.meta.is_max_reduction else torch.minimum)(now, value))
            else:
                setattr(metric, key, value + now)
