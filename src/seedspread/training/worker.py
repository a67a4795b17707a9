"""The loop that trains the seeds of a study in one process, and the one that serves a pool of workers."""

import os
import traceback
from collections.abc import Iterable
from multiprocessing.connection import Connection
from typing import Any

from hydra.core.hydra_config import HydraConfig
from hydra.core.utils import setup_globals
from omegaconf import DictConfig, OmegaConf

from seedspread.config.errors import InputError, find_input_error
from seedspread.config.explain import explain_error
from seedspread.config.identity import study_identity
from seedspread.config.overrides import without_epoch_lines
from seedspread.config.resolve import resolve_config
from seedspread.execution.failures import FailureStreak
from seedspread.execution.pool import CHECK, PREPARE
from seedspread.execution.signals import INTERRUPTED, watched_parent
from seedspread.records.claims import claim_seed, request_stop, stop_reason
from seedspread.records.study import Study, record_failure, study_folder
from seedspread.training.build import check_buildable, describe_run, open_study, prepare_study
from seedspread.training.hardware import collect_garbage
from seedspread.training.heads import stack_size, train_stacks
from seedspread.training.run import train_seed

SEEDS_BETWEEN_COLLECTIONS = 20


def try_seed(cfg: DictConfig, study: Study, seed: int) -> str | None:
    """Train one seed of an open study; return None, or the reason for its failure, recorded with its traceback.

    Raises InputError, which concerns all seeds.
    """
    with claim_seed(study.folder, seed):
        try:
            train_seed(cfg, study, seed)
        except Exception as error:
            if (for_all_seeds := find_input_error(error)) is not None:
                raise for_all_seeds from None
            reason = " ".join(f"{type(error).__name__}: {error}".split())
            record_failure(study, seed, reason, traceback.format_exc(), describe_run(cfg, study, seed))
            return reason
    return None


def train_seeds(cfg: DictConfig, seeds: Iterable[int]) -> int:
    """Train those of `seeds` that have no record yet; return how many failed.

    A seed that raises is recorded as failed, with its reason; its traceback is kept in failed/, and the next seed
    trains. `fail_fast` failures in a row with one reason stop every worker of the sweep. Raises InputError, which
    concerns all seeds, and where the sweep that started this worker has ended.
    """
    cfg, study = open_study(without_epoch_lines(cfg))
    if (size := stack_size(cfg)) > 1:
        return train_stacks(cfg, study, seeds, size)
    trained = failed = 0
    streak, parent = FailureStreak(), watched_parent()
    for seed in seeds:
        if INTERRUPTED.is_set():
            raise KeyboardInterrupt
        if parent is not None and os.getppid() != parent:
            raise InputError("the sweep that started this worker has ended")
        if stop_reason(study.folder):
            break
        if study.is_done(seed) and not cfg.overwrite:
            continue  # another process has trained it
        reason = try_seed(cfg, study, seed)
        failed += reason is not None
        if streak.add(reason) >= cfg.fail_fast:
            request_stop(study.folder, f"{streak.length} seeds in a row failed: {reason}")
        trained += 1
        if trained % SEEDS_BETWEEN_COLLECTIONS == 1:
            collect_garbage()
    return failed


def serve(pipe: Connection) -> None:
    """Execute the tasks that `pipe` receives and send back their results, until its other end is closed.

    The death of the parent closes it too.
    """
    setup_globals()
    ready: DictConfig
    study: Study | None = None
    trained = 0
    while True:
        try:
            cfg, task = pipe.recv()
        except EOFError:
            return
        result: Any
        try:
            HydraConfig.instance().set_config(cfg)
            own = OmegaConf.masked_copy(cfg, [str(key) for key in cfg if key != "hydra"])
            if task == CHECK:
                check_buildable(own)
                result = ""
            elif task == PREPARE:
                result = study_identity(resolve_config(own))
                if own.get("backbone") is not None:
                    prepare_study(own)
            else:
                if study is None or study.folder != study_folder(own.results, own.study):
                    ready, study = open_study(without_epoch_lines(own))
                result = try_seed(ready, study, task) or ""
                trained += 1
                if trained % SEEDS_BETWEEN_COLLECTIONS == 1:
                    collect_garbage()
        except Exception as error:
            result = InputError(explain_error(error))
        try:
            pipe.send(result)
        except OSError:
            return
