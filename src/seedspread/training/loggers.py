"""Lightning's loggers, opened and closed for each seed that a process trains."""

import sys
from importlib.util import find_spec
from pathlib import Path

from filelock import FileLock
from hydra.utils import instantiate
from lightning.pytorch.loggers import Logger
from omegaconf import DictConfig

from seedspread.config.errors import InputError
from seedspread.config.extras import explain_extra

PACKAGES = {"WandbLogger": "wandb", "MLFlowLogger": "mlflow"}  # that Lightning does not require itself


def needed_package(logger: DictConfig | None) -> str | None:
    """The package of its own that a logger's config needs."""
    return PACKAGES.get(str(logger._target_).rpartition(".")[2]) if logger else None


def check_logger(logger: DictConfig | None) -> None:
    """Raise InputError where the package that a logger writes with is not installed."""
    package = needed_package(logger)
    if package and find_spec(package) is None:
        raise InputError(f"logger={package}: {package} is not installed; {explain_extra('loggers')}")


def open_logger(config: DictConfig | None) -> Logger | bool:
    """The logger of a config, or False where there is none."""
    if not needed_package(config):
        return instantiate(config) or False
    logs = Path("logs")
    logs.mkdir(exist_ok=True)  # SQLite makes no folders
    with FileLock(logs / ".lock"):  # processes that make the same database or experiment at once would fail
        logger = instantiate(config)
        _ = logger.experiment
    return logger


def close_logger() -> None:
    """End the run of wandb that Lightning leaves open: the next seed of the process would write into it."""
    if (wandb := sys.modules.get("wandb")) is not None and wandb.run is not None:
        wandb.finish(exit_code=int(sys.exc_info()[0] is not None))
