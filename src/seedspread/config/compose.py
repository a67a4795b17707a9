"""Where the configs are, conf/ of a checkout or the copy inside an installed package, and composing one of them."""

from collections.abc import Sequence
from pathlib import Path

from hydra import compose, initialize_config_dir
from omegaconf import DictConfig

_PACKAGED = Path(__file__).resolve().parent.parent / "conf"
CONF = str(_PACKAGED if _PACKAGED.is_dir() else _PACKAGED.parent.parent.parent / "conf")


def compose_config(name: str, overrides: Sequence[str]) -> DictConfig:
    """The config of that name with Hydra's `overrides`, composed outside a command."""
    with initialize_config_dir(CONF, version_base="1.3"):
        return compose(name, overrides=list(overrides))
