"""Train one seed of a study in this process."""

import time
from collections.abc import Sequence
from pathlib import Path

import lightning as L
import torch
from hydra.utils import instantiate
from omegaconf import DictConfig, open_dict

from seedspread.records.record import Record
from seedspread.records.study import Study
from seedspread.training.build import build_run
from seedspread.training.callbacks.checkpoints import Checkpoints, find_checkpoint
from seedspread.training.callbacks.seed_record import SeedRecord


def train_seed(cfg: DictConfig, study: Study, seed: int) -> Record:
    """Train one seed of an open study, write its record and return it; resumes from the seed's checkpoint if any."""
    started = time.perf_counter()
    with open_dict(cfg):
        cfg.seed = seed  # a sweep composes once for all its seeds, and a logger's folder is named after its seed
    classifier, data, header, device = build_run(cfg, study, seed)
    checkpoint = find_checkpoint(cfg, study, classifier, header)
    recorder = SeedRecord(study, header, started)
    callbacks = [recorder, Checkpoints(study.checkpoint_path(seed), **cfg.checkpoint)]
    fit(cfg, classifier, data, callbacks, device, checkpoint)
    assert recorder.record is not None
    return recorder.record


def fit(
    cfg: DictConfig,
    model: L.LightningModule,
    data: L.LightningDataModule,
    callbacks: Sequence[L.Callback],
    device: torch.device,
    checkpoint: Path | None = None,
) -> None:
    """Train with the config's trainer, from `checkpoint` on if given; `callbacks` run before the config's own."""
    trainer = instantiate(cfg.trainer, _partial_=True)(
        logger=instantiate(cfg.logger) or False,
        callbacks=[*callbacks, *(instantiate(callback) for callback in (cfg.callbacks or {}).values())],
        **({"devices": [device.index]} if device.type == "cuda" else {}),
    )
    try:
        trainer.fit(model, datamodule=data, ckpt_path=checkpoint, weights_only=True)
    except SystemExit as exit_:  # Lightning's answer to Ctrl-C and SIGTERM
        raise KeyboardInterrupt from exit_
