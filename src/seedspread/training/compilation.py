"""One network per process for all its seeds, of which compiled code and captured graphs are: `compile=`, `capture=`."""

from typing import Any

import torch
from omegaconf import DictConfig, OmegaConf

from seedspread.config.errors import InputError

_networks: dict[str, tuple[torch.nn.Module, list[torch.Tensor]]] = {}  # the latest network only


def reuse_network(model: torch.nn.Module, cfg: DictConfig) -> torch.nn.Module:
    """The network of the same settings before, with `model`'s weights and buffers; else `model`, compiled if so set.

    One compilation and one captured graph serve all seeds: each seed's tensors are copied into those of the first, so
    that code and graphs with their fixed addresses stay valid. The result does not depend on what this process
    trained before. Each batch size has its own code (dynamic=False), which torch would otherwise share from the second
    size on; for another network the compiler's state is reset, which limits recompilations. Raises InputError for
    arguments that torch.compile does not take.
    """
    tensors = [*model.parameters(), *model.buffers()]
    parts = ("model", "data", *(("loss",) if cfg.get("capture") else ()))
    settings: list[Any] = [OmegaConf.to_container(cfg[part], resolve=True) for part in parts]
    how: Any = None if cfg.compile is None else OmegaConf.to_container(cfg.compile, resolve=True)
    settings.append([how, cfg.memory_format, cfg.threads, [tuple(tensor.shape) for tensor in tensors]])
    key = f"{settings} {cfg.trainer}"
    if key not in _networks:
        if _networks:
            _networks.clear()
            if how is not None:
                torch._dynamo.reset()
        try:
            if how is not None:
                model.compile(**{"dynamic": False, **how})
        except (TypeError, RuntimeError, ValueError) as error:
            raise InputError(f"compile={cfg.compile}: torch.compile does not take it: {error}") from error
        _networks[key] = model, [tensor.detach() for tensor in tensors]
        return model
    compiled, addresses = _networks[key]
    with torch.no_grad():
        for own, address, new in zip([*compiled.parameters(), *compiled.buffers()], addresses, tensors, strict=True):
            own.data = address  # Lightning moves a network off its GPU when a fit ends
            own.copy_(new)
    compiled.zero_grad()
    return compiled.train()
