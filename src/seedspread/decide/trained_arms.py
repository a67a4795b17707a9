"""Arms that are trained: the study and the config that an arm's text names, and what came of its seeds."""

import math
import pickle
import shlex
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from hydra import compose
from omegaconf import DictConfig

from seedspread.config.check import check_config
from seedspread.config.compose import CONF, find_user_configs
from seedspread.config.errors import InputError
from seedspread.config.identity import list_non_identity_keys
from seedspread.config.overrides import format_value, name_study, override_key, quote_letters, split_command
from seedspread.config.schema import Train
from seedspread.execution.executors import TRAINING
from seedspread.execution.plan import find_missing_seeds
from seedspread.execution.scheduler import call
from seedspread.execution.task import Executor, Task
from seedspread.records.metric import Metric
from seedspread.records.record import Record, Status
from seedspread.records.study import Study, describe_studies, study_folder

OF_A_RUN = ("seed", "seeds", "streams", "study", "overwrite", "ckpt_path", "report")  # and of no arm
OF_A_MACHINE = ("results", "jobs", "executor", "lease_minutes", "fail_fast")


@dataclass
class TrainedArm:
    """A study that is trained seed by seed: its config, and what came of each seed."""

    name: str
    cfg: DictConfig
    folder: Path
    scores: dict[int, float] = field(default_factory=dict)  # in the unit shown; nan where a seed diverged
    seconds: dict[int, float] = field(default_factory=dict)  # of training
    digest: str = ""
    stack: int = 1

    @property
    def metric(self) -> Metric:
        """What its seeds are scored by."""
        known = (self.folder / "study.yaml").exists()
        return Study.load(self.folder).metric if known else Metric.of(**self.cfg.metric)

    def take(self, record: Record) -> None:
        """Take in the record of a seed that finished or diverged."""
        finished = record.status == Status.FINISHED
        self.scores[record.seed] = record.score(self.metric) if finished else math.nan
        if finished:
            self.seconds[record.seed] = record.seconds.get("train", math.nan)

    def prepare(self, executor: Executor, seeds: Sequence[int]) -> None:
        """Open the study, which refuses another config, and take in the seeds that it has; InputError says why not."""
        config = pickle.dumps(self.cfg)
        _, missing = find_missing_seeds(self.folder, seeds)
        payload = (config, None if missing else seeds[0])
        [self.stack] = call(executor, [Task(f"{TRAINING}:prepare", payload, f"{self.name}, before its first seed")])
        study = Study.load(self.folder)
        self.digest = study.digest
        for seed, record in study.scan().records.items():
            if seed in seeds and record.status != Status.FAILED:
                self.take(record)


def compose_arm(results: str, key: str, text: str, shared: Sequence[str]) -> TrainedArm:
    """The study that the `text` of `key` names, and the config that trains it with the overrides that all arms share.

    Overrides name a study as a sweep over them would: digits-smoothing0.
    Raises InputError where there is no such study or experiment, or where the shared ones would change a study.
    """
    identity = [o for o in shared if override_key(o).split(".")[0] not in list_non_identity_keys()]
    if "=" in text:
        own = quote_letters(shlex.split(text))
        if given := [o for o in own if override_key(o) in ("seed", "seeds", "results")]:
            raise InputError(f"{key}={text}: {given[0]} is not for one arm; all train the same seeds, in one folder")
    elif (study_folder(results, text, key) / "study.yaml").exists():
        if identity:
            raise InputError(
                f"{key}={text}: a study keeps its settings, and {identity[0]} is another; name overrides in quotes, "
                f"{key}='experiment=... {identity[0]}'"
            )
        own = [*_recorded_overrides(Study.load(study_folder(results, text))), f"study={format_value(text)}"]
    elif any(Path(place, "experiment", f"{text}.yaml").is_file() for place in (CONF, find_user_configs() or CONF)):
        own = [f"experiment={format_value(text)}"]
    else:
        raise InputError(
            f"{key}={text}: neither a study ({results} has {describe_studies(results)}) nor an experiment; overrides "
            f"stand in quotes: {key}='experiment=digits loss.smoothing=0'"
        )
    overrides = [*shared, *own]
    if "study" not in map(override_key, own):
        others = [o for o in own if override_key(o) != "experiment" and "=" in o]
        swept = [(name, value) for name, value in (o.split("=", 1) for o in others)]
        overrides.append(f"study={format_value(name_study(str(compose('train', overrides).study), swept))}")
    cfg = compose("train", overrides, return_hydra_config=True)
    check_config(cfg, Train)
    return TrainedArm(str(cfg.study), cfg, study_folder(cfg.results, cfg.study))


def _recorded_overrides(study: Study) -> list[str]:
    """What trained a study, by the latest record that says so."""
    study.check_trainable()
    if study.is_imported:
        raise InputError(
            f"{study.folder}: it was imported from logs and cannot be trained; compare it as it is: seedspread compare"
        )
    if study.kind != "config":
        raise InputError(
            f"{study.folder}: its seeds are of a {study.kind}, which this does not run; compare what there is "
            "(seedspread compare), or decide on scores that you add: ss.Decision"
        )
    commands = [record.command for record in study.scan().records.values() if record.command]
    if not commands:
        raise InputError(f"{study.folder}: no record says which command trains it; name its overrides in quotes")
    dropped = ({*OF_A_RUN} - {"streams"}) | {*OF_A_MACHINE}
    return [o for o in split_command(commands[-1]) if override_key(o).split(".")[0] not in dropped]
