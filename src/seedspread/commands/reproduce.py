"""Train recorded seeds again and compare every bit: `seedspread reproduce study=digits seed=3`."""

import sys

import hydra
import numpy as np
from omegaconf import DictConfig

from seedspread.commands.console import plain_errors
from seedspread.config.check import check_config
from seedspread.config.compose import CONF
from seedspread.config.errors import InputError
from seedspread.config.schema import Reproduce
from seedspread.records.record import Status
from seedspread.records.study import Study, study_folder
from seedspread.training.reproduction import reproduce  # noqa: TID253 - imports torch only where it trains


@hydra.main(version_base="1.3", config_path=CONF, config_name="reproduce")
def main(cfg: DictConfig) -> None:
    """Reproduce the seeds that `cfg` names and say what came of it; exit 1 where one differs."""
    with plain_errors():
        check_config(cfg, Reproduce)
        if cfg.study is None or (cfg.seed is None) == (cfg.n is None):
            raise InputError("name a study and a seed, or how many: study=digits seed=3, or study=digits n=5")
        study = Study.load(study_folder(cfg.results, cfg.study))
        if cfg.n is None:
            seeds = [cfg.seed]
        else:
            there = [seed for seed, record in study.scan().records.items() if record.status != Status.FAILED]
            if not there:
                raise InputError(f"n={cfg.n}: {study.folder} has no seed with a result; seedspread status says more")
            if cfg.n > len(there):
                raise InputError(f"n={cfg.n}: {study.folder} has {len(there)} recorded seeds; choose 1 to {len(there)}")
            seeds = sorted(np.random.default_rng().choice(there, cfg.n, replace=False).tolist())
        different, places = 0, [cfg["with"]] if isinstance(cfg["with"], str) else list(cfg["with"] or [])
        for seed in seeds:
            comparison = reproduce(study, seed, places)
            print(comparison.describe(seed), flush=True)
            different += bool(comparison.differing)
    if different:
        sys.exit(1)
