"""Train a seed and record it: `python -m src.train seed=3 experiment=digits`; several: `-m 'seed=range(0,20)'`.

Imports nothing heavy: torch and Lightning come in where training begins, in the process that trains.
"""

from collections.abc import Sequence

import hydra
from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from omegaconf import DictConfig

from seedspread.commands.console import plain_errors
from seedspread.config.check import check_config
from seedspread.config.compose import CONF, compose_config
from seedspread.config.errors import InputError
from seedspread.config.extras import check_train_extra
from seedspread.config.schema import Train
from seedspread.execution.leases import Observer, Worker, discard_unused, lease_path
from seedspread.records.progress import format_record
from seedspread.records.record import Record, Status
from seedspread.records.study import study_folder


def train(config: DictConfig | Sequence[str]) -> Record:
    """Train one seed and return its record: of a composed config, or of overrides as the command takes them.

    A seed that has its record is not trained again. Raises InputError for invalid settings, where the study belongs to
    another config, and where the extra that trains is not installed.

    >>> record = ss.train(["experiment=digits", "study=quick", "seed=0", "trainer.max_epochs=1"])
    seed    0 ... s
    >>> print(record.status)
    finished
    """
    check_train_extra()
    cfg = config if isinstance(config, DictConfig) else compose_config("train", config, return_hydra_config=True)
    check_config(cfg, Train)  # before the seconds that the imports take
    from seedspread.training.build import check_recorded_data, open_study
    from seedspread.training.run import train_seed

    seed = cfg.seed
    with discard_unused(study_folder(cfg.results, cfg.study)):
        cfg, study = open_study(cfg)
        found = study.record(seed)
        if found is not None and found.status != Status.FAILED and not cfg.overwrite:
            check_recorded_data(cfg, study, found)
            print(f"{format_record(found, study.metric)}  recorded before: overwrite=true trains it again", flush=True)
            return found
        if problem := study.problem(seed):
            print(f"{study.record_path(seed)}: {problem}; it moves to damaged/, and seed {seed} is trained again")
        leases = Worker(study.folder)
        if not Observer(study.folder).is_free(seed) or not leases.acquire([seed]):
            raise InputError(
                f"seed {seed} is being trained by another process: seedspread status study={study.name} shows it.\n"
                f"Where that process is no more, remove {lease_path(study.folder, seed)}"
            )
        try:
            record = train_seed(cfg, study, seed, leases)
        finally:
            leases.close()
    print(format_record(record, study.metric), flush=True)
    return record


@hydra.main(version_base="1.3", config_path=CONF, config_name="train")
def main(cfg: DictConfig) -> float | None:
    """Train one seed and return its `cfg.metric.name`, for sweepers that optimise."""
    if HydraConfig.get().mode == RunMode.MULTIRUN:  # the sweeper reports what went wrong
        return _train_and_score(cfg)
    with plain_errors():
        return _train_and_score(cfg)


def _train_and_score(cfg: DictConfig) -> float | None:
    return train(cfg).final[cfg.metric.name]
