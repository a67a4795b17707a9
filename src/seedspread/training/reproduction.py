"""Train recorded seeds again and compare bit for bit: `seedspread reproduce study=digits seed=3`, or `n=5`."""

import shutil
import tempfile
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from hydra import compose
from omegaconf import DictConfig, OmegaConf, open_dict

from seedspread.config.errors import InputError
from seedspread.config.identity import find_differences, flatten, list_non_identity_keys, restore_config, study_identity
from seedspread.config.overrides import override_key, quote_letters, split_command
from seedspread.config.schema import is_foreign
from seedspread.records.digits import Digits
from seedspread.records.examples import DAMAGED
from seedspread.records.metric import ACCURACY, Metric
from seedspread.records.record import Record, Status
from seedspread.records.study import Study


@dataclass(frozen=True)
class Reproduction:
    """What differs between two records of one seed, empty where they are identical, and the likely reasons.

    `compared` is the number of metrics, `hashes` are those that both records have.
    """

    differing: list[str]
    reasons: list[str]
    compared: int
    hashes: Sequence[str] = ("weights", "predictions")

    def describe(self, seed: int) -> str:
        """One line, and where something differs a second one with the reasons."""
        if not self.differing:
            *others, last = *self.hashes, f"all {self.compared} metrics"
            return f"seed {seed}: identical: {', '.join(others)}{' and ' if others else ''}{last}"
        why = "; ".join(self.reasons) or "the records show no cause; look for a nondeterministic operation"
        return f"seed {seed}: DIFFERENT: {'; '.join(self.differing)}\n  likely: {why}"


def compare_records(before: Record, now: Record, metric: Metric = ACCURACY) -> Reproduction:
    """Compare the results of two trainings of one seed, and the machines and code that they ran on."""
    ours, theirs = _metrics(before), _metrics(now)
    hashed = (
        ("weights", before.weights_sha256, now.weights_sha256),
        ("predictions", before.predictions_sha256, now.predictions_sha256),
    )
    differing = [
        f"{what} {str(old)[:12]}... recorded, {str(new)[:12]}... now" for what, old, new in hashed if old != new
    ]
    hashes = [what for what, old, _ in hashed if old is not None]
    same_network = not differing and "weights" in hashes
    final = f"final.{metric.name}"
    unequal = [key for key in ours.keys() | theirs.keys() if ours.get(key) != theirs.get(key)]
    if final in unequal and final in ours and final in theirs:
        old, new = (float(metric.shown(values[final])) for values in (ours, theirs))
        digits = Digits.of(metric, [old, new])
        differing.insert(0, f"{metric.name} {digits.value(old)} recorded, {digits.value(new)} now")
    if others := sorted(set(unequal) - {final}):
        differing.append(f"{', '.join(others[:4])}{' and others' if len(others) > 4 else ''}")
    if before.status != now.status:
        differing.append(f"{before.status} recorded, {now.status} now")
    compared = sum(len(value) if isinstance(value, list) else 1 for value in ours.values())
    return Reproduction(differing, likely_reasons(before, now, same_network) if differing else [], compared, hashes)


def _metrics(record: Record) -> dict[str, Any]:
    """Curves and final values, under names that do not clash."""
    curves = {f"epochs.{name}": values for name, values in record.curves.items()}
    return {"epochs": record.epochs, **curves, **{f"final.{name}": value for name, value in record.final.items()}}


def likely_reasons(before: Record, now: Record, same_network: bool) -> list[str]:
    """What two records show of data, machine and code that can explain why they differ."""
    if same_network:
        return ["the record was changed after it was written: the network is the same"]
    reasons = []
    if before.data_sha256 != now.data_sha256:
        reasons.append("other data")
    if before.pretrained != now.pretrained:
        reasons.append("other pretrained weights")
    if before.resumed_from_config:
        reasons.append(f"it resumed from a checkpoint of another config ({before.resumed_from})")
    there, here = before.environment, now.environment
    reasons += [f"{key}: {old} recorded, {new} now" for key, old, new in find_differences(there, here)]
    if here.get("git_dirty"):
        reasons.append("uncommitted changes of this code")
    if before.resumed_with:
        reasons.append(f"it was resumed on another machine: {before.resumed_with}")
    if not here.get("deterministic", True):
        reasons.append("trainer.deterministic is off: two runs may differ")
    if before.stacked:
        reasons.append(f"it was trained in one stack with {before.stacked - 1} others")
    return reasons


def recorded_config(study: Study, record: Record, more: Sequence[str] = ()) -> DictConfig:
    """The config that trains a record's seed: the study's, with paths from the record's command and from `more`.

    Raises InputError where `more` sets a key that the study stores: another value would make another study.
    """
    stored = dict(flatten(study.config))
    for override in more:
        key = override_key(override)
        if key in stored or any(known.startswith(f"{key}.") for known in stored):
            raise InputError(f"with=[{override}]: {study.name} stores its own {key}; with= takes paths only")
    words = split_command(record.command) if record.command else []
    not_taken = {*list_non_identity_keys(), "streams"}  # these come from the record and the study
    overrides = [word for word in words if override_key(word).split(".")[0] not in not_taken]
    cfg = OmegaConf.create(restore_config(compose("train", [*overrides, *quote_letters(more)]), study.config))
    weights = OmegaConf.select(cfg, "backbone.checkpoint")
    if weights is not None and not Path(weights).expanduser().is_file():
        key = "backbone.checkpoint"
        raise InputError(f"{key}={weights}: no such file here; say where it is with \"with=['{key}=PATH']\"")
    with open_dict(cfg):
        cfg.seed, cfg.study, cfg.logger, cfg.ckpt_path = record.seed, study.name, None, None
        cfg.metric = study.metric.stored()
        if is_foreign(cfg, "data"):  # of which only typed keys stay: those of the record count as typed
            typed = [*overrides, *more, *(f"+data.{key}" for key in study.config["data"])]
            cfg.hydra = {"overrides": {"task": typed}, "runtime": {"choices": {}}}
    return cfg


def reproduce(study: Study, seed: int, more: Sequence[str] = (), trace: Path | None = None) -> Reproduction:
    """Train a recorded seed again in a temporary folder and compare; its trace goes to `trace`, where one is wanted.

    Raises InputError where the seed has no result to compare with.
    """
    from seedspread.training.build import open_study
    from seedspread.training.run import train_seed

    study.check_trainable()
    before = study.record(seed)
    if before is None:
        raise InputError(f"seed={seed}: {study.folder} has no record of it ({study.problem(seed) or 'never trained'})")
    if before.status == Status.FAILED:
        raise InputError(f"seed={seed}: it failed ({before.reason}); there is no result to compare with")
    with tempfile.TemporaryDirectory() as scratch:
        cfg, kept = recorded_config(study, before, more), {}
        with suppress(*DAMAGED):
            kept = study.examples(seed)
        with open_dict(cfg):
            cfg.results = scratch
            cfg.examples = {"probabilities": "float16" if "probabilities" in kept else None}
            cfg.trainer.default_root_dir = scratch
            cfg.trace = trace is not None
        cfg, again = open_study(cfg)
        now = train_seed(cfg, again, seed)
        if trace is not None:
            shutil.copytree(again.trace_path(seed), trace)
        comparison = compare_records(before, now, study.metric)
        same = before.predictions_sha256 is None
        with suppress(*DAMAGED):
            new = again.examples(seed)
            same = kept.keys() == new.keys() and all(np.array_equal(kept[name], new[name]) for name in kept)
        if not same:
            file = study.examples_path(seed)
            if not comparison.differing:
                comparison.reasons.append(
                    f"{file.name} is missing or was changed after it was written: the network is the same"
                )
            comparison.differing.append(f"the predictions ({file})")
    if comparison.differing:
        changed = find_differences(study.config, study_identity(cfg))
        comparison.reasons[:0] = [f"{key}: {old} recorded, {new} now" for key, old, new in changed]
    return comparison
