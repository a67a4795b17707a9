"""Run a program once a seed and record it: `seedspread run 'seed=range(0,20)' study=mine -- python train.py {seed}`.

`sweep_script` is what this command and `ss.sweep` share: the missing seeds of a script, a summary, a report.
"""

import re
import shlex
import uuid
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

import hydra
from hydra.core.hydra_config import HydraConfig
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import HydraException
from omegaconf import DictConfig

from seedspread.commands.console import plain_errors
from seedspread.commands.sweep import find_failure, open_points, report_study
from seedspread.config.check import check_config
from seedspread.config.compose import CONF
from seedspread.config.errors import InputError
from seedspread.config.overrides import format_seeds, parse_seeds, results_override, wider_range
from seedspread.config.resolve import count_workers, is_local
from seedspread.config.schema import Run
from seedspread.execution.executors import SCRIPTS, start_executor
from seedspread.execution.inline import InlineExecutor
from seedspread.execution.leases import discard_unused, is_in_use
from seedspread.execution.monitor import SweepMonitor
from seedspread.execution.plan import SeedJob, SeedQueue, SweepPlan, find_missing_seeds
from seedspread.execution.scheduler import call, run_plan
from seedspread.execution.signals import handle_interrupts, say
from seedspread.execution.task import Executor, Task
from seedspread.records.files import check_writable
from seedspread.records.metric import Metric
from seedspread.records.progress import Progress, format_record, summarise_study
from seedspread.records.requests import request_seeds
from seedspread.records.study import Study, study_folder
from seedspread.scripts.output import Places
from seedspread.scripts.program import Program, find_files
from seedspread.scripts.script import Script
from seedspread.scripts.worker import Parcel, join_study

SOURCES = (
    "A program finds it where {seed} stands in its arguments, and in SEEDSPREAD_SEED; a function is called with it."
)


def main(arguments: Sequence[str]) -> None:
    """Run the program of a command line, what followed its `--`, for each seed that has no record yet."""

    @hydra.main(version_base="1.3", config_path=CONF, config_name="run")
    def run(cfg: DictConfig) -> None:
        with plain_errors():
            run_program(cfg, arguments)

    run()


def run_program(cfg: DictConfig, arguments: Sequence[str]) -> Study:
    """Run a program for the seeds of `cfg` and sum up; return the study. Raises InputError where seeds failed."""
    check_config(cfg, Run)
    if not arguments:
        raise InputError("name a program after --, for example seedspread run seed=0 -- python train.py --seed {seed}")
    seeds = parse_typed_seeds(cfg.seed)
    if cfg.study is None:
        files = find_files(arguments)
        if not files:
            raise InputError("name the study, for example study=mine: the command names no file that is here")
        cfg.study = re.sub(r"[^A-Za-z0-9_-]+", "_", files[0].stem)
    places = Places(cfg.file, cfg.regex, cfg.events)
    together = len(seeds) > 1 and not (is_local(cfg) and cfg.jobs == 1)
    shared = next((f"{name}={path}" for name, path in _paths(places) if "{" not in path), None)
    if together and shared:
        raise InputError(f"{shared}: seeds that run at once would write one place; put {{seed}} in it, or say jobs=1")
    typed = [o for o in HydraConfig.get().overrides.task if o.split("=")[0] not in ("seed", "overwrite")]
    timeout = None if cfg.timeout is None else parse_seconds(cfg.timeout)
    program = Program.of(arguments, typed, wanted_metric(cfg), cfg.threads, places, timeout)
    study = sweep_script(program, cfg, seeds, Parcel.of(program))
    for line in _suggest(study, seeds):
        say(line)
    return study


def sweep_script(script: Script, cfg: DictConfig, seeds: Sequence[int], parcel: Parcel | None) -> Study:
    """Run the seeds of a script that have no record, on the executor of `cfg`, and sum up.

    `parcel` is the script for other processes; None: it runs in this one. Raises InputError that says which seeds
    failed or are missing, and where the study belongs to another script.
    """
    folder = study_folder(cfg.results, cfg.study)
    with ExitStack() as made, handle_interrupts():
        made.enter_context(discard_unused(folder))
        check_writable(folder)
        _check_study(script, folder)
        inline = parcel is None
        executor: Executor = InlineExecutor() if inline else start_executor(cfg, *count_workers(cfg))
        made.enter_context(executor)
        _run_missing(script if parcel is None else parcel, script.metric, cfg, folder, seeds, executor)
        study = Study.load(folder)
        scan = study.scan()
        say("\n" + summarise_study(study, scan))
        scores = Progress.of(scan.records.values(), study.metric).scores
        if len(scores) > 1 and len(set(scores.values())) == 1:
            say(f"all {len(scores)} seeds score exactly the same: does what they run draw from its seed?\n{SOURCES}")
        if cfg.report:
            report_study(study)
    if failure := find_failure(folder, seeds, scan):
        raise InputError(failure.replace("the same command trains", "the same call or command runs"))
    return study


def _check_study(script: Script, folder: Path) -> None:
    """Open the study in `folder`, where its metric is known; InputError where it is of another script or metric."""
    metric = script.metric or (Study.load(folder).metric if (folder / "study.yaml").exists() else None)
    if metric is not None:
        Study.open(folder, join_study(script, folder).identity, is_in_use(folder), metric)


def _run_missing(
    payload: Script | Parcel,
    metric: Metric | None,
    cfg: DictConfig,
    folder: Path,
    seeds: Sequence[int],
    executor: Executor,
) -> None:
    """Run what is missing of one study; where no metric is known, its first seed first."""
    before, todo = find_missing_seeds(folder, seeds, cfg.overwrite)
    sweep = uuid.uuid4().hex
    if todo and metric is None and not (folder / "study.yaml").exists():
        first = SeedJob(payload, folder, {todo[0]: ""}, sweep)
        call(executor, [Task(f"{SCRIPTS}:find_metric", first, f"{cfg.study} seed {todo[0]}")])
        study = Study.load(folder)
        if record := study.record(todo[0]):
            say(format_record(record, study.metric))
        before, todo = find_missing_seeds(folder, seeds)
    elif len(todo) < len(seeds):
        say(f"{cfg.study}: {len(seeds) - len(todo)} of {len(seeds)} seeds have their records, {len(todo)} to run")
    request_seeds(folder, format_seeds(seeds))
    if todo:
        function = f"{SCRIPTS}:{'run_job_again' if cfg.overwrite else 'run_job'}"
        queue = SeedQueue(function, payload, folder, todo, sweep, 60 * cfg.lease_minutes)
        points = open_points(folder) if cfg.report else None
        with SweepMonitor(folder, todo, before, points, overwrite=cfg.overwrite) as monitor:
            run_plan(SweepPlan(queue, monitor, 1, executor.workers), executor, cfg.fail_fast)


def parse_typed_seeds(text: object) -> list[int]:
    """The seeds of `seed=`, typed without -m: 3, [1,2,3] or range(0,20)."""
    typed = str(text).strip("[]").replace(" ", "")
    try:
        override = OverridesParser.create().parse_override(f"seed={typed}")
    except HydraException as error:
        raise InputError(f"seed={text}: for example seed=3, seed=[1,2,3] or 'seed=range(0,20)'") from error
    return parse_seeds(override)


def parse_seconds(text: str | float) -> float:
    """Seconds of a time: 90, 90s, 30m, 4h, 2d. Raises InputError for anything else."""
    found = re.fullmatch(r"(\d+(?:\.\d+)?)([smhd]?)", str(text))
    if not found or not float(found[1]):
        raise InputError(f"timeout={text}: a time above 0, for example 90s, 30m or 4h")
    return float(found[1]) * {"": 1, "s": 1, "m": 60, "h": 3600, "d": 86400}[found[2]]


def wanted_metric(cfg: DictConfig) -> Metric | None:
    """The metric that `cfg` names; None where it names none. InputError where it describes one without its name."""
    if cfg.metric.name is not None:
        return Metric.of(**cfg.metric)
    given = next((key for key, value in cfg.metric.items() if value not in (None, "auto")), None)
    if given is not None:
        raise InputError(f"metric.{given}={cfg.metric[given]}: name the metric as well, for example metric.name=rmse")
    return None


def _paths(places: Places) -> list[tuple[str, str]]:
    return [(name, path) for name, path in (("file", places.file), ("events", places.events)) if path is not None]


def _suggest(study: Study, seeds: Sequence[int]) -> list[str]:
    """What to type after the seeds of a program."""
    progress = Progress.of(study.scan().records.values(), study.metric)
    if not progress.scores:
        return []
    where = results_override(study.folder.parent)
    again = shlex.join(["seedspread", "compare", f"baseline={study.name}", "candidate=OTHER", *where])
    return [
        f"next: the same command with 'seed={wider_range(seeds)}' adds seeds; "
        f"what is printed is in {study.folder / 'output'}",
        f"      {again}   # is another study better?",
    ]
