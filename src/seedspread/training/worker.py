"""The loop that trains the seeds of a study in one process."""

import os
import traceback
from collections.abc import Iterable
from multiprocessing.connection import Connection
from typing import Any

from hydra.core.hydra_config import HydraConfig
from hydra.core.utils import setup_globals
from hydra.utils import instantiate
from omegaconf import DictConfig, OmegaConf

from seedspread.config.errors import InputError, explain_error, find_input_error
from seedspread.config.identity import study_identity
from seedspread.config.overrides import without_epoch_lines
from seedspread.config.resolve import resolve_config
from seedspread.config.streams import Streams
from seedspread.execution.failures import FailureStreak
from seedspread.execution.pool import CHECK, PREPARE
from seedspread.execution.signals import INTERRUPTED, watched_parent
from seedspread.records.claims import claim_seed, request_stop, stop_reason
from seedspread.records.study import Study, record_failure, study_folder
from seedspread.training import hardware
from seedspread.training.build import check_buildable, describe_run, open_study
from seedspread.training.hardware import collect_garbage
from seedspread.training.heads import stack_size, train_stacks
from seedspread.training.run import train_seed

SEEDS_BETWEEN_COLLECTIONS = 20


def prepare_study(cfg: DictConfig) -> None:
    """Make what all seeds of a study share, so that no worker has to: the features of a frozen backbone."""
    cfg, _ = open_study(cfg)
    hardware.keep_memory()
    hardware.make_repeatable(cfg.trainer.accelerator, cfg.threads)
    device = hardware.select_device(cfg.trainer.accelerator)
    instantiate(cfg.data, _partial_=True)(streams=Streams.of(0), device=device)


def try_seed(cfg: DictConfig, study: Study, seed: int) -> str | None:
    """Train one seed of an opened study; return why it failed, which is recorded with its traceback, or None.

    An InputError concerns all seeds and is raised.
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

    An exception in one seed is recorded as `failed` with its reason, its traceback kept in failed/, and the next seed
    trained; `fail_fast` failures in a row with one reason stop this and every other worker of the sweep. An InputError
    concerns all seeds and is raised.
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
            raise InputError("the sweep that started this worker is gone")
        if stop_reason(study.folder):
            break
        if study.is_done(seed) and not cfg.overwrite:
            continue  # trained meanwhile by someone else
        reason = try_seed(cfg, study, seed)
        failed += reason is not None
        if streak.add(reason) >= cfg.fail_fast:
            request_stop(study.folder, f"{streak.length} seeds in a row failed: {reason}")
        trained += 1
        if trained % SEEDS_BETWEEN_COLLECTIONS == 1:
            collect_garbage()
    return failed


def serve(pipe: Connection) -> None:
    """A worker: does what comes through `pipe` until its other end is closed, by the death of the parent too."""
    setup_globals()
    ready: DictConfig
    study: Study | None = None
    trained = 0
    while True:
        try:
            cfg, task = pipe.recv()
        except EOFError:
            return
        answer: Any
        try:
            HydraConfig.instance().set_config(cfg)
            own = OmegaConf.masked_copy(cfg, [str(key) for key in cfg if key != "hydra"])
            if task == CHECK:
                check_buildable(own)
                answer = ""
            elif task == PREPARE:
                answer = study_identity(resolve_config(own))
                if own.get("backbone") is not None:
                    prepare_study(own)
            else:
                if study is None or study.folder != study_folder(own.results, own.study):
                    ready, study = open_study(without_epoch_lines(own))
                answer = try_seed(ready, study, task) or ""
                trained += 1
                if trained % SEEDS_BETWEEN_COLLECTIONS == 1:
                    collect_garbage()
        except Exception as error:
            answer = InputError(explain_error(error))
        try:
            pipe.send(answer)
        except OSError:
            return
