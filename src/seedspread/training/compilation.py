"""torch.compile, once per process for all its seeds."""

import torch
from omegaconf import DictConfig, OmegaConf

from seedspread.config.errors import InputError

_compiled_before: dict[str, tuple[torch.nn.Module, list[torch.Tensor]]] = {}  # the latest network only


def compile_network(model: torch.nn.Module, cfg: DictConfig) -> torch.nn.Module:
    """The network compiled before for the same settings, with `model`'s weights and buffers; else `model`, compiled.

    One compilation serves all seeds: each seed's tensors are copied into those of the first, so that the compiled code
    stays valid, CUDA graphs with their fixed addresses included. The result does not depend on what this process
    trained before. Each batch size has its own code (dynamic=False), which torch would otherwise share from the second
    size on; for another network the compiler's state is reset, which limits recompilations. Raises InputError for
    arguments that torch.compile does not take.
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
    compiled, addresses = _compiled_before[key]
    with torch.no_grad():
        for own, address, new in zip([*compiled.parameters(), *compiled.buffers()], addresses, tensors, strict=True):
            own.data = address  # Lightning moves a network off its GPU when a fit ends
            own.copy_(new)
    compiled.zero_grad()
    return compiled.train()
