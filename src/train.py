"""Train a seed and record it: `python -m src.train seed=3 experiment=digits`; several: `-m 'seed=range(0,20)'`."""

import inspect
import logging
import shlex
import time
import warnings
from pathlib import Path
from typing import Any

import hydra
import torch
from hydra.core.hydra_config import HydraConfig
from hydra.utils import get_method, instantiate
from omegaconf import DictConfig, OmegaConf, open_dict

from src import hardware
from src.callbacks.seed_record import SeedRecord
from src.classifier import Classifier
from src.command_line import plain_errors, run
from src.environment import machine
from src.errors import InputError
from src.models.resnet9 import ResNet9
from src.seeding import Streams, checked_seed, drawing_from, seed_global_generators
from src.study.store import Record, Study

CONF = str(Path(__file__).resolve().parent.parent / "conf")

# What does not change a result: where things lie, how a run is shown, and the seed itself.
NOT_IN_IDENTITY = ("seed", "study", "results", "overwrite", "logger", "metric", "ckpt_path")
NOT_IN_DATA_IDENTITY = ("source", "cache")
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
        cfg.memory_format = hardware.memory_format(cfg.memory_format, cfg.trainer.precision)
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
    for key in NOT_IN_DATA_IDENTITY:
        config["data"].pop(key, None)
    for key in NOT_IN_TRAINER_IDENTITY:
        config["trainer"].pop(key, None)
    config["callbacks"] = {k: v for k, v in (config.get("callbacks") or {}).items() if k != "epoch_lines"}
    return config


def command_for(seed: int) -> str | None:
    """The command that trains `seed` as this run does; None outside a Hydra command."""
    if not HydraConfig.initialized():
        return None
    overrides = [
        o for o in HydraConfig.get().overrides.task if o.split("=")[0] not in ("seed", "overwrite", "ckpt_path")
    ]
    return shlex.join(["python", "-m", "src.train", f"seed={seed}", *overrides])


def train(cfg: DictConfig) -> Record:
    """Train the seed that `cfg` names and return its record; a seed already recorded is returned as found.

    Raises InputError for settings that cannot be, and where the study belongs to another config.
    """
    started = time.perf_counter()
    seed = checked_seed(cfg.seed)
    streams = Streams.of(seed, **cfg.streams)
    cfg = settled(cfg)
    if not cfg.study or Path(cfg.study).name != cfg.study:
        raise InputError(f"study={cfg.study}: a study is the name of one folder in {cfg.results}")
    if not isinstance(cfg.trainer.max_epochs, int) or cfg.trainer.max_epochs < 1:
        raise InputError(f"trainer.max_epochs={cfg.trainer.max_epochs}: at least 1")
    if cfg.ckpt_path and not Path(cfg.ckpt_path).is_file():
        raise InputError(f"ckpt_path={cfg.ckpt_path}: no such file")
    study = Study.open(Path(cfg.results) / cfg.study, identity(cfg))
    found = study.record(seed)
    if found is not None and found["status"] != "failed" and not cfg.overwrite:
        print(f"{told(found)}  recorded before: overwrite=true trains it again", flush=True)
        return found
    if problem := study.problem(seed):
        print(f"{study.record_path(seed)}: {problem}; it is put into damaged/ and seed {seed} trained again")

    hardware.keep_memory()
    hardware.make_repeatable(cfg.trainer.accelerator, cfg.threads)
    seed_global_generators(seed)
    device = hardware.device(cfg.trainer.accelerator)
    # Objects go in after Hydra is done: given to instantiate, dataclasses among them would become configs.
    data = instantiate(cfg.data, _partial_=True)(streams=streams, device=device)
    study.check_data(data.pictures.fingerprint)
    classes = {"classes": data.classes} if "classes" in cfg.model and cfg.model.classes is None else {}
    with drawing_from(streams.init):
        model = instantiate(cfg.model, **classes)
    model = model.to(device=device, memory_format=hardware.MEMORY_FORMATS[cfg.memory_format])
    classifier = Classifier(model, instantiate(cfg.loss), instantiate(cfg.optimizer), instantiate(cfg.schedule))
    header = {
        "seed": seed,
        "streams": streams.seeds(),
        "study": study.name,
        "config_digest": study.digest,
        "data_sha256": data.pictures.fingerprint,
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
    recorder = SeedRecord(study, header, started)
    callbacks = [recorder, *(instantiate(callback) for callback in (cfg.callbacks or {}).values())]
    trainer = instantiate(cfg.trainer, _partial_=True)(logger=instantiate(cfg.logger) or False, callbacks=callbacks)
    trainer.fit(classifier, datamodule=data, ckpt_path=cfg.ckpt_path)
    assert recorder.record is not None
    print(told(recorder.record), flush=True)
    return recorder.record


def told(record: Record) -> str:
    """A record in one line: seed, accuracy in percent, seconds."""
    result = record["reason"]
    if record["status"] == "finished":
        result = f"{100 * record['metrics']['final']['val/acc']:6.2f} %"
    return f"seed {record['seed']:>4}  {result}  {sum(record['seconds'].values()):7.1f} s"


def _quieten() -> None:
    """Keep what Lightning says on every fit (devices found, tips, its own deprecations) out of a sweep's lines."""
    for name in ("lightning.pytorch", "lightning.fabric"):
        logging.getLogger(name).setLevel(logging.WARNING)
    logging.getLogger("hydra.utils").setLevel(logging.CRITICAL)  # says what the exception says again
    warnings.filterwarnings("ignore", message=".*LeafSpec.* is deprecated")
    warnings.filterwarnings("ignore", message="GPU available but not used")


@hydra.main(version_base="1.3", config_path=CONF, config_name="train")
def main(cfg: DictConfig) -> float | None:
    """Train one seed and return its `cfg.metric`, for sweepers that optimise."""
    _quieten()
    with plain_errors():
        return train(cfg)["metrics"]["final"][cfg.metric]


if __name__ == "__main__":
    run(main)
