"""Train one seed of a study in this process."""

import math
import shutil
import time
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import lightning as L
import torch
from hydra.utils import instantiate
from lightning.pytorch.utilities.model_helpers import is_overridden
from omegaconf import DictConfig, open_dict

from seedspread.execution.leases import Worker
from seedspread.records.record import Record
from seedspread.records.study import Study
from seedspread.training.build import Header, build_run, silence_libraries
from seedspread.training.callbacks.butterfly import Butterfly
from seedspread.training.callbacks.checkpoints import PATHS, Checkpoints, find_checkpoint
from seedspread.training.callbacks.seed_record import SeedRecord
from seedspread.training.epoch_loop import EpochLoop
from seedspread.training.loggers import close_logger, open_logger
from seedspread.training.ranks import other_ranks

TRACE = "seedspread.audit.callback.TraceCallback"  # by its name: of a room above this one


def train_seed(
    cfg: DictConfig, study: Study, seed: int, leases: Worker | None = None, replaces: str | None = None
) -> Record:
    """Train one seed of an open study, write its record and return it; resumes from the seed's checkpoint if any.

    Where module and data have a test set, it is scored once, at the end. The heart of `leases` says how far the seed
    is. With `replaces`, the stamp of what stood in the record's place before, a record that another worker has
    published meanwhile stays.
    """
    started = time.perf_counter()
    with open_dict(cfg):
        cfg.seed = seed  # a sweep composes once for all its seeds, and a logger's folder is named after its seed
    module, data, header, device = build_run(cfg, study, seed)
    checkpoint = find_checkpoint(cfg, study, module, header)
    recorder = SeedRecord(study, header, started, replaces=replaces, probabilities=bool(cfg.examples.probabilities))
    checkpoints = Checkpoints(study.checkpoint_path(seed), **cfg.checkpoint)
    callbacks = [recorder, checkpoints, *build_butterfly(cfg, header), *build_trace(cfg, study, seed)]
    with other_ranks(cfg.trainer.devices, train_rank, cfg, study, seed, checkpoint) as plugins:
        tested = fit(cfg, module, data, callbacks, device, checkpoint, leases, [recorder], plugins)
    record = recorder.write(module, tested)
    checkpoints.finish()
    return record


def train_rank(
    cfg: DictConfig, study: Study, seed: int, checkpoint: Path | None, rank: int, plugins: Sequence[Any]
) -> None:
    """Train `seed` beside rank 0, which records it."""
    silence_libraries()
    with open_dict(cfg):
        cfg.logger = None
    module, data, header, device = build_run(cfg, study, seed, rank)
    recorder = SeedRecord(study, header, time.perf_counter())
    checkpoints = Checkpoints(study.checkpoint_path(seed), **cfg.checkpoint)
    callbacks = [recorder, checkpoints, *build_butterfly(cfg, header)]
    fit(cfg, module, data, callbacks, device, checkpoint, None, [recorder], plugins)


def build_butterfly(cfg: DictConfig, header: Header) -> list[L.Callback]:
    """The callback that flips a bit, where the config says when; `header` then says of which weight."""
    return [] if cfg.get("butterfly") is None else [Butterfly(cfg.butterfly, header)]


def build_trace(cfg: DictConfig, study: Study, seed: int) -> list[L.Callback]:
    """The callback that traces the seed, where the config says so; a trace of before is replaced."""
    if not cfg.get("trace"):
        return []
    folder = study.trace_path(seed)
    shutil.rmtree(folder, ignore_errors=True)
    return [instantiate({"_target_": TRACE, "folder": str(folder)})]


def fit(
    cfg: DictConfig,
    module: L.LightningModule,
    data: L.LightningDataModule,
    callbacks: Sequence[L.Callback],
    device: torch.device,
    checkpoint: Path | None = None,
    leases: Worker | None = None,
    recorders: Sequence[SeedRecord] = (),
    plugins: Sequence[Any] = (),
) -> dict[str, float] | None:
    """Train with the config's trainer, from `checkpoint` on if given; `callbacks` run before the config's own.

    A run with `recorders` of its seeds is then scored on the test set, where there is one: returns the metrics of
    that, None where all seeds have diverged.
    """
    recorder = recorders[0] if len(recorders) == 1 else None
    loggers = [*filter(None, [open_logger(cfg.logger)]), *([recorder.logged] if recorder else [])]
    one = device.type == "cuda" and cfg.trainer.devices == 1
    trainer = instantiate(cfg.trainer, _partial_=True)(
        logger=loggers or False,
        callbacks=[*callbacks, *(instantiate(callback) for callback in (cfg.callbacks or {}).values())],
        use_distributed_sampler=False,  # the loaders share out themselves
        plugins=[*plugins] or None,
        **({"devices": [device.index]} if one else {}),
    )
    trainer.fit_loop.epoch_loop = EpochLoop(trainer, bool(cfg.get("capture")))
    if leases:
        leases.progress = partial(measure_progress, trainer, time.monotonic(), recorder)
    try:
        with torch.serialization.safe_globals(PATHS):
            trainer.fit(module, datamodule=data, ckpt_path=checkpoint, weights_only=True)
        if not recorders or not has_test_set(module, data):
            return {}
        return None if all(found.diverged for found in recorders) else test(trainer, module, data)
    except SystemExit as exit_:  # Lightning's answer to Ctrl-C and SIGTERM
        raise KeyboardInterrupt from exit_
    finally:
        close_logger()
        if leases:
            leases.progress = dict


def test(trainer: L.Trainer, module: L.LightningModule, data: L.LightningDataModule) -> dict[str, float]:
    """Score the trained module on the test set; the metrics that it logged, by name."""
    found: dict[str, float] = {}
    for metrics in trainer.test(module, datamodule=data, verbose=False):
        found |= metrics
    return found


def has_test_set(module: L.LightningModule, data: L.LightningDataModule) -> bool:
    """Whether module and data have a test set; the project's data without validation data have none of their own."""
    both = is_overridden("test_step", module) and is_overridden("test_dataloader", data)
    return both and getattr(data, "has_test_set", True)


def measure_progress(trainer: L.Trainer, started: float, recorder: SeedRecord | None = None) -> dict[str, float]:
    """How far a running fit is: the share that is done, epochs from 1, the latest epoch's loss, seconds so far.

    Asked by the heart, in a thread of its own: it waits for no device. A run without a last epoch tells its steps.
    """
    epochs, batches = trainer.max_epochs or -1, trainer.num_training_batches
    known = {"seconds": time.monotonic() - started}
    if epochs > 0:
        within = trainer.fit_loop.batch_idx / batches if batches and math.isfinite(batches) else 0.0
        known |= {"epoch": min(trainer.current_epoch + 1, epochs), "epochs": epochs}
        known["done"] = min(1.0, (trainer.current_epoch + max(0.0, within)) / epochs)
    elif trainer.max_steps > 0:
        known |= {"step": trainer.global_step, "steps": trainer.max_steps}
        known["done"] = min(1.0, trainer.global_step / trainer.max_steps)
    points: list[Any] = recorder.logged.points if recorder else []
    loss = next((v for point in reversed(points) for name, v in point.items() if "loss" in name), None)
    return known if loss is None else {**known, "loss": loss}
