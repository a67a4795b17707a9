"""A search: which points it tries, and which pair of a study and a seed is next, until the winner is decided on.

Imports neither torch nor Lightning: the workers do (seedspread.training.worker).
"""

import math
import pickle
import time
import uuid
from collections import Counter, deque
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout
from hydra import compose
from omegaconf import DictConfig, OmegaConf

from seedspread.config.check import check_config
from seedspread.config.errors import InputError
from seedspread.config.overrides import format_seeds, format_value, override_key, validation_overrides
from seedspread.config.resolve import count_workers
from seedspread.config.schema import Tune
from seedspread.execution.executors import TRAINING, start_executor
from seedspread.execution.monitor import SECONDS_BETWEEN_LINES
from seedspread.execution.plan import SeedJob, SeedQueue, find_missing_seeds, record_dead_job, release_job
from seedspread.execution.scheduler import call, run_plan
from seedspread.execution.signals import handle_interrupts, say
from seedspread.execution.task import Executor, Task
from seedspread.records.files import unwritable_error
from seedspread.records.metric import Metric
from seedspread.records.progress import format_duration
from seedspread.records.requests import request_seeds
from seedspread.records.study import Study, study_folder
from seedspread.search.judge import FEWEST_FRESH, decide_winner
from seedspread.search.space import Point, Space
from seedspread.search.trials import (
    BASELINE,
    FIRST_FRESH_SEED,
    Trial,
    best_trial,
    check_baseline,
    comparable_trials,
    observations,
    read_trials,
)

# What is typed for the search, and is nothing of a trial's own.
OF_THE_SEARCH = (
    *("search", "trials", "seeds_per_trial", "fresh_seeds", "worth", "search_seed", "space"),
    *("report", "study", "results"),
)


class Search:
    """A search: so many points of a space around the config that `overrides` compose to.

    `trials` points in all, those that are recorded included; each trains seeds 0 to `seeds_per_trial` - 1. Then the
    best trial of the folder and the baseline train fresh seeds, pair by pair, until it is decided which is better; at
    most `fresh_seeds` of each.
    """

    def __init__(self, cfg: DictConfig, overrides: Sequence[str]) -> None:
        """Raises InputError for settings that cannot be; nothing is written."""
        for key in ("seed", "seeds", "overwrite", "ckpt_path"):
            if key in map(override_key, overrides):
                raise InputError(
                    f"{key}=: a search chooses what it trains; set the numbers of seeds with seeds_per_trial= and "
                    "fresh_seeds="
                )
        check_config(cfg, Tune)
        if cfg.seeds_per_trial > FIRST_FRESH_SEED:
            raise InputError(f"seeds_per_trial={cfg.seeds_per_trial}: at most {FIRST_FRESH_SEED:,}")
        if 0 < cfg.fresh_seeds < FEWEST_FRESH:
            raise InputError(
                f"fresh_seeds={cfg.fresh_seeds}: fewer than {FEWEST_FRESH} pairs decide nothing; choose at least "
                f"{FEWEST_FRESH}, better 40, or 0 for none"
            )
        self.cfg = cfg
        self.overrides = [o for o in overrides if override_key(o).split(".")[0] not in OF_THE_SEARCH]
        self.overrides += validation_overrides(cfg, overrides)
        self.folder = study_folder(cfg.results, f"{cfg.study}-search")
        self.space = read_space(cfg)
        self.workers = 1  # once there is an executor, its number
        self.seeds = range(cfg.seeds_per_trial)
        self.fresh = range(FIRST_FRESH_SEED, FIRST_FRESH_SEED + cfg.fresh_seeds)

    def compose_config(self, name: str, point: Point) -> DictConfig:
        """The config of one study of this search, as its own command composes it."""
        others = [o for o in self.overrides if override_key(o) not in point]
        added = {override_key(o) for o in self.overrides if o.startswith("+")}
        values = [f"{'++' * (key in added)}{key}={format_value(value)}" for key, value in point.items()]
        places = [f"study={name}", f"results={format_value(str(self.folder))}"]
        return compose("train", [*others, *values, *places], return_hydra_config=True)

    def run(self) -> list[str]:
        """Train what is missing, and return what failed.

        Raises InputError where one seed after another fails for one reason, or where a config cannot be.
        """
        with handle_interrupts(), ExitStack() as held:
            executor = held.enter_context(start_executor(self.cfg, *count_workers(self.cfg)))
            self.workers = executor.workers
            baseline = self._check(executor)
            held.enter_context(_lock_search(self.folder))
            check_baseline(self.folder, baseline)
            agenda = Agenda(self)
            run_plan(agenda, executor, self.cfg.fail_fast)
            agenda.say_time_spent()
            if agenda.stopped:
                raise InputError(
                    f"{self.folder.name} stopped: {agenda.stopped}\nFix the cause and run the same command again."
                )
            return agenda.failures

    def _check(self, executor: Executor) -> dict[str, Any]:
        """The identity of the baseline; InputError, before anything is written, where an end of a range cannot be."""
        baseline = pickle.dumps(self.compose_config(BASELINE, {}))
        tasks = [Task(f"{TRAINING}:identify", baseline, BASELINE)]
        for h in self.space.hyperparameters:
            for value in h.range:
                config = pickle.dumps(self.compose_config(BASELINE, {h.key: value}))
                where = f"space.{h.key}.range={list(h.range)}"
                tasks.append(Task(f"{TRAINING}:check", (config, where), f"{h.key}={value}"))
        return call(executor, tasks)[0]

    def exploits(self, trial: Trial) -> bool:
        """Whether this search suggested `trial`."""
        mine = (self.space.describe(), self.cfg.search_seed)
        return trial.search == "exploit" and (trial.space, trial.search_seed) == mine


class Agenda:
    """The plan of a search: trial after trial, the baseline while trials have to wait, then winner and baseline."""

    def __init__(self, search: Search) -> None:
        """Take in what is in the folder: trials of this very search, and others."""
        cfg, self.search = search.cfg, search
        self.trials = {trial.name: trial for trial in read_trials(search.folder)}  # by number, those to come included
        self.started: list[str] = []  # trials of this command, in their order
        self._queues: dict[str, SeedQueue] = {}  # by study: the baseline, trials, then the winner
        self.left: Counter[str] = Counter()  # seeds of each study that are queued or trained now
        self.fresh: Sequence[int] = search.fresh  # up to the first of them that fails
        self.winner: Trial | None = None  # once it is judged
        self.failures: list[str] = []
        self.stopped: str | None = None
        self._sweep = uuid.uuid4().hex
        self._began = self._last_line = time.monotonic()
        self._trained, self._spent = 0, 0.0  # seeds of this command, and seconds in training and scoring
        found = list(self.trials.values())
        if cfg.search == "explore":
            points = search.space.sample_points(cfg.trials, cfg.search_seed)
            self.planned = deque(next((t for t in found if t.point == p), None) or self._new(p) for p in points)
            self.total = len(points)
            if self.total < cfg.trials:
                say(f"trials={cfg.trials}: the space has {self.total} different points; each is a trial")
        else:
            self.planned = deque([t for t in found if search.exploits(t)][: cfg.trials])
            self.total = cfg.trials
        if done := sum(all(s in t.scores or s in t.diverged for s in search.seeds) for t in self.planned):
            left = self.total - done
            say(f"{search.folder.name}: {done} of {self.total} trials have their records, {left} to train")
        self._enqueue(BASELINE, {}, self.fresh)

    def _new(self, point: Point) -> Trial:
        number = next((trial.number + 1 for trial in reversed(self.trials.values())), 0)
        cfg, space = self.search.cfg, self.search.space.describe()
        chosen = {"search": cfg.search, "space": space, "search_seed": cfg.search_seed}
        trial = Trial(f"trial-{number:03d}", point, {}, **chosen)
        self.trials[trial.name] = trial
        return trial

    def _enqueue(self, name: str, point: Point, seeds: Sequence[int]) -> bool:
        """Queue the seeds of a study that have no result yet; whether there are any."""
        folder = self.search.folder / name
        _, todo = find_missing_seeds(folder, seeds)
        if not todo:
            return False
        try:
            folder.mkdir(parents=True, exist_ok=True)
            request_seeds(folder, format_seeds(seeds))
        except OSError as error:
            raise unwritable_error(folder, error) from error
        self.left[name] += len(todo)
        config = pickle.dumps(self.search.compose_config(name, point))
        expiry = 60 * self.search.cfg.lease_minutes
        self._queues[name] = SeedQueue(f"{TRAINING}:train_job", config, folder, todo, self._sweep, expiry)
        return True

    def next_task(self) -> Task | None:
        if self.stopped:
            return None
        while not self._trial_queues() and self._next_trial():
            pass
        if not self._trial_queues():
            self._judge()
        queues = self._trial_queues() + self._fresh_queues()
        return next(filter(None, (queue.next_task() for queue in queues)), None)

    def _trial_queues(self) -> list[SeedQueue]:
        """The queues of trials that are not empty."""
        return [queue for name, queue in self._queues.items() if name in self.trials and len(queue)]

    def _fresh_queues(self) -> list[SeedQueue]:
        """The queues of baseline and winner, first the one that is behind: a seed counts once both have it."""
        found = [queue for name, queue in self._queues.items() if name not in self.trials]
        return sorted(found, key=len, reverse=True)

    def _drop_fresh_seeds(self, first: int) -> None:
        """Hand out no fresh seed from `first` on."""
        for name in self._queues.keys() - self.trials.keys():
            if dropped := self._queues[name].drop_from(first):
                self.left[name] -= len(dropped)
                request_seeds(self.search.folder / name, format_seeds(sorted({*self.search.fresh} - {*dropped})))

    def is_done(self) -> bool:
        if self.stopped:
            return True
        return not any(map(len, self._queues.values())) and len(self.started) == self.total

    def complete(self, task: Task, value: str | None) -> str | None:
        job: SeedJob = task.payload
        (seed,), name = job.seeds, job.folder.name
        if value:
            self.failures.append(f"{name} seed {seed}: {value}")
            self._skip_from(name, seed)
        elif record := Study.load(job.folder).record(seed):
            self._trained += 1
            self._spent += record.seconds.get("train", 0.0) + record.seconds.get("score", 0.0)
        else:  # another command trains it
            self._queues[name].put_off(seed)
            return None
        self._tick_off(name)
        return value

    def release(self, task: Task) -> None:
        release_job(task.payload)

    def give_up(self, task: Task, reason: str) -> None:
        record_dead_job(task.payload, reason)
        self.failures.append(f"{task.name}: {reason}")
        (seed,), name = task.payload.seeds, task.payload.folder.name
        self._skip_from(name, seed)
        self._tick_off(name)

    def _skip_from(self, name: str, seed: int) -> None:
        """Where a fresh seed failed, train none after it: they count once the same command has retried it."""
        if name not in self.trials:
            self.fresh = range(FIRST_FRESH_SEED, min(seed, FIRST_FRESH_SEED + len(self.fresh)))
            self._drop_fresh_seeds(seed)

    def stop(self, reason: str) -> None:
        self.stopped = reason

    def _next_trial(self) -> bool:
        """Queue the seeds of the next trial; False where there is none, or none yet."""
        if len(self.started) == self.total:
            return False
        trial = self.planned.popleft() if self.planned else self._suggest_trial()
        if trial is None:
            return False
        folder = self.search.folder / trial.name
        if not (folder / "trial.json").exists():
            trial.write(folder)
        self.started.append(trial.name)
        self._enqueue(trial.name, trial.point, self.search.seeds)
        return True

    def _suggest_trial(self) -> Trial | None:
        """A new trial where scores promise most; None before those that it depends on are done, or without a point."""
        # Of the latest trials, as many as keep all other workers busy, nothing is used, finished or not: points do not
        # depend on who was faster.
        latest = math.ceil((self.search.workers - 1) / len(self.search.seeds))
        place = len(self.started)
        earlier = self.started[: max(0, place - latest)]
        if any(self.left[name] for name in earlier):
            return None
        known = observations([trial for name, trial in self.trials.items() if name not in self.started])
        known += observations([self.trials[name] for name in earlier])
        known += [(self.trials[name].point, None) for name in self.started[len(earlier) :]]
        direction = Metric.of(**self.search.cfg.metric).direction
        point = self.search.space.suggest_point(known, [self.search.cfg.search_seed, place], direction)
        if point is None:
            say(f"trials={self.total}: {place}, and every point of the space has been tried")
            self.total = place
            return None
        return self._new(point)

    def _judge(self) -> None:
        """Queue the fresh seeds of the best trial, once all are done."""
        waiting = len(self.started) < self.total or any(self.left[name] for name in self.started)
        if waiting or self.winner or not self.fresh or not (best := self.best):
            return
        self.winner = best
        self._enqueue(best.fresh_name, best.point, self.fresh)
        self._look()
        if self.left[best.fresh_name]:
            say(f"best: {best.line()}; now fresh seeds, until it is decided or {len(self.fresh)} are done")

    def _look(self) -> None:
        """Train no more fresh seeds where those that are recorded decide."""
        if self.winner is None or not any(map(len, self._fresh_queues())):
            return
        decision = decide_winner(self.search.folder, self.winner, self.search.cfg.worth)
        if decision.decided_after:
            say(f"{self.winner.name}: {decision.outcome.name.lower()} after {decision.pairs} pairs of fresh seeds")
            self._drop_fresh_seeds(FIRST_FRESH_SEED)

    @property
    def best(self) -> Trial | None:
        """The best trial of all that are in the folder and have a value for the same keys; the first of equals."""
        return best_trial(comparable_trials(self.trials.values(), self.search.space))

    def _tick_off(self, name: str) -> None:
        """Take in that a seed of a study ended, and say what came of a trial with its last one."""
        self.left[name] -= 1
        if name not in self.trials:
            self._look()
        line, left = "", self.left.total()
        if not self.left[name] and name in self.trials:
            trial = self.trials[name] = Trial.read(self.search.folder / name)
            best = self.best
            line = trial.line() + (
                f"   best {best.name} {best.digits.value(best.score)}" if best and best.name != name else ""
            )
        elif not left or time.monotonic() - self._last_line >= SECONDS_BETWEEN_LINES:
            line = f"{name}  {self._trained} seeds trained, {f'{left} queued' if left else 'done'}"
        if line:
            self._last_line = time.monotonic()
            seconds = (self._last_line - self._began) / max(1, self._trained) * self.to_come
            say(line + (f"   {format_duration(seconds)} left" if seconds else ""))

    def say_time_spent(self) -> None:
        """Say which part of the workers' time went into training."""
        if self._trained:
            whole = self.search.workers * (time.monotonic() - self._began)
            say(f"{100 * self._spent / whole:.0f} % of {whole:.0f} worker-seconds in training and scoring")

    @property
    def to_come(self) -> int:
        """How many seeds of all studies are to be trained yet, at most, those of trials to come included."""
        trials, winners = self.total - len(self.started), self.winner is None
        return self.left.total() + trials * len(self.search.seeds) + winners * len(self.fresh)


def read_space(cfg: DictConfig) -> Space:
    """The space that an experiment declares over its config."""
    config: Any = OmegaConf.to_container(cfg, resolve=True)
    return Space.of(config.pop("space", None), config)


@contextmanager
def _lock_search(folder: Path) -> Iterator[None]:
    """Lock the folder of a search within the block; InputError where another process has locked it.

    Two searches at once would number different points alike and mix their scores. The lock ends with this process.
    """
    lock = FileLock(folder / ".lock")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        Path(lock.lock_file).touch()
    except OSError as error:
        raise unwritable_error(folder, error) from error
    try:
        lock.acquire(timeout=0)
    except Timeout as error:
        raise InputError(
            f"{folder}: another search trains in this folder; wait until it ends, or choose another name, for example "
            "study=NAME"
        ) from error
    except (OSError, NotImplementedError):
        pass  # a file system without locks
    try:
        yield
    finally:
        lock.release()
