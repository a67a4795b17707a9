"""Tasks in jobs of Slurm, several a job."""

import re
import shutil
import subprocess
import time
import uuid
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from seedspread.config.errors import InputError
from seedspread.config.extras import explain_extra
from seedspread.execution.job import read_outcomes, run_job
from seedspread.execution.local import request_huge_pages
from seedspread.execution.task import Outcome, Task

MOST_JOBS = 100  # in the queue at once
SECONDS_TO_ASK = 5.0  # between two questions to Slurm
ASKED_TWICE = 2  # answers without a job, after which it has ended: its last words may come late over a network


@dataclass
class _Job:
    """A job of several tasks, and the file that it writes their outcomes to, one after another."""

    id: str
    tasks: deque[Task]
    outcomes: Path
    read: int = 0  # bytes
    absent: int = 0  # answers of Slurm in a row that do not list it


class SlurmExecutor:
    """Jobs of `seeds_per_job` tasks, at most `workers` jobs in the queue; each runs its tasks one after another.

    `time` limits a job, in minutes or as 4h; `options` are further ones of sbatch. Pickles and logs are in `folder`,
    which the nodes share. The jobs of a command that is killed go on; Ctrl-C cancels them.
    """

    def __init__(
        self,
        partition: str | None,
        time: str | int,
        cpus: int,
        gpus: int,
        memory: str | None,
        seeds_per_job: int,
        folder: str,
        options: Mapping[str, Any] | None,
        workers: int | None = None,
        preload: Sequence[str] = (),
    ) -> None:
        """Raises InputError where submitit or Slurm is not there."""
        try:
            import submitit  # noqa: PLC0415 - an optional engine
        except ImportError as error:
            raise InputError(f"executor=slurm: submitit is not installed; {explain_extra('slurm')}") from error
        if missing := [name for name in ("sbatch", "srun", "squeue") if shutil.which(name) is None]:
            raise InputError(f"executor=slurm: this machine has no {missing[0]}; start the sweep on a login node")
        request_huge_pages()
        self._folder = Path(folder).resolve()
        self._slurm = submitit.SlurmExecutor(self._folder)
        further = {**({"mem": memory} if memory else {}), **(options or {})}
        wanted = {"partition": partition, "gpus_per_node": gpus, "additional_parameters": further}
        given = {key: value for key, value in wanted.items() if value}
        self._slurm.update_parameters(job_name="seedspread", time=parse_minutes(time), cpus_per_task=cpus, **given)
        self.workers, self._per_job = workers or MOST_JOBS, seeds_per_job
        self._batch: list[Task] = []
        self._jobs: list[_Job] = []
        self._asked = 0.0

    def __enter__(self) -> "SlurmExecutor":
        return self

    def __exit__(self, *_: object) -> None:
        if left := [job.id for job in self._jobs if job.tasks]:
            subprocess.run(["scancel", *left], check=False)
        for job in list(self._jobs):
            self._forget(job)

    def has_room(self) -> bool:
        return len(self._jobs) + bool(self._batch) < self.workers or 0 < len(self._batch) < self._per_job

    def submit(self, task: Task) -> None:
        self._batch.append(task)
        if len(self._batch) >= self._per_job:
            self._submit_batch()

    def wait(self, seconds: float) -> list[tuple[Task, Outcome]]:
        while self._batch:
            self._submit_batch()
        if not (ended := list(self._read_outcomes())):
            time.sleep(seconds)
            ended = list(self._read_outcomes())
        if time.monotonic() - self._asked >= SECONDS_TO_ASK:
            self._asked = time.monotonic()
            ended += self._find_dead_jobs()
        return ended

    def _submit_batch(self) -> None:
        tasks, self._batch = self._batch[: self._per_job], self._batch[self._per_job :]
        outcomes = self._folder / f"{uuid.uuid4().hex}.outcomes"
        try:
            job = self._slurm.submit(run_job, tasks, str(Path.cwd()), outcomes)
        except Exception as error:  # submitit's own, and whatever sbatch says
            text = " ".join(str(getattr(error, "stderr", None) or error).split())
            raise InputError(f"executor=slurm: sbatch refuses the job: {text[-300:]}") from error
        self._jobs.append(_Job(job.job_id, deque(tasks), outcomes))

    def _read_outcomes(self) -> Iterator[tuple[Task, Outcome]]:
        for job in list(self._jobs):
            for outcome, end in read_outcomes(job.outcomes, job.read):
                job.read = end
                yield job.tasks.popleft(), outcome
            if not job.tasks:
                self._forget(job)

    def _forget(self, job: _Job) -> None:
        self._jobs.remove(job)
        job.outcomes.unlink(missing_ok=True)

    def _find_dead_jobs(self) -> Iterator[tuple[Task, Outcome]]:
        """The task under which each job ended that left the queue; the tasks after it are submitted again."""
        listed = subprocess.run(["squeue", "--noheader", "--me", "--format=%A"], capture_output=True, text=True)
        if listed.returncode:
            return  # the controller is away for a while
        for job in list(self._jobs):
            job.absent = 0 if job.id in listed.stdout.split() else job.absent + 1
            if job.absent >= ASKED_TWICE and job.tasks:
                self._forget(job)
                self._batch += list(job.tasks)[1:]
                yield job.tasks[0], Outcome(died=f"job {job.id} of Slurm ended; its log is in {self._folder}")


def parse_minutes(text: str | int) -> int:
    """Minutes of a time: 90, 90m, 4h, 2d, or 1-12:30:00 as Slurm writes it. Raises InputError for anything else."""
    days, _, clock = str(text).rpartition("-")
    if found := re.fullmatch(r"(\d+)([mhd]?)", str(text)):
        return int(found[1]) * {"": 1, "m": 1, "h": 60, "d": 1440}[found[2]]
    if re.fullmatch(r"\d+(:\d\d){1,2}", clock) and re.fullmatch(r"\d*", days):
        hours, minutes = (int(part) for part in clock.split(":")[:2])
        return int(days or 0) * 1440 + hours * 60 + minutes
    raise InputError(f"executor.time={text}: minutes, or 90m, 4h, 2d, or 1-12:30:00")
