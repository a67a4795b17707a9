"""A sweep, `train -m`: one config per study, chunks of seeds that have no record yet, any Hydra launcher.

Hydra's own sweeper composes the config of every job before the first starts, and again to run it. This one hands a
launcher (joblib on this machine, Ray, Slurm through submitit) a few jobs of many seeds each; a worker composes the
config once per job and writes a record per seed. `-m hydra/sweeper=basic` gives Hydra's own.
"""

import itertools
import logging
import shlex
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override
from hydra.core.plugins import Plugins
from hydra.core.utils import JobStatus
from hydra.errors import HydraException
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig, OmegaConf, open_dict

from seedspread.config.check import check_config
from seedspread.config.errors import InputError
from seedspread.config.explain import explain_error
from seedspread.config.overrides import TRAIN, format_seeds, name_study, parse_seeds, shorten_seeds
from seedspread.config.resolve import count_workers, trains_in_stacks
from seedspread.config.schema import SCHEMAS
from seedspread.execution.failures import DEATHS, record_dead_worker
from seedspread.execution.local import request_huge_pages
from seedspread.execution.monitor import ScorePoints, SweepMonitor
from seedspread.execution.plan import balanced_chunks, equal_chunks, find_missing_seeds
from seedspread.execution.ray import check_ray
from seedspread.execution.signals import handle_interrupts, watch_parent
from seedspread.records.claims import read_claims, release_seeds, start_sweep, stop_reason
from seedspread.records.files import check_writable
from seedspread.records.progress import Progress, summarise_study
from seedspread.records.study import Study, study_folder

if TYPE_CHECKING:
    from seedspread.report.findings import Findings

JOBLIB = "hydra_plugins.hydra_joblib_launcher.joblib_launcher.JoblibLauncher"
BASIC = "hydra._internal.core_plugins.basic_launcher.BasicLauncher"
AGAIN = "the same command trains them"
RAY = "hydra_plugins.hydra_ray_launcher.ray_launcher.RayLauncher"


class SeedSweep:
    """A sweep over `seed=...` within each combination of the other swept keys, one study each."""

    def __init__(self, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        self.hydra_context, self.task_function, self.config = hydra_context, task_function, config

    def run(self, arguments: list[str]) -> list[str]:
        """Train what is missing; return the names of the studies. Raises InputError where seeds failed."""
        overrides = OverridesParser.create(self.hydra_context.config_loader).parse_overrides(arguments)
        if given := [o.input_line for o in overrides if o.key_or_group == "seeds"]:
            raise InputError(f"{given[0]}: the sweeper sets seeds; name yours with seed=, for example seed=5,6")
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
            plans = [
                self._plan([*fixed, *held], combination, parse_seeds(streams[0]), suffix)
                for combination in combinations
                for suffix, held in _hold_other_streams(streams[0].key_or_group, names, fixed, seeds)
            ]
        else:
            plans = [self._plan(fixed, combination, seeds) for combination in combinations]
        failures, several = [], []
        for plan in plans:
            failure, found = self._train_study(*plan)
            failures += [failure] if failure else []
            several += [found] if found else []
        if len(several) > 1:
            from seedspread.report.study_page import write_side_by_side  # noqa: PLC0415 - matplotlib

            with _report_failure():
                print(f"report in {write_side_by_side(several)}", flush=True)
        if failures:
            raise InputError("\n".join(failures))
        return [str(plan[0].study) for plan in plans]

    def _plan(
        self, fixed: list[str], combination: tuple[tuple[str, str], ...], seeds: list[int], suffix: str = ""
    ) -> tuple[DictConfig, list[str], list[int]]:
        """Config, overrides and seeds of one study, checked before anything is trained."""
        overrides = [*fixed, *(f"{key}={value}" for key, value in combination)]
        cfg = self.hydra_context.config_loader.load_sweep_config(self.config, overrides)
        if combination or suffix:
            name = name_study(cfg.study, combination) + suffix
            overrides = [*(o for o in overrides if not o.startswith("study=")), f"study={name}"]
            with open_dict(cfg):
                cfg.study = name
        check_config(cfg, SCHEMAS[cfg.hydra.job.config_name])
        if cfg.ckpt_path is not None and len(seeds) > 1:
            raise InputError(f"ckpt_path={cfg.ckpt_path}: a checkpoint belongs to one seed; resume it without -m")
        check_ray(cfg.hydra.launcher)
        check_writable(study_folder(cfg.results, cfg.study))
        return cfg, overrides, seeds

    def _train_study(
        self, cfg: DictConfig, overrides: list[str], seeds: list[int]
    ) -> "tuple[str | None, Findings | None]":
        """Train what is missing of one study and sum it up; return what went wrong, and the numbers of its report."""
        folder = study_folder(cfg.results, cfg.study)
        before, todo = find_missing_seeds(folder, seeds, cfg.overwrite)
        if len(todo) < len(seeds):
            print(
                f"{cfg.study}: {len(seeds) - len(todo)} of {len(seeds)} seeds have their records, {len(todo)} to train"
            )
        job = OmegaConf.masked_copy(cfg, [str(key) for key in cfg if key != "hydra"])
        if not todo:  # nothing starts a worker, which would check the config and the data
            from seedspread.training.build import check_recorded_data, open_study

            resolved, study = open_study(job)
            if record := study.record(seeds[0]):
                check_recorded_data(resolved, study, record)
        elif cfg.get("backbone") is not None and cfg.hydra.launcher._target_ in (JOBLIB, BASIC):
            from seedspread.training.build import prepare_study

            prepare_study(job)  # once, with a progress bar; on a cluster the first worker does it and the others wait
        deaths: Counter[int] = Counter()
        start_sweep(folder, format_seeds(seeds))
        with SweepMonitor(folder, todo, before, _points(folder) if cfg.report else None) as watch, handle_interrupts():
            while todo:
                recorded = watch.new_records
                died = self._launch(cfg, overrides, todo)
                todo = watch.missing()
                if died is None:  # a job that lost its node may end without an error and without all its seeds
                    if watch.new_records == recorded or stop_reason(folder):
                        break
                    continue
                blamed = [seed for seed in read_claims(folder).abandoned if seed in todo]
                if not blamed and watch.new_records == recorded:
                    raise InputError(f"no worker trained a seed: {type(died).__name__}: {' '.join(str(died).split())}")
                deaths.update(blamed)
                release_seeds(folder, blamed)
                for seed in [seed for seed in todo if deaths[seed] >= DEATHS]:
                    record_dead_worker(Study.load(folder), seed, died)
                    todo.remove(seed)
        study = Study.load(folder)
        print("\n" + summarise_study(study), flush=True)
        found = None
        if cfg.report:
            from seedspread.report.study_page import write_report  # noqa: PLC0415 - matplotlib

            with _report_failure():
                page, found = write_report(Study.load(folder))
                print(f"report in {page}", flush=True)
        if stopped := stop_reason(folder):
            return f"{cfg.study} stopped: {stopped}\nFix the cause and run the same command again.", found
        failed = [seed for seed in Progress.of(study.scan().records.values()).failed if seed in set(seeds)]
        if failed:
            return f"{cfg.study}: {len(failed)} of {len(seeds)} seeds failed; the same command tries them again", found
        if left := [seed for seed in seeds if not study.is_done(seed)]:
            return (
                f"{cfg.study}: {len(left)} of {len(seeds)} seeds have no record (seed {shorten_seeds(left)}); {AGAIN}",
                found,
            )
        for line in suggest_commands(study, overrides, len(seeds)):
            print(line, flush=True)
        return None, found

    def _launch(self, cfg: DictConfig, overrides: list[str], todo: list[int]) -> Exception | None:
        """Hand `todo` to the launcher in chunks and wait; return what killed a worker, if something did."""
        config, here = self.config.copy(), cfg.hydra.launcher._target_ in (JOBLIB, BASIC)
        processes = count_workers(cfg) if cfg.hydra.launcher._target_ == JOBLIB else 1
        if cfg.seeds_per_job != "auto":
            chunks = equal_chunks(todo, cfg.seeds_per_job)
        elif here and trains_in_stacks(cfg):
            chunks = equal_chunks(todo, -(-len(todo) // processes))
        elif here:
            chunks = balanced_chunks(todo, processes)
        else:
            chunks = equal_chunks(todo, 50)
        with open_dict(config):
            config.hydra.launcher = cfg.hydra.launcher
            config.hydra.sweep.dir = str(study_folder(cfg.results, cfg.study))
            if cfg.hydra.launcher._target_ == JOBLIB and processes == 1:
                config.hydra.launcher = {"_target_": BASIC}
            elif cfg.hydra.launcher._target_ == JOBLIB:
                # At least 2: with 1 joblib trains in this process, which a seed that runs out of memory would kill.
                config.hydra.launcher.n_jobs = max(2, min(processes, len(chunks)))
            elif cfg.hydra.launcher._target_ == RAY:
                # The launcher's own default for the store is refused by a cluster that runs already.
                quiet = {"object_store_memory": None, "log_to_driver": False, "logging_level": logging.WARNING}
                config.hydra.launcher.ray.init = {**quiet, **config.hydra.launcher.ray.init}
        launcher = Plugins.instance().instantiate_launcher(
            hydra_context=self.hydra_context, task_function=self.task_function, config=config
        )
        request_huge_pages()
        watch_parent()
        jobs = [[*overrides, f"seeds='{format_seeds(chunk)}'"] for chunk in chunks]
        try:
            returned = launcher.launch(jobs, initial_job_idx=0)
        except (InputError, HydraException):
            raise
        except Exception as error:
            return error
        for job in returned:
            if job.status == JobStatus.FAILED:
                raise job._return_value
        return None


def _points(folder: Path) -> Callable[[], ScorePoints]:
    def open_points() -> ScorePoints:
        from seedspread.report.tensorboard import RunningBands  # noqa: PLC0415 - TensorBoard takes a second

        return RunningBands(folder)

    return open_points


@contextmanager
def _report_failure() -> Iterator[None]:
    """Say why a report cannot be made within the block; the records are safe, and the sweep continues."""
    try:
        yield
    except Exception as error:
        print(f"no report: {explain_error(error)}", flush=True)


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


def suggest_commands(study: Study, overrides: Sequence[str], asked: int) -> Iterator[str]:
    """What to type after a sweep that has a score: more seeds, and the best seed again."""
    progress = Progress.of(study.scan().records.values())
    if not progress.scores:
        return
    others = [override for override in overrides if not override.startswith(("seed=", "overwrite="))]
    more = shlex.join([*TRAIN, "-m", f"seed=range(0,{10 * max(2, asked)})", *others])
    yield f"next: {more}   # adds seeds; recorded ones are kept"
    best = max(progress.scores, key=progress.scores.__getitem__)
    again = shlex.join([*TRAIN, f"seed={best}", *others, "overwrite=true"])
    yield f"      {again}   # the best seed once more: the same bits"
