"""The hash that tells whether two trainings gave the same bits."""

import hashlib

import torch


def weights_sha256(module: torch.nn.Module) -> str:
    """SHA-256 over names, types, shapes and bytes of all parameters and buffers, on any device, in any layout."""
    digest = hashlib.sha256()
    for name, tensor in sorted(module.state_dict().items()):
        tensor = tensor.detach().cpu().contiguous()
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
        digest.update(tensor.view(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()
