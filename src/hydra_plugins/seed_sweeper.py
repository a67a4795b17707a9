"""Hydra's plugin for `-m seed=range(0,500)`: hands a sweep to seedspread, which has executors instead of launchers.

Every Hydra program of the environment imports this module, so at its top it imports Hydra alone.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from importlib.util import find_spec

from hydra.core.config_store import ConfigStore
from hydra.core.utils import JobReturn
from hydra.plugins.launcher import Launcher
from hydra.plugins.sweeper import Sweeper
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig


@dataclass
class SeedSweeperConf:
    _target_: str = "hydra_plugins.seed_sweeper.SeedSweeper"


ConfigStore.instance().store(group="hydra/sweeper", name="seeds", node=SeedSweeperConf, provider="seedspread")
# Without a plugin of that name Hydra ends before seedspread can say what to type instead.
for package, names in {"joblib": ["joblib"], "ray": ["ray"], "submitit": ["submitit_slurm", "submitit_local"]}.items():
    if find_spec(f"hydra_plugins.hydra_{package}_launcher") is None:
        for name in names:
            missing = {"_target_": "hydra_plugins.seed_sweeper.MissingLauncher", "name": name, "package": package}
            ConfigStore.instance().store(group="hydra/launcher", name=name, node=missing, provider="seedspread")


class MissingLauncher(Launcher):
    """Stands for a launcher that is not installed."""

    def __init__(self, name: str, package: str) -> None:
        self.name, self.package = name, package

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        from seedspread.config.errors import InputError  # noqa: PLC0415 - at the top, Hydra alone

        raise InputError(
            f"hydra/launcher={self.name} is not installed: pip install hydra-{self.package}-launcher\n"
            "seedspread needs no launcher: leave hydra/sweeper= out, and type executor=local, ray or slurm"
        )

    def launch(self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int) -> Sequence[JobReturn]:
        raise AssertionError("unreachable: set-up raises")


class SeedSweeper(Sweeper):
    """Sweeps `seed=...` within each combination of the other swept keys, one study each."""

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        from seedspread.commands.sweep import SeedSweep  # noqa: PLC0415 - at the top, Hydra alone

        self.seeds = SeedSweep(hydra_context, config)

    def sweep(self, arguments: list[str]) -> list[str]:
        """Train what is missing; return the names of the studies."""
        return self.seeds.run(arguments)
