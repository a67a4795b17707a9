"""Which executor a config names: processes of this machine, Ray or Slurm."""

from hydra.utils import instantiate
from omegaconf import DictConfig

from seedspread.config.resolve import count_gpus, count_workers
from seedspread.execution.local import visible_gpus
from seedspread.execution.task import Executor

LOCAL = "seedspread.execution.local.LocalExecutor"
TRAINING = "seedspread.training.worker"  # by name: workers import it, the others never do


def is_local(cfg: DictConfig) -> bool:
    """Whether tasks run on this machine."""
    return bool(cfg.executor._target_ == LOCAL)


def start_executor(cfg: DictConfig) -> Executor:
    """The executor of a config that trains; its workers, as many as `jobs` says, begin to import what they need.

    Raises InputError where it cannot be reached.
    """
    workers = count_workers(cfg) if is_local(cfg) or cfg.jobs != "auto" else None
    preload = [TRAINING, *(["timm"] if cfg.get("backbone") else [])]
    gpus = {"gpus": visible_gpus(count_gpus(cfg))} if is_local(cfg) else {}
    build = instantiate(cfg.executor, _partial_=True, _convert_="all")
    executor: Executor = build(workers=workers, preload=preload, **gpus)
    return executor
