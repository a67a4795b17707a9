"""Trains seeds of one study in this process, one after the other."""

import time
from collections.abc import Sequence
from pathlib import Path

import lightning as L
import torch
from hydra.utils import instantiate
from omegaconf import DictConfig, open_dict

from seedspread.config.errors import InputError
from seedspread.records.record import Record
from seedspread.records.study import Study
from seedspread.training.build import Header, build_run
from seedspread.training.callbacks.checkpoints import Checkpoints
from seedspread.training.callbacks.seed_record import SeedRecord
from seedspread.training.module import Classifier


def fit(
    cfg: DictConfig,
    model: L.LightningModule,
    data: L.LightningDataModule,
    callbacks: Sequence[L.Callback],
    device: torch.device,
    resumed_from: Path | None = None,
) -> None:
    """Train to the end, `callbacks` in front of the config's own."""
    trainer = instantiate(cfg.trainer, _partial_=True)(
        logger=instantiate(cfg.logger) or False,
        callbacks=[*callbacks, *(instantiate(callback) for callback in (cfg.callbacks or {}).values())],
        **({"devices": [device.index]} if device.type == "cuda" else {}),
    )
    try:
        trainer.fit(model, datamodule=data, ckpt_path=resumed_from, weights_only=True)
    except SystemExit as exit_:  # what Lightning makes of Ctrl-C and of SIGTERM
        raise KeyboardInterrupt from exit_


def train_seed(cfg: DictConfig, study: Study, seed: int) -> Record:
    """Train one seed of an opened study, from where it was cut off if it was; write its record and return it."""
    started = time.perf_counter()
    with open_dict(cfg):
        cfg.seed = seed  # a sweep composes once for all its seeds, and a logger's folder is named by its seed
    classifier, data, header, device = build_run(cfg, study, seed)
    place = study.checkpoint_path(seed)
    if cfg.ckpt_path is not None:
        known = check_checkpoint(cfg.ckpt_path, classifier, header)
        header["resumed_from"] = cfg.ckpt_path
        if (digest := known.get("config_digest", study.digest)) != study.digest:
            header["resumed_from_config"] = digest
    elif place.exists():
        try:
            check_checkpoint(place, classifier, header, whole=True)
            header["resumed_from"] = str(place)
        except InputError as error:
            why = str(error).removeprefix("ckpt_path=")
            print(
                f"{why}; it moves to {study.move_to_damaged(place)}, and seed {seed} starts from the beginning",
                flush=True,
            )
    recorder = SeedRecord(study, header, started)
    callbacks = [recorder, Checkpoints(place, **cfg.checkpoint)]
    resumed_from = Path(header["resumed_from"]) if "resumed_from" in header else None
    fit(cfg, classifier, data, callbacks, device, resumed_from)
    assert recorder.record is not None
    return recorder.record


def check_checkpoint(path: Path | str, classifier: Classifier, header: Header, whole: bool = False) -> Header:
    """What the checkpoint in `path` knows of its seed.

    Raises InputError where it is none of this network and this seed, or, for `whole`, of this study with all its parts.
    """
    try:
        checkpoint = torch.load(path, map_location="cpu", weights_only=True)
        theirs = {name: tensor.shape for name, tensor in checkpoint["state_dict"].items()}
        known = checkpoint["callbacks"].get(SeedRecord.__qualname__, {})
    except Exception as error:
        raise InputError(f"ckpt_path={path}: not a whole Lightning checkpoint ({type(error).__name__})") from error
    if theirs != {name: tensor.shape for name, tensor in classifier.state_dict().items()}:
        raise InputError(f"ckpt_path={path}: a checkpoint of another network; give it the model= it was made with")
    if (of_seed := known.get("seed", header["seed"])) != header["seed"]:
        raise InputError(f"ckpt_path={path}: a checkpoint of seed {of_seed}; go on with seed={of_seed}")
    if whole and any(known.get(key) != header[key] for key in ("config_digest", "data_sha256")):
        raise InputError(f"ckpt_path={path}: a checkpoint of another study")
    parts = ("optimizer_states", "lr_schedulers", "loops", "history", "train_sums", "generator_states")
    if whole and (missing := [part for part in parts if part not in checkpoint]):
        raise InputError(f"ckpt_path={path}: a checkpoint without {missing[0]}")
    return known
