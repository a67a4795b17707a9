"""Train recorded seeds again and compare bit for bit: `seedspread reproduce study=digits seed=3`, or `n=5`."""

import shlex
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from hydra import compose
from omegaconf import DictConfig, open_dict

from seedspread.config.errors import InputError
from seedspread.config.identity import (
    NOT_IN_CALLBACKS_IDENTITY,
    NOT_IN_DATA_IDENTITY,
    NOT_IN_IDENTITY,
    NOT_IN_TRAINER_IDENTITY,
    find_differences,
    flatten,
    study_identity,
)
from seedspread.config.streams import STREAMS
from seedspread.records.examples import DAMAGED
from seedspread.records.record import ACCURACY, Record, Status
from seedspread.records.study import Study


@dataclass(frozen=True)
class Reproduction:
    """What differs between two records of one seed, and what may be why; nothing differs where they are identical."""

    differing: list[str]
    reasons: list[str]
    compared: int

    def told(self, seed: int) -> str:
        """In one line, or in one more for the reasons."""
        if not self.differing:
            return f"seed {seed}: identical: weights, predictions and all {self.compared} metrics"
        why = "; ".join(self.reasons) or "nothing known of the two runs differs: look for what is not deterministic"
        return f"seed {seed}: DIFFERENT: {'; '.join(self.differing)}\n  likely: {why}"


def compare_records(before: Record, now: Record) -> Reproduction:
    """Compare what two trainings of one seed gave, and where they ran."""
    ours, theirs = _metrics(before), _metrics(now)
    differing = [
        f"{what} {str(old)[:12]}... recorded, {str(new)[:12]}... now"
        for what, old, new in (
            ("weights", before.weights_sha256, now.weights_sha256),
            ("predictions", before.predictions_sha256, now.predictions_sha256),
        )
        if old != new
    ]
    same_network = not differing
    final = f"final.{ACCURACY.name}"
    odd = [key for key in ours.keys() | theirs.keys() if ours.get(key) != theirs.get(key)]
    if final in odd and final in ours and final in theirs:
        differing.insert(0, f"accuracy {100 * ours[final]:.2f} % recorded, {100 * theirs[final]:.2f} % now")
    if others := sorted(set(odd) - {final}):
        differing.append(f"{', '.join(others[:4])}{' and others' if len(others) > 4 else ''}")
    if before.status != now.status:
        differing.append(f"{before.status} recorded, {now.status} now")
    compared = sum(len(value) if isinstance(value, list) else 1 for value in ours.values())
    return Reproduction(differing, likely_reasons(before, now, same_network) if differing else [], compared)


def _metrics(record: Record) -> dict[str, Any]:
    """Curves and final values, under names that do not clash."""
    curves = {f"epochs.{name}": values for name, values in record.curves.items()}
    return {"epochs": record.epochs, **curves, **{f"final.{name}": value for name, value in record.final.items()}}


def likely_reasons(before: Record, now: Record, same_network: bool) -> list[str]:
    if same_network:
        return ["the record was changed after it was written: the network is the same"]
    reasons = []
    if before.data_sha256 != now.data_sha256:
        reasons.append("other data")
    if before.resumed_from_config:
        reasons.append(f"it resumed from a checkpoint of another config ({before.resumed_from})")
    there, here = before.environment, now.environment
    reasons += [f"{key}: {old} there, {new} here" for key, old, new in find_differences(there, here)]
    if here.get("git_dirty"):
        reasons.append("uncommitted changes of this code")
    if before.resumed_with:
        reasons.append(f"it was resumed elsewhere: {before.resumed_with}")
    if not here.get("deterministic"):
        reasons.append("trainer.deterministic is off: no two runs need be the same")
    if before.stacked:
        reasons.append(f"it was trained in one step with {before.stacked - 1} others")
    return reasons


def recorded_config(study: Study, record: Record, more: Sequence[str] = ()) -> DictConfig:
    """The config that trains a record's seed: what the study stores, and where things lie by its command and `more`.

    Raises InputError where `more` names what the study stores: another value would be another study.
    """
    places = {"data": NOT_IN_DATA_IDENTITY, "trainer": NOT_IN_TRAINER_IDENTITY, "backbone": ("checkpoint",)}
    places["callbacks"] = NOT_IN_CALLBACKS_IDENTITY
    stored = dict(flatten(study.config))
    for override in more:
        key = override.lstrip("+~").split("=")[0]
        if key in stored or any(known.startswith(f"{key}.") for known in stored):
            raise InputError(f"with=[{override}]: {study.name} was trained with a {key} of its own; name only places")
    words = shlex.split(record.command)[3:] if record.command else []
    not_taken = {*NOT_IN_IDENTITY, "streams"}  # those come from the record and the study
    overrides = [word for word in words if word.lstrip("+~").split("=")[0].split(".")[0] not in not_taken]
    cfg = compose("train", [*overrides, *more])
    with open_dict(cfg):
        for key, value in study.config.items():
            here = {name: cfg[key][name] for name in places.get(key, ()) if cfg.get(key) and name in cfg[key]}
            cfg[key] = {**value, **here} if isinstance(value, dict) else value
        cfg.streams = {name: study.config["streams"].get(name) for name in STREAMS}
        cfg.seed, cfg.study, cfg.logger, cfg.ckpt_path = record.seed, study.name, None, None
    return cfg


def reproduce(study: Study, seed: int, more: Sequence[str] = ()) -> Reproduction:
    """Train a recorded seed again, leaving the study as it is; InputError where it has no result to compare with."""
    from seedspread.training.build import open_study
    from seedspread.training.run import train_seed

    study.check_trainable()
    before = study.record(seed)
    if before is None:
        raise InputError(f"seed={seed}: {study.folder} has no record of it ({study.problem(seed) or 'never trained'})")
    if before.status == Status.FAILED:
        raise InputError(f"seed={seed}: it failed ({before.reason}); there is no result to compare with")
    with tempfile.TemporaryDirectory() as scratch:
        cfg = recorded_config(study, before, more)
        with open_dict(cfg):
            cfg.results = scratch
            cfg.trainer.default_root_dir = scratch
        cfg, again = open_study(cfg)
        now = train_seed(cfg, again, seed)
        comparison = compare_records(before, now)
        try:
            same = np.array_equal(study.predictions(seed), again.predictions(seed))
        except DAMAGED:
            same = False
        if not same:
            kept = study.examples_path(seed)
            if not comparison.differing:
                comparison.reasons.append(
                    f"{kept.name} is missing or was changed after it was written: the network is the same"
                )
            comparison.differing.append(f"the predicted labels ({kept})")
    other = [f"{key}: {old} there, {new} here" for key, old, new in find_differences(study.config, study_identity(cfg))]
    if comparison.differing:
        comparison.reasons[:0] = other
    return comparison
