"""A sweep, `train -m`: one config per study, and the seeds that have no record yet, one at a time to each free worker.

Hydra's own sweeper composes the config of every job before the first starts, and again to run it. This one composes
the config of a study once, and hands its seeds to an executor: processes of this machine, Ray or Slurm.
`-m hydra/sweeper=basic` gives Hydra's own.
"""

import itertools
import pickle
import shlex
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override
from hydra.types import HydraContext
from omegaconf import DictConfig, open_dict

from seedspread.config.check import check_config
from seedspread.config.errors import InputError
from seedspread.config.explain import LAUNCHERS, explain_error, explain_launcher
from seedspread.config.overrides import (
    format_seeds,
    format_value,
    name_study,
    parse_seeds,
    results_override,
    shorten_seeds,
    wider_range,
)
from seedspread.config.resolve import check_butterfly, count_workers, is_local
from seedspread.config.schema import Train
from seedspread.execution.executors import TRAINING, start_executor
from seedspread.execution.leases import discard_unused
from seedspread.execution.monitor import ScorePoints, SweepMonitor
from seedspread.execution.plan import SeedQueue, SweepPlan, find_missing_seeds
from seedspread.execution.scheduler import call, run_plan
from seedspread.execution.signals import handle_interrupts, say
from seedspread.execution.task import Executor, Task
from seedspread.records.files import check_writable
from seedspread.records.progress import Progress, summarise_study
from seedspread.records.record import Status
from seedspread.records.requests import request_seeds, stop_reason
from seedspread.records.study import Scan, Study, study_folder

if TYPE_CHECKING:
    from seedspread.report.findings import Findings


@dataclass(frozen=True)
class StudySweep:
    """The config of one study, and the seeds asked for."""

    cfg: DictConfig
    seeds: list[int]
    swept: str = "seed"  # or the stream that they are seeds of

    @property
    def folder(self) -> Path:
        return study_folder(self.cfg.results, self.cfg.study)

    def check(self) -> None:
        """Raise InputError for settings that cannot be, before anything is trained."""
        check_config(self.cfg, Train)
        check_butterfly(self.cfg)
        if self.cfg.ckpt_path is not None and len(self.seeds) > 1:
            raise InputError(f"ckpt_path={self.cfg.ckpt_path}: a checkpoint belongs to one seed; resume it without -m")


class SeedSweep:
    """A sweep over `seed=...` within each combination of the other swept keys, one study each."""

    def __init__(self, hydra_context: HydraContext, config: DictConfig) -> None:
        self.hydra_context, self.config = hydra_context, config

    def run(self, arguments: list[str]) -> list[str]:
        """Train what is missing; return the names of the studies. Raises InputError where seeds failed."""
        if (name := self.config.hydra.job.config_name) != "train":
            raise InputError(f"-m: seedspread {name} chooses the runs that it starts; leave -m out")
        if launcher := LAUNCHERS.get(self.config.hydra.runtime.choices.get("hydra/launcher")):
            raise InputError(explain_launcher(launcher))
        overrides = OverridesParser.create(self.hydra_context.config_loader).parse_overrides(arguments)
        seeds = next((parse_seeds(o) for o in reversed(overrides) if o.key_or_group == "seed"), [0])
        rest = [o for o in overrides if o.key_or_group != "seed"]
        swept = [o for o in rest if o.is_sweep_override()]
        fixed = [o.input_line or "" for o in rest if not o.is_sweep_override()]
        streams = [o for o in swept if o.key_or_group.startswith("streams.")]
        if len(streams) > 1:
            raise InputError(
                f"{streams[1].input_line}: one stream at a time; hold the others, for example streams.init=0"
            )
        combinations = list(dict.fromkeys(itertools.product(*(_choices(o) for o in swept if o not in streams))))
        if streams:
            names = [f"streams.{name}" for name in self.config.streams]
            sweeps = [
                self._compose([*fixed, *held], combination, parse_seeds(streams[0]), streams[0].key_or_group, suffix)
                for combination in combinations
                for suffix, held in _hold_other_streams(streams[0].key_or_group, names, fixed, seeds)
            ]
        else:
            sweeps = [self._compose(fixed, combination, seeds) for combination in combinations]
        train_studies(sweeps)
        return [str(sweep.cfg.study) for sweep in sweeps]

    def _compose(
        self,
        fixed: list[str],
        combination: tuple[tuple[str, str], ...],
        seeds: list[int],
        swept: str = "seed",
        suffix: str = "",
    ) -> StudySweep:
        """The sweep of one study, checked."""
        overrides = [*fixed, *(f"{key}={value}" for key, value in combination)]
        cfg = self.hydra_context.config_loader.load_sweep_config(self.config, overrides)
        if combination or suffix:
            name = name_study(cfg.study, combination) + suffix
            overrides = [*(o for o in overrides if not o.startswith("study=")), f"study={format_value(name)}"]
            with open_dict(cfg):
                cfg.study = name
                cfg.hydra.overrides.task = overrides
        sweep = StudySweep(cfg, seeds, swept)
        sweep.check()
        return sweep


def train_studies(sweeps: Sequence[StudySweep], quiet: bool = False) -> None:
    """Train what is missing of several studies, one after another, and sum each up; `quiet`: in one line, unreported.

    The studies share the workers of the first. Raises InputError that says which seeds failed or are missing.
    """
    failures: list[str] = []
    several: list[Findings] = []
    with ExitStack() as made, handle_interrupts():
        for sweep in sweeps:
            made.enter_context(discard_unused(sweep.folder))
            check_writable(sweep.folder)
        executor = made.enter_context(start_executor(sweeps[0].cfg, *count_workers(sweeps[0].cfg)))
        for sweep in sweeps:
            _train_missing(sweep, executor, quiet)
            study = Study.load(sweep.folder)
            scan = study.scan()
            if failure := find_failure(sweep.folder, sweep.seeds, scan):
                failures.append(failure)
            progress = Progress.of(scan.records.values(), study.metric)
            if quiet:
                say(f"{study.name}: {progress.describe()}")
                continue
            say("\n" + summarise_study(study, scan))
            if sweep.cfg.report:
                several += report_study(study)
            if not failure and sweep is sweeps[-1]:
                for line in suggest_commands(sweep, progress):
                    say(line)
    if len(several) > 1:
        from seedspread.report.study_page import write_side_by_side  # noqa: PLC0415 - matplotlib

        with _report_failure():
            say(f"report in {write_side_by_side(several)}")
    if failures:
        raise InputError("\n".join(failures))


def _train_missing(sweep: StudySweep, executor: Executor, quiet: bool) -> None:
    """Train what is missing of one study."""
    cfg, seeds, folder = sweep.cfg, sweep.seeds, sweep.folder
    before, todo = find_missing_seeds(folder, seeds, cfg.overwrite)
    if len(todo) == len(seeds) and not quiet:  # the imports of workers take seconds
        at_once = min(len(todo), executor.workers)
        say(f"{cfg.study}: {len(todo)} {'seed' if len(todo) == 1 else 'seeds'} to train, {at_once} at once")
    config = pickle.dumps(cfg)
    if todo or is_local(cfg):  # a job of a cluster only to check what is recorded could wait for hours
        check = Task(f"{TRAINING}:prepare", (config, None if todo else seeds[0]), f"{cfg.study}, before its first seed")
        [stack] = call(executor, [check])
    if len(todo) < len(seeds):  # said after the check: they may be of another config
        say(f"{cfg.study}: {len(seeds) - len(todo)} of {len(seeds)} seeds have their records, {len(todo)} to train")
    request_seeds(folder, format_seeds(seeds))
    if todo:
        queue = SeedQueue(f"{TRAINING}:train_job", config, folder, todo, uuid.uuid4().hex, 60 * cfg.lease_minutes)
        points = open_points(folder) if cfg.report else None
        with SweepMonitor(folder, todo, before, points, quiet, cfg.overwrite) as monitor:
            noun = "seeds" if stack == 1 else "stacks of seeds"
            run_plan(SweepPlan(queue, monitor, stack, executor.workers), executor, cfg.fail_fast, noun)


def find_failure(folder: Path, seeds: Sequence[int], scan: Scan) -> str | None:
    """What went wrong with a study: it was stopped, seeds failed, or seeds have no record."""
    name = folder.name
    if stopped := stop_reason(folder):
        return f"{name} stopped: {stopped}\nFix the cause and run the same command again."
    if left := [seed for seed in seeds if seed not in scan.records]:
        missing = f"{len(left)} of {len(seeds)} seeds have no record (seed {shorten_seeds(left)})"
        return f"{name}: {missing}; the same command trains them"
    if failed := [seed for seed in seeds if scan.records[seed].status == Status.FAILED]:
        return f"{name}: {len(failed)} of {len(seeds)} seeds failed; the same command tries them again"
    return None


def report_study(study: Study) -> "list[Findings]":
    """Write the report of a study; its findings, unless there are none."""
    from seedspread.report.study_page import write_report  # noqa: PLC0415 - matplotlib

    with _report_failure():
        page, found = write_report(study)
        say(f"report in {page}")
        return [found]
    return []


def open_points(folder: Path) -> Callable[[], ScorePoints]:
    """What a monitor opens once there are scores to show in TensorBoard."""

    def open_bands() -> ScorePoints:
        from seedspread.report.tensorboard import RunningBands  # noqa: PLC0415 - TensorBoard takes a second

        return RunningBands(folder)

    return open_bands


@contextmanager
def _report_failure() -> Iterator[None]:
    """Say why a report cannot be made within the block; the records are safe, and the sweep continues."""
    try:
        yield
    except Exception as error:
        say(f"no report: {explain_error(error)}")


def _hold_other_streams(
    swept: str, streams: Sequence[str], fixed: Sequence[str], seeds: Sequence[int]
) -> Iterator[tuple[str, list[str]]]:
    """For each of `seeds` a study that sweeps one stream: the suffix of its name, and overrides that hold the others.

    The swept values become the seeds of the study, which number its records; the other streams keep the value given
    here.
    """
    given = {override.lstrip("+").split("=")[0] for override in fixed}
    others = [name for name in streams if name != swept]
    for seed in seeds:
        suffix = f"-{swept.removeprefix('streams.')}" + (f"-seed{seed}" if seed else "")
        yield suffix, [f"{name}={seed}" for name in others if name not in given]


def _choices(override: Override) -> list[tuple[str, str]]:
    if not override.is_discrete_sweep():
        raise InputError(f"{override.input_line}: name the values, for example {override.key_or_group}=1,2")
    values = list(override.sweep_string_iterator())
    if not values:
        raise InputError(f"{override.input_line}: no values; a range runs up to but without its end")
    return [(override.get_key_element(), value) for value in values]


def suggest_commands(sweep: StudySweep, progress: Progress) -> Iterator[str]:
    """What to type after a sweep that has a score: more seeds, and the best seed again."""
    if not progress.scores:
        return
    yield f"next: the same command with '{sweep.swept}={wider_range(sweep.seeds)}' adds seeds"
    best = max(progress.scores, key=lambda seed: progress.metric.sign * progress.scores[seed])
    study = f"study={format_value(str(sweep.cfg.study))}"
    again = shlex.join(["seedspread", "reproduce", study, f"seed={best}", *results_override(sweep.cfg.results)])
    yield f"      {again}   # the best seed once more: the same bits"
