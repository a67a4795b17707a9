"""Trains seeds of one study in this process, one after the other."""

import gc
import inspect
import logging
import math
import os
import shlex
import time
import traceback
import warnings
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import lightning as L
import torch
from hydra.core.hydra_config import HydraConfig
from hydra.utils import get_method, instantiate
from omegaconf import DictConfig, OmegaConf, open_dict

from src import hardware
from src.callbacks.checkpoints import Checkpoints
from src.callbacks.seed_record import SeedRecord
from src.classifier import METRICS, Classifier
from src.command_line import positive_number, whole_number
from src.environment import machine
from src.errors import InputError, input_error_in
from src.keys import check_keys
from src.models.resnet9 import ResNet9
from src.seeding import Streams, checked_seed, drawing_from, seed_global_generators
from src.study.store import SCHEMA, Record, Study, study_folder
from src.sweep import INTERRUPTED, Streak, watched_parent

# What does not change a result: where things lie, how a run is shown or spread over machines, and the seeds themselves.
NOT_IN_IDENTITY = (
    "seed",
    "seeds",
    "study",
    "results",
    "overwrite",
    "logger",
    "metric",
    "ckpt_path",
    "checkpoint",
    "jobs",
    "workers_per_gpu",
    "seeds_per_job",
    "fail_fast",
    "report",
    "stack",
    "space",
)
NOT_IN_CALLBACKS_IDENTITY = ("epoch_lines", "gradient_norms")  # they look on
SEEDS_BETWEEN_COLLECTIONS = 20
SEEDS_IN_A_STACK = 64  # on a GPU
NOT_IN_DATA_IDENTITY = ("source", "root", "cache", "backbone", "workers")
NOT_IN_TRAINER_IDENTITY = (
    "devices",
    "default_root_dir",
    "enable_checkpointing",
    "enable_model_summary",
    "enable_progress_bar",
    "log_every_n_steps",
    "num_sanity_val_steps",
    "profiler",
)


def settled(cfg: DictConfig) -> DictConfig:
    """`cfg` with every `auto` decided for this machine, and the model free of settings that are not its own."""
    cfg = cfg.copy()
    with open_dict(cfg):
        cfg.trainer.accelerator = hardware.accelerator(cfg.trainer.accelerator)
        cfg.trainer.precision = hardware.precision(cfg.trainer.precision, cfg.trainer.accelerator)
        if cfg.get("backbone"):
            cfg.backbone.precision = hardware.precision(
                cfg.backbone.precision, cfg.trainer.accelerator, "backbone.precision"
            )
        cfg.memory_format = hardware.memory_format(cfg.memory_format, cfg.trainer.precision)
        # An experiment's settings of rise_and_fall stay in the config where another schedule is chosen.
        if "lr_lambda" in (cfg.schedule or {}) and not str(cfg.schedule.get("_target_")).endswith("LambdaLR"):
            cfg.schedule.pop("lr_lambda")
        # model._target_=another.network leaves the settings of ResNet-9 in the config; they are not the other's.
        target = get_method(cfg.model._target_) if cfg.model._target_ != "src.models.resnet9.ResNet9" else ResNet9
        for key in set(inspect.signature(ResNet9).parameters) - set(inspect.signature(target).parameters):
            cfg.model.pop(key, None)
    return cfg


def identity(cfg: DictConfig) -> dict[str, Any]:
    """What makes two seeds part of one study: the settled config without seeds, places and display."""
    config: dict[str, Any] = OmegaConf.to_container(cfg, resolve=True)  # type: ignore[assignment]
    for key in NOT_IN_IDENTITY:
        config.pop(key, None)
    # What came later than the first studies counts where it is used.
    if config["streams"]["other"] is None:
        del config["streams"]["other"]
    if config["compile"] is None:
        del config["compile"]
    for key in NOT_IN_DATA_IDENTITY:
        config["data"].pop(key, None)
    if config.get("backbone"):
        config["backbone"].pop("checkpoint", None)  # the data's fingerprint covers the weights themselves
    for key in NOT_IN_TRAINER_IDENTITY:
        config["trainer"].pop(key, None)
    if config["trainer"].get("gradient_clip_val") is None:  # came later as well
        config["trainer"].pop("gradient_clip_val", None)
    callbacks = config.get("callbacks") or {}
    config["callbacks"] = {name: c for name, c in callbacks.items() if name not in NOT_IN_CALLBACKS_IDENTITY}
    return config


def opened(cfg: DictConfig) -> tuple[DictConfig, Study]:
    """The settled config and its study on disk; InputError for settings that cannot be, or of another study."""
    _quieten()
    check_keys(cfg)
    cfg = settled(cfg)
    folder = study_folder(cfg.results, cfg.study)
    if cfg.metric not in METRICS:
        raise InputError(f"metric={cfg.metric}: choose one of {', '.join(METRICS)}")
    if cfg.trainer.devices != 1:
        raise InputError(
            f"trainer.devices={cfg.trainer.devices}: a seed trains on one device; several train several seeds: jobs="
        )
    whole_number(cfg, "trainer.max_epochs")
    for key in ("trainer.gradient_clip_val", "checkpoint.every_minutes", "checkpoint.every_n_epochs"):
        positive_number(cfg, key, "a number above 0, or null for none")
    for key in ("overwrite", "checkpoint.keep"):  # no and off are words to Hydra, and words count as true
        if not isinstance(value := OmegaConf.select(cfg, key), bool):
            raise InputError(f"{key}={value}: true or false")
    rate = cfg.optimizer.get("lr")
    if rate is not None and (isinstance(rate, bool | str) or not 0 <= rate < math.inf):
        raise InputError(f"optimizer.lr={rate}: a number of at least 0")
    if cfg.compile is not None and not isinstance(cfg.compile, DictConfig):
        raise InputError(f"compile={cfg.compile}: arguments of torch.compile, for example compile={{mode:default}}")
    if cfg.ckpt_path is not None and not Path(cfg.ckpt_path).is_file():
        raise InputError(f"ckpt_path={cfg.ckpt_path}: no such file")
    return cfg, Study.open(folder, identity(cfg))


def command_for(seed: int) -> str | None:
    """The command that trains `seed` as this run does; None outside a Hydra command."""
    if not HydraConfig.initialized():
        return None
    dropped = ("seed", "seeds", "overwrite", "ckpt_path")
    overrides = [o for o in HydraConfig.get().overrides.task if o.split("=")[0] not in dropped]
    return shlex.join(["python", "-m", "src.train", f"seed={seed}", *overrides])


def begun(cfg: DictConfig, study: Study, seed: int) -> tuple[Classifier, L.LightningDataModule, Record, torch.device]:
    """A seed up to its first step: its network, its data, what is known of it beforehand, its device."""
    streams = Streams.of(checked_seed(seed), **cfg.streams)
    hardware.keep_memory()
    hardware.make_repeatable(cfg.trainer.accelerator, cfg.threads)
    seed_global_generators(streams.other)
    device = hardware.device(cfg.trainer.accelerator)
    # Objects go in after Hydra is done: given to instantiate, dataclasses among them would become configs.
    data = instantiate(cfg.data, _partial_=True)(streams=streams, device=device)
    study.check_data(data.pictures.fingerprint)
    sizes = {key: getattr(data, key) for key in ("classes", "features") if key in cfg.model and hasattr(data, key)}
    for key, found in sizes.items():
        if cfg.model[key] not in (None, found):
            raise InputError(f"model.{key}={cfg.model[key]}: {cfg.data.name} has {found} {key}")
    with drawing_from(streams.init):
        model = instantiate(cfg.model, **sizes)
    model = model.to(device=device, memory_format=hardware.MEMORY_FORMATS[cfg.memory_format])
    if cfg.compile is not None:
        model = _compiled(model, cfg)
    classifier = Classifier(model, instantiate(cfg.loss), _optimizer(cfg), instantiate(cfg.schedule))
    header = {
        **header_of(cfg, study, seed),
        "data_sha256": data.pictures.fingerprint,
        "train_examples": data.train_examples,
        **({"features": data.described} if hasattr(data, "described") else {}),
        "resumed_from": None,
    }
    return classifier, data, header, device


def can_begin(cfg: DictConfig) -> None:
    """Bring a seed up to its first step and leave nothing of it; raises where `cfg` cannot be."""
    cfg = cfg.copy()
    with TemporaryDirectory() as scratch:
        cfg.results = scratch
        classifier, *_ = begun(*opened(cfg), 0)
        classifier.optimizer(classifier.model.parameters())


_compiled_before: dict[str, tuple[torch.nn.Module, list[torch.Tensor]]] = {}  # the latest network alone


def _compiled(model: torch.nn.Module, cfg: DictConfig) -> torch.nn.Module:
    """`model`'s weights and buffers in the network that this process compiled for the same settings; else itself.

    One compilation serves all seeds. Their tensors are those of the first, written anew in place: what was compiled
    stays valid, CUDA graphs, which hold addresses, included. Nothing of it depends on what this process trained before:
    each size of a batch has code of its own, which torch would else share from the second size on, and another network
    is compiled as in a process of its own, where torch would give up after a few.
    """
    tensors = [*model.parameters(), *model.buffers()]
    settings = [OmegaConf.to_container(cfg[part], resolve=True) for part in ("model", "data", "compile")]
    key = f"{settings} {cfg.memory_format} {cfg.threads} {cfg.trainer} {[tuple(tensor.shape) for tensor in tensors]}"
    if key not in _compiled_before:
        if _compiled_before:
            _compiled_before.clear()
            torch._dynamo.reset()
        try:
            model.compile(**{"dynamic": False, **settings[-1]})  # type: ignore[dict-item]
        except (TypeError, RuntimeError, ValueError) as error:
            raise InputError(f"compile={cfg.compile}: torch.compile does not take it: {error}") from error
        _compiled_before[key] = model, [tensor.detach() for tensor in tensors]
        return model
    kept, places = _compiled_before[key]
    with torch.no_grad():
        for own, place, new in zip([*kept.parameters(), *kept.buffers()], places, tensors, strict=True):
            own.data = place  # Lightning takes a network off its GPU when a fit ends
            own.copy_(new)
    kept.zero_grad()
    return kept.train()


def _optimizer(cfg: DictConfig) -> Any:
    """The config's optimizer; SGD over all tensors at once where the config leaves that open.

    On a GPU that is one fused kernel, but where gradients are clipped, which Lightning refuses beside it. On a CPU a
    fused one is about as fast as foreach, and rounds the last few numbers of a tensor differently from the others: a
    head in a stack would not have the bits it has alone. It raises InputError for settings it does not take.
    """
    optimizer, more = instantiate(cfg.optimizer), {}
    if cfg.optimizer._target_ == "torch.optim.SGD" and not {"fused", "foreach"} & set(cfg.optimizer):
        fused = cfg.trainer.accelerator == "gpu" and not cfg.trainer.gradient_clip_val
        more = {"fused" if fused else "foreach": True}

    def built(parameters: Iterable[torch.nn.Parameter]) -> torch.optim.Optimizer:
        try:
            return optimizer(parameters, **more)
        except (TypeError, ValueError) as error:
            raise InputError(
                f"optimizer._target_={cfg.optimizer._target_}: {error}.\n"
                "Mend the value, or leave out a setting that this optimizer does not have: '~optimizer.NAME'"
            ) from error

    return built


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
    classifier, data, header, device = begun(cfg, study, seed)
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
            print(f"{why}; it is put aside as {study.set_aside(place)} and seed {seed} starts afresh", flush=True)
    recorder = SeedRecord(study, header, started)
    callbacks = [recorder, Checkpoints(place, **cfg.checkpoint)]
    resumed_from = Path(header["resumed_from"]) if header["resumed_from"] else None
    fit(cfg, classifier, data, callbacks, device, resumed_from)
    assert recorder.record is not None
    return recorder.record


def prepare(cfg: DictConfig) -> None:
    """Make what all seeds of a study share, so that no worker has to: the features of a frozen backbone."""
    cfg, _ = opened(cfg)
    hardware.keep_memory()
    hardware.make_repeatable(cfg.trainer.accelerator, cfg.threads)
    device = hardware.device(cfg.trainer.accelerator)
    instantiate(cfg.data, _partial_=True)(streams=Streams.of(0), device=device)


def collect_garbage() -> None:
    """Free the cycles that trainers leave behind, 100 KiB a seed, so that memory stays flat over a sweep.

    It takes 30 ms; the 400,000 objects of the imports are set aside once, so that no collection looks through them.
    """
    gc.collect()
    if gc.get_freeze_count() == 0:
        gc.freeze()


def check_checkpoint(path: Path | str, classifier: Classifier, header: Record, whole: bool = False) -> Record:
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


def without_epoch_lines(cfg: DictConfig) -> DictConfig:
    """`cfg` for a worker among several, whose parent tells how far they are."""
    with open_dict(cfg):
        cfg.callbacks = {name: c for name, c in (cfg.callbacks or {}).items() if name != "epoch_lines"}
    return cfg


def attempt(cfg: DictConfig, study: Study, seed: int) -> str | None:
    """Train one seed of an opened study; return why it failed, which is recorded with its traceback, or None.

    An InputError concerns all seeds and is raised.
    """
    with study.claimed(seed):
        try:
            train_seed(cfg, study, seed)
        except Exception as error:
            if (for_all_seeds := input_error_in(error)) is not None:
                raise for_all_seeds from None
            reason = " ".join(f"{type(error).__name__}: {error}".split())
            record_failure(study, seed, reason, traceback.format_exc(), header_of(cfg, study, seed))
            return reason
    return None


def train_seeds(cfg: DictConfig, seeds: Iterable[int]) -> int:
    """Train those of `seeds` that have no record yet; return how many failed.

    An exception in one seed is recorded as `failed` with its reason, its traceback kept in failed/, and the next seed
    trained; `fail_fast` failures in a row with one reason stop this and every other worker of the sweep. An InputError
    concerns all seeds and is raised.
    """
    cfg, study = opened(without_epoch_lines(cfg))
    if (size := stack_size(cfg)) > 1:
        from src.stack import train_stacks

        return train_stacks(cfg, study, seeds, size)
    trained = failed = 0
    streak, parent = Streak(), watched_parent()
    for seed in seeds:
        if INTERRUPTED.is_set():
            raise KeyboardInterrupt
        if parent is not None and os.getppid() != parent:
            raise InputError("the sweep that started this worker is gone")
        if study.stopped():
            break
        if study.is_done(seed) and not cfg.overwrite:
            continue  # trained meanwhile by someone else
        reason = attempt(cfg, study, seed)
        failed += reason is not None
        if streak.add(reason) >= cfg.fail_fast:
            study.stop(f"{streak.length} seeds in a row failed: {reason}")
        trained += 1
        if trained % SEEDS_BETWEEN_COLLECTIONS == 1:
            collect_garbage()
    return failed


def stack_size(cfg: DictConfig) -> int:
    """How many seeds of a settled config train in one step; InputError where `stack` cannot be had."""
    probe = cfg.get("backbone") is not None and cfg.data.views != 0
    plain = (
        probe
        and not cfg.logger
        and not cfg.checkpoint.keep
        and not cfg.trainer.enable_checkpointing
        and cfg.ckpt_path is None
    )
    clip = cfg.trainer.get("gradient_clip_val")
    jointly = f"trainer.gradient_clip_val={clip}" if clip is not None else None
    if "gradient_norms" in (cfg.callbacks or {}):
        jointly = jointly or "callbacks=gradient_norms"
    if cfg.stack == "auto":
        return SEEDS_IN_A_STACK if plain and not jointly and cfg.trainer.accelerator == "gpu" else 1
    if (size := whole_number(cfg, "stack")) > 1 and not plain:
        raise InputError(
            f"stack={size}: for linear probes on kept features, without a logger or checkpoints that stay; stack=1"
        )
    if size > 1 and jointly:
        raise InputError(f"stack={size}: {jointly} would take the gradient of all heads of a step as one; stack=1")
    return size


def record_failure(study: Study, seed: int, reason: str, trace: str, header: Record) -> None:
    """Record `seed` as failed and keep its traceback."""
    study.keep_traceback(seed, trace)
    ended = datetime.now(UTC).isoformat(timespec="seconds")
    study.write({"schema": SCHEMA, **header, "seed": seed, "status": "failed", "reason": reason, "ended": ended})


def header_of(cfg: DictConfig, study: Study, seed: int) -> Record:
    """What is known of a seed before it is trained."""
    streams = Streams.of(seed, **cfg.streams)
    return {
        "seed": seed,
        "streams": streams.seeds(),
        "study": study.name,
        "config_digest": study.digest,
        "command": command_for(seed),
        "environment": {
            **machine(),
            "accelerator": cfg.trainer.accelerator,
            "threads": torch.get_num_threads(),
            "precision": cfg.trainer.precision,
            "memory_format": cfg.memory_format,
            "deterministic": cfg.trainer.deterministic,
            "keeps_memory": hardware.keep_memory(),
        },
    }


def _quieten() -> None:
    """Keep what Lightning says on every fit (devices found, tips, its own deprecations) out of a sweep's lines."""
    for name in ("lightning.pytorch", "lightning.fabric"):
        logging.getLogger(name).setLevel(logging.WARNING)
    logging.getLogger("hydra.utils").setLevel(logging.CRITICAL)  # says what the exception says again
    warnings.filterwarnings("ignore", message=".*LeafSpec.* is deprecated")
    warnings.filterwarnings("ignore", message=".*callbacks used to create the checkpoint need to be provided")
    warnings.filterwarnings("ignore", message="GPU available but not used")
    warnings.filterwarnings("ignore", message="The `srun` command is available")
