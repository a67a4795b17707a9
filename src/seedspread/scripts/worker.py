"""What a worker does with a task of the user's own code: run its seeds, and record them."""

import sys
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import cloudpickle

from seedspread.config.errors import InputError
from seedspread.config.identity import find_differences
from seedspread.config.streams import Streams
from seedspread.execution.leases import Observer, Worker
from seedspread.execution.plan import SeedJob
from seedspread.records.example_results import check_results, hash_results
from seedspread.records.machine import describe_system
from seedspread.records.metric import Metric
from seedspread.records.record import Record, Status
from seedspread.records.study import Study, record_failure
from seedspread.scripts.recorder import Recorder
from seedspread.scripts.script import FailedError, Script, limit_threads


@dataclass(frozen=True)
class Parcel:
    """A script on its way to another process, with the folders that its modules are imported from."""

    path: tuple[str, ...]
    script: bytes

    @classmethod
    def of(cls, script: Script) -> "Parcel":
        """Raises InputError where the script cannot be taken to another process."""
        try:
            return cls(tuple(sys.path), cloudpickle.dumps(script))
        except Exception as error:
            raise InputError(
                f"the function cannot be sent to a worker process ({type(error).__name__}: {error}).\n"
                "Open files, connections and locks inside it, or run it in this process: jobs=1"
            ) from error

    def open(self) -> Script:
        sys.path[:0] = [folder for folder in self.path if folder not in sys.path]
        script: Script = cloudpickle.loads(self.script)
        return script


SECONDS_TO_LOOK = 0.5  # for the end of a seed that another process runs

_opened: tuple[tuple[Any, str], tuple[Script, Worker]] | None = None  # the job's script and sweep


def find_metric(job: SeedJob) -> Metric:
    """Run the first seed of a study whose metric nobody named; return the first metric that it recorded.

    Raises InputError where the seed fails: there is no study yet that could say so.
    """
    script, leases = _open(job)
    [seed], observer = job.seeds, Observer(job.folder)
    while not (observer.is_free(seed) and leases.acquire([seed])):  # another process runs it
        time.sleep(SECONDS_TO_LOOK)
    try:
        if (metric := _known_metric(job.folder)) is not None:
            return metric
        run_seed(script, job.folder, seed, "")
    except FailedError as error:
        typed = script.type_metric(name="NAME")
        raise InputError(
            f"seed {seed} failed: {error.reason}\n{error.trace}"
            f"What seeds are scored by follows from the first; name it to run the others: {typed}"
        ) from error
    finally:
        leases.release([seed])
    return Study.load(job.folder).metric


def run_job(job: SeedJob) -> str | None:
    """Run the seeds of `job` that nobody else runs and that have no result; return the reason of the last failure, or
    None.

    What has come into the place of a seed's record since the job was planned is the work of another: it stays. Raises
    InputError, which concerns all seeds.
    """
    return _run(job, overwrite=False)


def run_job_again(job: SeedJob) -> str | None:
    """As `run_job`, and replace the records that were there when the job was planned."""
    return _run(job, overwrite=True)


def _run(job: SeedJob, overwrite: bool) -> str | None:
    script, leases = _open(job)
    held, reason = leases.acquire(job.seeds), None
    try:
        for seed in held:
            study = Study.load(job.folder)
            if study.stamp(seed) == job.seeds[seed] and (overwrite or not study.is_done(seed)):
                try:
                    run_seed(script, job.folder, seed, job.seeds[seed])
                except FailedError as error:
                    reason = error.reason
                    record_failure(study, seed, reason, error.trace, _header(script, study, seed), job.seeds[seed])
    finally:
        leases.release(held)
    return reason


def run_seed(script: Script, folder: Path, seed: int, stamp: str) -> Record:
    """Run a leased seed and record it, `stamp` being that of what stands in the record's place.

    Raises FailedError where the seed fails, InputError where all would.
    """
    script = join_study(script, folder)
    identity = script.identity
    recorder, started = Recorder(), time.perf_counter()
    output = folder.resolve() / "output" / f"{seed:06d}"
    with limit_threads(script.threads):
        script.run(seed, recorder, output)
    seconds = time.perf_counter() - started
    if changed := find_differences(identity, script.identity):
        file = changed[0][0].removeprefix("files.")
        raise InputError(
            f"{file} changed while seed {seed} ran, and all seeds of a study run one program.\n"
            f"If the program writes it, let each seed write its own: {{folder}}/{Path(file).name}; "
            f"if you edited it, name another study, for example study={folder.name}_2"
        )
    fields = recorder.fields()
    metric = script.metric or _known_metric(folder) or Metric.of(recorder.metrics[0])
    study = Study.open(folder, identity, in_use=True, metric=metric)
    if metric.name not in recorder.metrics:
        reason = f"no {metric.name} was recorded; recorded are {', '.join(recorder.metrics)}"
        if study.is_empty():
            raise InputError(f"metric={metric.name}: {reason}")
        raise FailedError(reason, reason)
    examples, index = check_results(recorder.examples, "recorded of test examples")
    if index is not None:
        study.check_examples(index)
    count, sha256 = hash_results(examples)
    diverged = None if fields["final"][metric.name] is not None else f"the last {metric.name} was not finite"
    record = Record(
        **_header(script, study, seed),
        status=Status.DIVERGED if diverged else Status.FINISHED,
        reason=diverged,
        test_examples=count,
        **fields,
        seconds={"run": round(seconds, 4)},
        predictions_sha256=sha256,
        ended=datetime.now(UTC).isoformat(timespec="seconds"),
    )
    values = [fields["final"][metric.name], *fields["curves"].get(metric.name, [])]
    for value in values if not diverged else []:
        if value is not None and (fault := metric.find_fault(value)):
            typed = script.type_metric(name=metric.name, unit="percent")
            hint = f"; of percent type {typed}" if metric.unit == "fraction" else ""
            raise InputError(f"{metric.name}={value:g}: {fault}{hint}")
    study.write(record, examples.pop("predictions", None), stamp, **examples)
    return record


def join_study(script: Script, folder: Path) -> Script:
    """The script as it goes on with the study in `folder`, which may not be there yet."""
    return script.joining(Study.load(folder).config) if (folder / "study.yaml").exists() else script


def _known_metric(folder: Path) -> Metric | None:
    return Study.load(folder).metric if (folder / "study.yaml").exists() else None


def _header(script: Script, study: Study, seed: int) -> dict[str, Any]:
    """The fields of a record that do not depend on what the script does."""
    return {
        "seed": seed,
        "streams": Streams.of(seed).seeds(),
        "study": study.name,
        "config_digest": study.digest,
        "command": script.command(seed),
        "environment": {
            **describe_system(Path.cwd()),
            "packages": script.packages(),
            "threads": script.threads,
        },
    }


def _open(job: SeedJob) -> tuple[Script, Worker]:
    """Script and leases of a job; those of the job before where it is of the same sweep."""
    global _opened
    if _opened is None or _opened[0] != (job.config, job.sweep):
        if _opened is not None:
            _opened[1][1].close()
        script = job.config.open() if isinstance(job.config, Parcel) else job.config
        _opened = (job.config, job.sweep), (script, Worker(job.folder, job.sweep))
    return _opened[1]
