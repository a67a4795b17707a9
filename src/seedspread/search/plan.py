"""A search: which points it tries, and which pair of a study and a seed is next, until the winner has its fresh seeds.

Imports neither torch nor Lightning: the workers do (seedspread.training.worker).
"""

import math
import time
from collections import Counter, deque
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout
from hydra import compose
from omegaconf import DictConfig, OmegaConf

from seedspread.config.check import check_config
from seedspread.config.errors import InputError
from seedspread.config.overrides import format_seeds, format_value, override_key
from seedspread.config.resolve import count_gpus, count_workers
from seedspread.config.schema import Tune
from seedspread.execution.failures import FailureStreak
from seedspread.execution.monitor import SECONDS_BETWEEN_LINES
from seedspread.execution.plan import find_missing_seeds
from seedspread.execution.pool import Task, WorkerPool
from seedspread.execution.signals import handle_interrupts
from seedspread.records.claims import start_sweep
from seedspread.records.files import unwritable_error
from seedspread.records.progress import format_duration
from seedspread.records.record import Record
from seedspread.records.study import Study, study_folder
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

TRAINING = "seedspread.training.worker"
# What is typed for the search, and is nothing of a trial's own.
OF_THE_SEARCH = (
    *("search", "trials", "seeds_per_trial", "fresh_seeds", "search_seed", "space"),
    *("report", "study", "results"),
)


def _serve(pipe: Connection) -> None:
    """Train what comes through `pipe`; torch is imported in the worker alone."""
    from seedspread.training.worker import serve

    serve(pipe)


class Search:
    """A search: so many points of a space around the config that `overrides` compose to.

    `trials` points in all, those that are recorded included; each trains seeds 0 to `seeds_per_trial` - 1. Then the
    best trial of the folder and the baseline train the same `fresh_seeds`.
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
        if cfg.fresh_seeds == 1:
            raise InputError("fresh_seeds=1: one seed has no spread; choose at least 2, better 20, or 0 for none")
        if cfg.metric != "val/acc":
            raise InputError(f"metric={cfg.metric}: a search chooses by val/acc, as comparisons do")
        self.cfg = cfg
        self.overrides = [o for o in overrides if override_key(o).split(".")[0] not in OF_THE_SEARCH]
        self.folder = study_folder(cfg.results, f"{cfg.study}-search")
        self.space = read_space(cfg)
        self.workers = count_workers(cfg)
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
        began = time.monotonic()
        with (
            handle_interrupts(),
            ExitStack() as held,
            WorkerPool(self.workers, _serve, forks=not count_gpus(self.cfg), preload=[TRAINING]) as pool,
        ):
            baseline = pool.identity(self.compose_config(BASELINE, {}))
            self._check_ends(pool)
            held.enter_context(_lock_search(self.folder))  # until the workers are gone
            check_baseline(self.folder, baseline)
            return self._train(pool, Agenda(self), began)

    def _check_ends(self, pool: WorkerPool) -> None:
        """InputError, before anything is written, where the ends of a range or a choice cannot be trained."""
        for h in self.space.hyperparameters:
            for value in h.range:
                try:
                    pool.check(self.compose_config(BASELINE, {h.key: value}))
                except InputError as error:
                    raise InputError(f"space.{h.key}.range={list(h.range)}: {error}") from error

    def exploits(self, trial: Trial) -> bool:
        """Whether this search suggested `trial`."""
        mine = (self.space.describe(), self.cfg.search_seed)
        return trial.search == "exploit" and (trial.space, trial.search_seed) == mine

    def _train(self, pool: WorkerPool, agenda: "Agenda", began: float) -> list[str]:
        last_line = began
        trained: list[Record] = []
        failures: list[str] = []
        streak = FailureStreak()
        while True:
            while pool.is_free and (pair := agenda.next_pair()):
                pool.submit(*pair)
            if not pool.is_busy:
                break
            agenda.look_ahead()
            for name, seed, reason in pool.completed():
                if reason:
                    failures.append(f"{name} seed {seed}: {reason}")
                if streak.add(reason) >= self.cfg.fail_fast:
                    raise InputError(
                        f"{self.folder.name} stopped: {streak.length} seeds in a row failed: {reason}\n"
                        "Fix the cause and run the same command again."
                    )
                if record := Study.load(self.folder / name).record(seed):
                    trained.append(record)
                line, left = agenda.tick_off(name), agenda.left.total()
                if not line and (not left or time.monotonic() - last_line >= SECONDS_BETWEEN_LINES):
                    line = f"{name}  {len(trained)} seeds trained, {f'{left} queued' if left else 'done'}"
                if line:
                    last_line = time.monotonic()
                    seconds = (last_line - began) / max(1, len(trained)) * agenda.to_come
                    print(line + (f"   {format_duration(seconds)} left" if seconds else ""), flush=True)
        if trained:
            spent = sum(r.seconds.get("train", 0.0) + r.seconds.get("score", 0.0) for r in trained)
            whole = self.workers * (time.monotonic() - began)
            print(f"{100 * spent / whole:.0f} % of {whole:.0f} worker-seconds in training and scoring")
        return failures


class Agenda:
    """Which seed of which study is next: trial after trial, the baseline while trials have to wait, then the winner."""

    def __init__(self, search: Search) -> None:
        """Take in what is in the folder: trials of this very search, and others."""
        cfg, self.search = search.cfg, search
        self.trials = {trial.name: trial for trial in read_trials(search.folder)}  # by number, those to come included
        self.started: list[str] = []  # trials of this command, in their order
        self.queue: deque[Task] = deque()
        self.baseline_queue: deque[Task] = deque()
        self.left: Counter[str] = Counter()  # pairs of each study that are queued or trained now
        self.winner: Trial | None = None  # once it is judged
        found = list(self.trials.values())
        if cfg.search == "explore":
            points = search.space.sample_points(cfg.trials, cfg.search_seed)
            self.planned = deque(next((t for t in found if t.point == p), None) or self._new(p) for p in points)
            self.total = len(points)
            if self.total < cfg.trials:
                print(f"trials={cfg.trials}: the space has {self.total} different points; each is a trial")
        else:
            self.planned = deque([t for t in found if search.exploits(t)][: cfg.trials])
            self.total = cfg.trials
        if done := sum(all(s in t.scores or s in t.diverged for s in search.seeds) for t in self.planned):
            left = self.total - done
            print(f"{search.folder.name}: {done} of {self.total} trials have their records, {left} to train")
        self._enqueue(BASELINE, {}, search.fresh, self.baseline_queue)

    def _new(self, point: Point) -> Trial:
        number = next((trial.number + 1 for trial in reversed(self.trials.values())), 0)
        cfg, space = self.search.cfg, self.search.space.describe()
        chosen = {"search": cfg.search, "space": space, "search_seed": cfg.search_seed}
        trial = Trial(f"trial-{number:03d}", point, {}, **chosen)
        self.trials[trial.name] = trial
        return trial

    def _enqueue(self, name: str, point: Point, seeds: Sequence[int], queue: deque[Task]) -> None:
        """Queue the seeds of a study that have no result yet."""
        folder = self.search.folder / name
        _, todo = find_missing_seeds(folder, seeds)
        if todo:
            try:
                folder.mkdir(parents=True, exist_ok=True)
                start_sweep(folder, format_seeds(seeds))
            except OSError as error:
                raise unwritable_error(folder, error) from error
            cfg = self.search.compose_config(name, point)
            queue.extend((cfg, seed) for seed in todo)
            self.left[name] += len(todo)

    def next_pair(self) -> Task | None:
        """What an idle worker trains next; None where it has to wait, or where nothing is left."""
        while not self.queue and self._next_trial():
            pass
        if not self.queue and not self.baseline_queue:
            self._judge()
        queue = self.queue or self.baseline_queue
        return queue.popleft() if queue else None

    def look_ahead(self) -> None:
        """Queue the next trial now, while no worker waits for it."""
        if len(self.queue) < self.search.workers:
            self._next_trial()

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
        self._enqueue(trial.name, trial.point, self.search.seeds, self.queue)
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
        point = self.search.space.suggest_point(known, [self.search.cfg.search_seed, place])
        if point is None:
            print(f"trials={self.total}: {place}, and every point of the space has been tried", flush=True)
            self.total = place
            return None
        return self._new(point)

    def _judge(self) -> None:
        """Queue the fresh seeds of the best trial, once all are done."""
        waiting = len(self.started) < self.total or any(self.left[name] for name in self.started)
        if waiting or self.winner or not self.search.fresh or not (best := self.best):
            return
        self.winner = best
        self._enqueue(f"{best.name}-fresh", best.point, self.search.fresh, self.queue)
        if self.queue:
            print(f"best: {best.line()}; now {len(self.search.fresh)} fresh seeds", flush=True)

    @property
    def best(self) -> Trial | None:
        """The best trial of all that are in the folder and have a value for the same keys; the first of equals."""
        return best_trial(comparable_trials(self.trials.values(), self.search.space))

    def tick_off(self, name: str) -> str:
        """Take in that a pair of a study ended; where it was a trial's last, what came of the trial."""
        self.left[name] -= 1
        if self.left[name] or name not in self.trials:
            return ""
        trial = self.trials[name] = Trial.read(self.search.folder / name)
        best = self.best
        return trial.line() + (f"   best {best.name} {best.score:.2f} %" if best and best.name != name else "")

    @property
    def to_come(self) -> int:
        """How many pairs are to be trained yet, those of trials and of a winner to come included."""
        trials, winners = self.total - len(self.started), self.winner is None
        return self.left.total() + trials * len(self.search.seeds) + winners * len(self.search.fresh)


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
