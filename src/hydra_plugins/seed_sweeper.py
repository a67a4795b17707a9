"""Hydra's plugin for `-m seed=range(0,500)`: hands a sweep to seedspread.

Every Hydra program of the environment imports this module, so at its top it imports Hydra alone.
"""

from dataclasses import dataclass

from hydra.core.config_store import ConfigStore
from hydra.plugins.sweeper import Sweeper
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig


@dataclass
class SeedSweeperConf:
    _target_: str = "hydra_plugins.seed_sweeper.SeedSweeper"


ConfigStore.instance().store(group="hydra/sweeper", name="seeds", node=SeedSweeperConf, provider="seedspread")


class SeedSweeper(Sweeper):
    """Sweeps `seed=...` within each combination of the other swept keys, one study each."""

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        from seedspread.commands.sweep import SeedSweep  # noqa: PLC0415 - at the top, Hydra alone

        self.seeds = SeedSweep(hydra_context, task_function, config)

    def sweep(self, arguments: list[str]) -> list[str]:
        """Train what is missing; return the names of the studies."""
        return self.seeds.run(arguments)
