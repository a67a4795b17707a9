"""What a worker does with a task of a sweep or a search: prepare a study, check a config, train seeds."""

import os
import pickle
import sys
import traceback
from collections.abc import Sequence
from typing import Any

from hydra.core.hydra_config import HydraConfig
from hydra.core.utils import setup_globals
from omegaconf import DictConfig, OmegaConf

from seedspread.config.errors import InputError, find_input_error
from seedspread.config.explain import explain_error
from seedspread.config.identity import study_identity
from seedspread.config.overrides import without_epoch_lines
from seedspread.config.resolve import resolve_config, stack_size
from seedspread.execution.leases import Worker
from seedspread.execution.plan import SeedJob
from seedspread.records.study import Study, record_failure
from seedspread.training.build import check_buildable, check_recorded_data, describe_run, open_study, prepare_study
from seedspread.training.hardware import collect_garbage
from seedspread.training.run import train_seed

FITS_BETWEEN_COLLECTIONS = 20
POISONED = 70  # exit code of a process in which CUDA failed

_fits = 0  # seeds or stacks of this process
_opened: tuple[tuple[bytes, str], tuple[DictConfig, Study, Worker]] | None = None  # the job's config and sweep


def prepare(payload: tuple[bytes, int | None]) -> int:
    """Open the study of a pickled config and make what its seeds share, the features of a frozen backbone.

    Returns how many seeds train in one step. What workers return is plain data: the parent does not import torch.
    With a seed, which is recorded and stands for all: nothing is to be trained, and only the data are compared with
    those of its record. Raises InputError where the config cannot be, or where the folder holds other results.
    """
    config, recorded = payload
    cfg = _unpickle(config)
    own, study = open_study(cfg)
    if recorded is not None and (record := study.record(recorded)):
        check_recorded_data(own, study, record)
    elif own.data.get("backbone") is not None:
        prepare_study(cfg)
    return stack_size(own)


def identify(config: bytes) -> dict[str, Any]:
    """The identity of the study of a pickled config, which depends on this machine; nothing is written."""
    return study_identity(resolve_config(_unpickle(config)))


def check(payload: tuple[bytes, str]) -> None:
    """Raise InputError, which begins with what is checked, where a pickled config cannot be built; writes nothing."""
    config, what = payload
    try:
        check_buildable(_unpickle(config))
    except Exception as error:
        raise InputError(f"{what}: {explain_error(error)}") from error


def train_job(job: SeedJob) -> str | None:
    """Train the seeds of `job` that nobody else trains; return the reason of their failure, or None.

    What has come into the place of a seed's record since the job was planned is the work of another: it stays. Raises
    InputError, which concerns all seeds.
    """
    cfg, study, leases = _open(job)
    held = leases.acquire(job.seeds)
    try:
        seeds = [s for s in held if study.stamp(s) == job.seeds[s] and (cfg.overwrite or not study.is_done(s))]
        return train_leased(cfg, study, seeds, leases, job.seeds) if seeds else None
    finally:
        leases.release(held)


def train_leased(
    cfg: DictConfig, study: Study, seeds: Sequence[int], leases: Worker, stamps: dict[int, str]
) -> str | None:
    """Train leased seeds of an open study, several in one step; return the reason of their failure, or None.

    The reason and the traceback are recorded. Raises InputError, which concerns all seeds. A process in which CUDA
    failed ends, since nothing can be trained in it any more.
    """
    try:
        if len(seeds) == 1:
            train_seed(cfg, study, seeds[0], leases, stamps[seeds[0]])
        else:
            from seedspread.training.heads import train_stack  # noqa: PLC0415 - timm takes a second

            train_stack(cfg, study, seeds, leases, stamps)
    except Exception as error:
        if (for_all_seeds := find_input_error(error)) is not None:
            raise for_all_seeds from None
        trace = traceback.format_exc()
        if _is_poisoned(error):
            for seed in seeds:
                study.write_traceback(seed, trace)
            print(trace, file=sys.stderr, flush=True)
            os._exit(POISONED)
        reason = " ".join(f"{type(error).__name__}: {error}".split())
        for seed in seeds:
            record_failure(study, seed, reason, trace, describe_run(cfg, study, seed), stamps[seed])
        return reason
    finally:
        _collect_now_and_then()
    return None


def _collect_now_and_then() -> None:
    global _fits
    if _fits % FITS_BETWEEN_COLLECTIONS == 0:
        collect_garbage()
    _fits += 1


def _is_poisoned(error: BaseException) -> bool:
    """Whether CUDA failed for good; a lack of memory passes."""
    return "CUDA error" in str(error) and "out of memory" not in str(error)


def _open(job: SeedJob) -> tuple[DictConfig, Study, Worker]:
    """Config, study and leases of a job; those of the job before where it is of the same study."""
    global _opened
    if _opened is None or _opened[0] != (job.config, job.sweep):
        if _opened is not None:
            _opened[1][2].close()
        cfg, study = open_study(without_epoch_lines(_unpickle(job.config)))
        _opened = (job.config, job.sweep), (cfg, study, Worker(study.folder, job.sweep))
    return _opened[1]


def _unpickle(config: bytes) -> DictConfig:
    """The config itself; what Hydra knows of it is set for this process."""
    setup_globals()  # Hydra's resolvers
    cfg = pickle.loads(config)
    if "hydra" in cfg:
        HydraConfig.instance().set_config(cfg)
    return OmegaConf.masked_copy(cfg, [str(key) for key in cfg if key != "hydra"])
