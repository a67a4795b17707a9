"""A seed before its first step: its study, data, network, optimizer, and the header of its record."""

from seedspread.training import quick_import  # noqa: F401

# isort: split
import logging
import warnings
from collections.abc import Iterable
from datetime import datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import lightning as L
import torch
from hydra.utils import get_method, instantiate
from omegaconf import DictConfig, OmegaConf

from seedspread.config.check import check_config
from seedspread.config.errors import InputError
from seedspread.config.identity import study_identity
from seedspread.config.overrides import reproduction_command
from seedspread.config.resolve import resolve_config
from seedspread.config.schema import FineTuned, Train, is_foreign
from seedspread.config.streams import Streams, check_seed
from seedspread.config.targets import build_object, check_targets
from seedspread.data.splits import Split
from seedspread.execution.leases import is_in_use
from seedspread.records.metric import Metric
from seedspread.records.record import Record
from seedspread.records.study import Study, study_folder
from seedspread.training import hardware
from seedspread.training.compilation import reuse_network
from seedspread.training.environment import describe_machine
from seedspread.training.loggers import check_logger
from seedspread.training.module import Classifier
from seedspread.training.seeded_loaders import seed_hooks
from seedspread.training.seeding import draw_from, seed_global_generators, seeded

Header = dict[str, Any]  # the fields of a record that are known before training begins


def open_study(cfg: DictConfig) -> tuple[DictConfig, Study]:
    """The resolved config and its study on disk.

    Raises InputError for invalid settings, and where the folder belongs to a study with another config.
    """
    silence_libraries()
    check_config(cfg, Train)
    cfg = resolve_config(cfg)
    check_targets(cfg)
    check_logger(cfg.logger)
    cfg = OmegaConf.masked_copy(cfg, [str(key) for key in cfg if key != "hydra"])
    folder = study_folder(cfg.results, cfg.study)
    return cfg, Study.open(folder, study_identity(cfg), is_in_use(folder), Metric.of(**cfg.metric))


def build_run(
    cfg: DictConfig, study: Study, seed: int, rank: int = 0
) -> tuple[L.LightningModule, L.LightningDataModule, Header, torch.device]:
    """Module, data, header of the record and device of a seed, ready for its first step.

    Of several ranks that share the seed each has its own draws of the stream `other`, and the same of all others.
    Raises InputError where settings, data and network do not fit together.
    """
    streams = Streams.of(check_seed(seed), **cfg.streams)
    hardware.keep_memory()
    hardware.map_constants()
    hardware.make_repeatable(cfg.trainer.accelerator, cfg.threads, cfg.trainer.deterministic)
    seed_global_generators(streams.other, rank)
    device = hardware.select_device(cfg.trainer.accelerator, None if cfg.trainer.devices == 1 else rank)
    check_loaders(cfg)
    data = build_data(cfg, streams, device)
    fingerprint = data.pictures.fingerprint if hasattr(data, "pictures") else None
    if fingerprint is not None:
        study.check_data(fingerprint)
        study.check_examples(data.example_index())
    header = {
        **describe_run(cfg, study, seed),
        "data_sha256": fingerprint,
        "data_source": describe_source(cfg),
        "train_examples": getattr(data, "train_examples", None),
        "validation_examples": getattr(data, "validation_examples", None),
        "split_sha256": split.sha256 if isinstance(split := getattr(data, "split", None), Split) else None,
        "features": getattr(data, "description", None),
    }
    if cfg.get("module") is not None:
        return _build_module(cfg, streams), data, header, device
    module = _build_classifier(cfg, data, streams, device)
    if cfg.model.get("_target_") == FineTuned.target:  # not its type, which would import timm for every network
        pretrained: Any = module.model.pretrained
        study.check_pretrained(pretrained["weights_sha256"])
        header["pretrained"] = pretrained
    return module, data, header, device


def check_loaders(cfg: DictConfig) -> None:
    """Raise InputError for a module that has loaders of its own and would get the project's data instead."""
    if cfg.get("module") is None or is_foreign(cfg, "data"):
        return
    own = getattr(get_method(cfg.module._target_), "train_dataloader", None)
    if own not in (None, L.LightningModule.train_dataloader):
        raise InputError(
            f"module._target_={cfg.module._target_}: it has loaders of its own, which are not used; name the "
            "LightningDataModule that returns them: data._target_="
        )


def build_data(cfg: DictConfig, streams: Streams, device: torch.device) -> Any:
    """The config's data. Those of the project take the streams; those of others draw from them without knowing."""
    if not is_foreign(cfg, "data"):
        # Objects are passed after instantiate, which would convert dataclasses among them into configs.
        return instantiate(cfg.data, _partial_=True)(streams=streams, device=device)
    with seeded(streams.split):
        data = build_object(cfg, "data", _convert_="all")
    if not isinstance(data, L.LightningDataModule):
        raise InputError(f"data._target_={cfg.data._target_}: a {type(data).__name__}, not a LightningDataModule")
    return seed_hooks(data, streams)


def _build_module(cfg: DictConfig, streams: Streams) -> L.LightningModule:
    """A module that is not the project's, as it is."""
    with seeded(streams.init):
        module = build_object(cfg, "module", _convert_="all")
    if not isinstance(module, L.LightningModule):
        raise InputError(f"module._target_={cfg.module._target_}: a {type(module).__name__}, not a LightningModule")
    if cfg.examples.probabilities and not hasattr(module, "example_results"):
        raise InputError(
            f"examples.probabilities={cfg.examples.probabilities}: {type(module).__name__} has no method "
            "example_results that returns them; add it, or set null"
        )
    return seed_hooks(module, streams)


def _build_classifier(cfg: DictConfig, data: Any, streams: Streams, device: torch.device) -> Classifier:
    sizes = {key: getattr(data, key) for key in ("classes", "features") if key in cfg.model and hasattr(data, key)}
    for key, found in sizes.items():
        if cfg.model[key] not in (None, found):
            raise InputError(f"model.{key}={cfg.model[key]}: {cfg.data.get('name', 'the data')} has {found} {key}")
    with draw_from(streams.init):
        model = build_object(cfg, "model", **sizes)
    model = model.to(device=device, memory_format=hardware.MEMORY_FORMATS[cfg.memory_format])
    if cfg.compile is not None or cfg.get("capture"):
        model = reuse_network(model, cfg)
    parts = instantiate(cfg.loss), build_optimizer(cfg), instantiate(cfg.schedule)
    return Classifier(model, *parts, keeps_probabilities=bool(cfg.examples.probabilities))


def describe_source(cfg: DictConfig) -> str | None:
    """Where the config's data lie, as an absolute path; None where it names no place."""
    source = cfg.data.get("source")
    return None if source is None else str(Path(str(source)).expanduser().resolve())


def check_recorded_data(cfg: DictConfig, study: Study, record: Record) -> None:
    """Raise InputError where the data that an opened study's config names now are not those of its `record`.

    They are read only where the config names a place that is not the one of the record, or that changed since. Features
    of a frozen backbone could take hours: there a line says what is not checked.
    """
    if (source := describe_source(cfg)) is None or is_foreign(cfg, "data"):
        return
    if source == record.data_source:
        try:
            changed = Path(source).stat().st_mtime > datetime.fromisoformat(record.ended).timestamp()
        except OSError:
            return  # the data are gone; the record answers
        if not changed:
            return
    if cfg.data.get("backbone") is not None:
        print(f"{study.name} was trained on data.source={record.data_source}; {source} is not compared with it")
        return
    streams, device = Streams.of(record.seed), hardware.select_device(cfg.trainer.accelerator)
    study.check_data(instantiate(cfg.data, _partial_=True)(streams=streams, device=device).pictures.fingerprint)


def prepare_study(cfg: DictConfig) -> None:
    """Extract what all seeds of a study share, the features of a frozen backbone, before workers start."""
    cfg, _ = open_study(cfg)
    hardware.keep_memory()
    hardware.map_constants()
    hardware.make_repeatable(cfg.trainer.accelerator, cfg.threads, cfg.trainer.deterministic)
    device = hardware.select_device(cfg.trainer.accelerator)
    instantiate(cfg.data, _partial_=True)(streams=Streams.of(0), device=device)


def check_buildable(cfg: DictConfig) -> None:
    """Build a seed in a temporary folder; raises what its config raises."""
    cfg = cfg.copy()
    with TemporaryDirectory() as scratch:
        cfg.results = scratch
        module, *_ = build_run(*open_study(cfg), 0)
        if isinstance(module, Classifier):
            module.optimizer(module.model.parameters())


def build_optimizer(cfg: DictConfig) -> Any:
    """The config's optimizer, a function of parameters; SGD is fused or foreach unless the config sets either.

    On a GPU fused, except with gradient clipping, which Lightning does not combine with it. On a CPU foreach: fused is
    about as fast there and rounds the last few elements of a tensor differently, so that a head in a stack would not
    have the bits that it has alone. The function raises InputError for settings that the optimizer does not take.
    """
    optimizer, implementation = instantiate(cfg.optimizer), {}
    if cfg.optimizer._target_ == "torch.optim.SGD" and not {"fused", "foreach"} & set(cfg.optimizer):
        fused = cfg.trainer.accelerator == "gpu" and not cfg.trainer.gradient_clip_val
        implementation = {"fused" if fused else "foreach": True}

    def build(parameters: Iterable[torch.nn.Parameter]) -> torch.optim.Optimizer:
        try:
            return optimizer(parameters, **implementation)
        except (TypeError, ValueError) as error:
            raise InputError(
                f"optimizer._target_={cfg.optimizer._target_}: {error}.\n"
                "Correct the value, or remove a setting that this optimizer does not have: '~optimizer.NAME'"
            ) from error

    return build


def describe_run(cfg: DictConfig, study: Study, seed: int) -> Header:
    """The header of a seed's record: what is known before it trains."""
    streams = Streams.of(seed, **cfg.streams)
    return {
        "seed": seed,
        "streams": streams.seeds(),
        "study": study.name,
        "config_digest": study.digest,
        "command": reproduction_command(seed),
        "precision": str(cfg.trainer.precision),
        "environment": {
            **describe_machine(hardware.select_device(cfg.trainer.accelerator)),
            "accelerator": cfg.trainer.accelerator,
            "threads": torch.get_num_threads(),
            "memory_format": cfg.memory_format,
            "deterministic": cfg.trainer.deterministic,
            "keeps_memory": hardware.keep_memory(),
        },
    }


def silence_libraries() -> None:
    """Silence what Lightning prints on every fit: devices found, tips, its own deprecations."""
    for name in ("lightning.pytorch", "lightning.fabric", "lightning.fabric.utilities.distributed"):
        logging.getLogger(name).setLevel(logging.WARNING)
    logging.getLogger("hydra.utils").setLevel(logging.CRITICAL)  # repeats the exception
    warnings.filterwarnings("ignore", message=".*LeafSpec.* is deprecated")
    warnings.filterwarnings("ignore", message=".*callbacks used to create the checkpoint need to be provided")
    warnings.filterwarnings("ignore", message="GPU available but not used")
    warnings.filterwarnings("ignore", message="The number of training batches .* is smaller than the logging interval")
    warnings.filterwarnings("ignore", message="It is recommended to use .*sync_dist=True")  # each rank scores all
    warnings.filterwarnings("ignore", message="Grad strides do not match bucket view strides")
    warnings.filterwarnings("ignore", message=".*functional.all_gather is deprecated")
    warnings.filterwarnings("ignore", message=".*does not have many workers which may be a bottleneck")
    warnings.filterwarnings("ignore", message="The `srun` command is available")
