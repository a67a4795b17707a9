"""Which executor a config names: processes of this machine, Ray or Slurm."""

from hydra.utils import instantiate
from omegaconf import DictConfig

from seedspread.execution.local import visible_gpus
from seedspread.execution.task import Executor

TRAINING = "seedspread.training.worker"  # by name: workers import it, the others never do
SCRIPTS = "seedspread.scripts.worker"


def start_executor(cfg: DictConfig, workers: int | None, gpus: int) -> Executor:
    """The executor of a config that trains or runs scripts; its workers begin to import what they need.

    `workers` at once, None for as many as a cluster has room for, on `gpus` of this machine. Raises InputError where
    the executor cannot be reached.
    """
    trains = "trainer" in cfg
    preload = [TRAINING, *(["timm"] if cfg.get("backbone") else [])] if trains else [SCRIPTS]
    here = {"gpus": visible_gpus(gpus, cfg.trainer.devices if trains else 1)} if gpus else {}
    build = instantiate(cfg.executor, _partial_=True, _convert_="all")
    executor: Executor = build(workers=workers, preload=preload, **here)
    return executor
