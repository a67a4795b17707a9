"""Check that a cluster can be reached."""

import socket

from omegaconf import DictConfig, OmegaConf

from seedspread.config.errors import InputError


def check_ray(launcher: DictConfig, timeout: float = 10.0) -> None:
    """Raise InputError where the configured Ray cluster does not answer; Ray itself would wait for minutes."""
    address = OmegaConf.select(launcher, "ray.init.address")
    if address in (None, "auto", "local") or "://" in str(address):
        return
    host, _, port = str(address).rpartition(":")
    try:
        socket.create_connection((host, int(port)), timeout).close()
    except (OSError, ValueError) as error:
        raise InputError(
            f"hydra.launcher.ray.init.address={address}: no Ray cluster answers there ({error}); "
            "ray start --head prints the address; auto finds a cluster on this machine"
        ) from error
