"""torch.compile once a process, for all its seeds."""

import torch
from omegaconf import DictConfig, OmegaConf

from seedspread.config.errors import InputError

_compiled_before: dict[str, tuple[torch.nn.Module, list[torch.Tensor]]] = {}  # the latest network alone


def compile_network(model: torch.nn.Module, cfg: DictConfig) -> torch.nn.Module:
    """`model`'s weights and buffers in the network that this process compiled for the same settings; else itself.

    One compilation serves all seeds. Their tensors are those of the first, written anew in place: what was compiled
    stays valid, CUDA graphs, which hold addresses, included. Nothing of it depends on what this process trained before:
    each size of a batch has code of its own, which torch would else share from the second size on, and another network
    is compiled as in a process of its own, where torch would give up after a few.
    """
    tensors = [*model.parameters(), *model.buffers()]
    settings = [OmegaConf.to_container(cfg[part], resolve=True) for part in ("model", "data", "compile")]
    key = f"{settings} {cfg.memory_format} {cfg.threads} {cfg.trainer} {[tuple(tensor.shape) for tensor in tensors]}"
    if key not in _compiled_before:
        if _compiled_before:
            _compiled_before.clear()
            torch._dynamo.reset()
        try:
            model.compile(**{"dynamic": False, **settings[-1]})  # type: ignore[dict-item]
        except (TypeError, RuntimeError, ValueError) as error:
            raise InputError(f"compile={cfg.compile}: torch.compile does not take it: {error}") from error
        _compiled_before[key] = model, [tensor.detach() for tensor in tensors]
        return model
    kept, places = _compiled_before[key]
    with torch.no_grad():
        for own, place, new in zip([*kept.parameters(), *kept.buffers()], places, tensors, strict=True):
            own.data = place  # Lightning takes a network off its GPU when a fit ends
            own.copy_(new)
    kept.zero_grad()
    return kept.train()
