"""Train one seed of a study in this process."""

import math
import time
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import lightning as L
import torch
from hydra.utils import instantiate
from omegaconf import DictConfig, open_dict

from seedspread.execution.leases import Worker
from seedspread.records.record import Record
from seedspread.records.study import Study
from seedspread.training.build import build_run
from seedspread.training.callbacks.checkpoints import Checkpoints, find_checkpoint
from seedspread.training.callbacks.seed_record import SeedRecord
from seedspread.training.loggers import close_logger, open_logger


def train_seed(
    cfg: DictConfig, study: Study, seed: int, leases: Worker | None = None, replaces: str | None = None
) -> Record:
    """Train one seed of an open study, write its record and return it; resumes from the seed's checkpoint if any.

    The heart of `leases` says how far it is. With `replaces`, the stamp of what stood in the record's place before, a
    record that another worker has published meanwhile stays.
    """
    started = time.perf_counter()
    with open_dict(cfg):
        cfg.seed = seed  # a sweep composes once for all its seeds, and a logger's folder is named after its seed
    classifier, data, header, device = build_run(cfg, study, seed)
    checkpoint = find_checkpoint(cfg, study, classifier, header)
    recorder = SeedRecord(study, header, started, replaces=replaces)
    callbacks = [recorder, Checkpoints(study.checkpoint_path(seed), **cfg.checkpoint)]
    fit(cfg, classifier, data, callbacks, device, checkpoint, leases)
    assert recorder.record is not None
    return recorder.record


def fit(
    cfg: DictConfig,
    model: L.LightningModule,
    data: L.LightningDataModule,
    callbacks: Sequence[L.Callback],
    device: torch.device,
    checkpoint: Path | None = None,
    leases: Worker | None = None,
) -> None:
    """Train with the config's trainer, from `checkpoint` on if given; `callbacks` run before the config's own."""
    trainer = instantiate(cfg.trainer, _partial_=True)(
        logger=open_logger(cfg.logger),
        callbacks=[*callbacks, *(instantiate(callback) for callback in (cfg.callbacks or {}).values())],
        **({"devices": [device.index]} if device.type == "cuda" else {}),
    )
    if leases:
        leases.progress = partial(measure_progress, trainer, time.monotonic())
    try:
        trainer.fit(model, datamodule=data, ckpt_path=checkpoint, weights_only=True)
    except SystemExit as exit_:  # Lightning's answer to Ctrl-C and SIGTERM
        raise KeyboardInterrupt from exit_
    finally:
        close_logger()
        if leases:
            leases.progress = dict


def measure_progress(trainer: L.Trainer, started: float) -> dict[str, float]:
    """How far a running fit is: the share that is done, epochs from 1, the latest epoch's loss, seconds so far.

    Asked by the heart, in a thread of its own: it waits for no device.
    """
    epochs, batches = trainer.max_epochs or 1, trainer.num_training_batches
    within = trainer.fit_loop.batch_idx / batches if batches and math.isfinite(batches) else 0.0
    known = {"epoch": min(trainer.current_epoch + 1, epochs), "epochs": epochs, "seconds": time.monotonic() - started}
    history = getattr(trainer.lightning_module, "history", None)
    loss = {"loss": history[-1]["train/loss"]} if history else {}
    return {"done": min(1.0, (trainer.current_epoch + max(0.0, within)) / epochs), **known, **loss}
