"""Checkpoints of a long seed, from which the same command resumes after a kill, to the same bits."""

import math
import pathlib
import re
import time
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import lightning as L
import torch
from omegaconf import DictConfig

from seedspread.config.errors import InputError
from seedspread.records.files import unique_draft, unwritable_error
from seedspread.records.study import Study
from seedspread.training.build import Header
from seedspread.training.callbacks.seed_record import SeedRecord
from seedspread.training.module import Classifier
from seedspread.training.running_metrics import States, add_logged, logged_states, metric_states, restore_metrics
from seedspread.training.seeding import generator_states, restore_generator_states

# What hyperparameters that a module saves often hold, beside numbers and texts.
PATHS: list[Any] = [pathlib.PosixPath, pathlib.WindowsPath, pathlib.PurePosixPath, pathlib.PureWindowsPath]


class Checkpoints(L.Callback):
    """Writes the checkpoint `path` every `every_minutes` and `every_n_epochs`, and removes it when training ends.

    With `keep` the trained network stays beside it, as .final.ckpt. A checkpoint is written between two steps of an
    epoch only, after an optimizer step and where no scoring is due, so that there is one way to resume: "after an
    epoch" means after the first such step of the next; an epoch of one step has none. Lightning saves weights,
    optimizer, schedule, progress and the loader's position. This callback adds the states of the global generators and
    of metrics within an epoch, to Lightning's own checkpoints as well.
    """

    every_step = False  # a run of steps ends where `is_due`

    def __init__(self, path: Path, every_minutes: float | None, every_n_epochs: int | None, keep: bool) -> None:
        self.path, self.every_minutes, self.every_n_epochs, self.keep = path, every_minutes, every_n_epochs, keep
        self._last = time.monotonic()
        self._epoch_is_due = False
        self._states: dict[str, Any] | None = None
        self._metrics: States = {}
        self._logged: States = {}
        self._loaders: list[dict[str, Any]] = []

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Move the loaders to where they were: a module that counts its steps has made Lightning load them before."""
        loop: Any = trainer.fit_loop
        stateful = [loader for loader in loop._combined_loader.flattened if hasattr(loader, "load_state_dict")]
        for loader, state in zip(stateful, self._loaders, strict=False):
            loader.load_state_dict(state)
        if self._loaders:
            iter(loop._data_fetcher)
        self._loaders = []

    def on_train_batch_start(
        self, trainer: L.Trainer, pl_module: L.LightningModule, batch: Any, batch_idx: int
    ) -> None:
        if self._states is not None:  # not earlier: Lightning's set-up draws from them
            restore_generator_states(self._states)
            restore_metrics(pl_module, self._metrics)
            self._states = None

    def on_train_batch_end(
        self, trainer: L.Trainer, pl_module: L.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        if self._logged:
            add_logged(trainer, self._logged)
            self._logged = {}
        steps, scored_every = batch_idx + 1, trainer.val_check_batch or 0
        if trainer.is_last_batch or steps % trainer.accumulate_grad_batches:
            return  # accumulated gradients are not saved
        if scored_every and math.isfinite(scored_every) and steps % int(scored_every) == 0:
            return
        if trainer.strategy.broadcast(self.is_due()):  # of rank 0: all ranks save, or none
            self._write(trainer, self.path)
            self._last, self._epoch_is_due = time.monotonic(), False

    def is_due(self) -> bool:
        """Whether a checkpoint follows the next step that allows one."""
        overdue = self.every_minutes is not None and time.monotonic() - self._last >= 60 * self.every_minutes
        return overdue or self._epoch_is_due

    def on_train_epoch_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        n = self.every_n_epochs
        self._epoch_is_due = n is not None and trainer.current_epoch > 0 and trainer.current_epoch % n == 0

    def on_fit_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        if self.keep:
            self._write(trainer, self.path.with_suffix(".final.ckpt"))

    def finish(self) -> None:
        """Remove the checkpoint: the record is written."""
        self.path.unlink(missing_ok=True)

    def _write(self, trainer: L.Trainer, path: Path) -> None:
        """Write atomically: Lightning's own temporary file may be on another disk; InputError for a full disk."""
        draft = unique_draft(path)
        try:
            path.parent.mkdir(exist_ok=True)
            trainer.save_checkpoint(draft)
            if trainer.is_global_zero:
                draft.replace(path)
        except OSError as error:
            draft.unlink(missing_ok=True)
            raise unwritable_error(path.parent, error) from error

    def on_save_checkpoint(self, trainer: L.Trainer, pl_module: L.LightningModule, checkpoint: dict[str, Any]) -> None:
        own = {"metrics": metric_states(pl_module), "logged": logged_states(trainer)}
        checkpoint["generator_states"], checkpoint["ranks"] = generator_states(), [own]
        if trainer.world_size > 1:
            every: list[Any] = [None] * trainer.world_size
            torch.distributed.all_gather_object(every, {**own, "generator_states": generator_states()})
            checkpoint["ranks"] = every

    def on_load_checkpoint(self, trainer: L.Trainer, pl_module: L.LightningModule, checkpoint: dict[str, Any]) -> None:
        ranks = checkpoint.get("ranks", [{}])
        own = ranks[trainer.global_rank % len(ranks)]
        self._states = own.get("generator_states", checkpoint.get("generator_states"))
        self._metrics, self._logged = own.get("metrics", {}), own.get("logged", {})
        self._loaders = checkpoint["loops"]["fit_loop"]["state_dict"].get("combined_loader", [])


def find_checkpoint(cfg: DictConfig, study: Study, module: L.LightningModule, header: Header) -> Path | None:
    """The checkpoint that the seed resumes from, which `header` then names; None where it starts at its first step.

    This is `ckpt_path` where it is set, of any config of this network and seed; else the seed's own checkpoint in the
    study, which moves to damaged/ where it is damaged or of another study. Raises InputError for a `ckpt_path` that is
    not of this network and seed.
    """
    path = study.checkpoint_path(header["seed"])
    if cfg.ckpt_path is not None:
        path = Path(cfg.ckpt_path)
        known = check_checkpoint(path, module, header)
        if (digest := known.get("config_digest", study.digest)) != study.digest:
            header["resumed_from_config"] = digest
    elif path.exists():
        try:
            check_checkpoint(path, module, header, of_study=True)
        except InputError as error:
            problem = str(error).removeprefix("ckpt_path=")
            moved = study.move_to_damaged(path)
            print(f"{problem}; it moves to {moved}, and seed {header['seed']} starts from the beginning", flush=True)
            return None
    else:
        return None
    header["resumed_from"] = str(path)
    return path


def check_checkpoint(path: Path, module: L.LightningModule, header: Header, of_study: bool = False) -> Header:
    """The state of SeedRecord in the checkpoint at `path`.

    Raises InputError where it is not of this network and seed, or, with `of_study`, not of this study or incomplete.
    """
    try:
        with torch.serialization.safe_globals(PATHS):
            checkpoint = torch.load(path, map_location="cpu", weights_only=True)
        shapes = {name: tensor.shape for name, tensor in checkpoint["state_dict"].items()}
        known = checkpoint["callbacks"].get(SeedRecord.__qualname__, {})
    except UnpicklingError as error:
        found = re.search(r"GLOBAL (\S+)", str(error))
        what = f"holds a {found[1]}, which is not read from files" if found else "not a whole Lightning checkpoint"
        raise InputError(f"ckpt_path={path}: {what}") from error
    except Exception as error:
        raise InputError(f"ckpt_path={path}: not a whole Lightning checkpoint ({type(error).__name__})") from error
    own = isinstance(module, Classifier)  # another may build layers when its training begins
    if own and shapes != {name: tensor.shape for name, tensor in module.state_dict().items()}:
        raise InputError(f"ckpt_path={path}: a checkpoint of another network; set the model= that it was trained with")
    if (seed := known.get("seed", header["seed"])) != header["seed"]:
        raise InputError(f"ckpt_path={path}: a checkpoint of seed {seed}; resume it with seed={seed}")
    if of_study and any(known.get(key) != header[key] for key in ("config_digest", "data_sha256")):
        raise InputError(f"ckpt_path={path}: a checkpoint of another study")
    parts = ("optimizer_states", "lr_schedulers", "loops", "generator_states")
    if of_study and (missing := [part for part in parts if part not in checkpoint]):
        raise InputError(f"ckpt_path={path}: a checkpoint without {missing[0]}")
    return known
