"""Runs a search: pairs of a trial and a seed, on all workers at once, until every trial and the winner have theirs.

The parent imports neither torch nor Lightning. Workers import them once and train one pair after another.
"""

import fcntl
import multiprocessing
import signal
import threading
import time
from collections import Counter, deque
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

from hydra import compose
from hydra.core.hydra_config import HydraConfig
from hydra.core.utils import setup_globals
from omegaconf import DictConfig, OmegaConf

from src.command_line import explained
from src.errors import InputError
from src.study.progress import duration
from src.study.space import Point, Space, typed
from src.study.store import Record, Study, spelled, study_folder, unwritable
from src.study.tuning import BASELINE, FIRST_FRESH_SEED, Trial, best_of, check_baseline, trials_in, tried
from src.sweep import (
    DEATHS,
    SECONDS_BETWEEN_LINES,
    ask_for_huge_pages,
    give_up,
    gpus,
    interruptible,
    whole_number,
    workers,
)

SEARCHES = ("explore", "exploit")
PAIRS_BETWEEN_COLLECTIONS = 20
# What is typed for the search, and is nothing of a trial's own.
OF_THE_SEARCH = (
    *("search", "trials", "seeds_per_trial", "fresh_seeds", "search_seed", "space"),
    *("report", "study", "results", "seed", "seeds"),
)


@dataclass(frozen=True)
class Arm:
    """One study that the search fills: its name, its config as composed, and its folder."""

    name: str
    cfg: DictConfig
    folder: Path

    def has(self, seed: int) -> bool:
        return (self.folder / "study.yaml").exists() and Study.load(self.folder).is_done(seed)


Pair = tuple[Arm, int]  # with a seed: the unit of work


class Crew:
    """Worker processes; the death of one costs the pair it was on and nothing else."""

    def __init__(self, size: int, forks: bool) -> None:
        """With `forks` one process imports for all, and their memory is shared; CUDA is not to be forked."""
        ask_for_huge_pages()
        self._context: Any = multiprocessing.get_context("forkserver" if forks else "spawn")
        if forks:
            self._context.set_forkserver_preload(["src.training"])
        self._processes: list[BaseProcess] = []  # all there ever were
        self._busy: dict[Connection, tuple[BaseProcess, Any]] = {}
        self._idle = [self._hired() for _ in range(size)]

    def _hired(self) -> tuple[Connection, BaseProcess]:
        ours, theirs = self._context.Pipe()
        process = self._context.Process(target=_work, args=(theirs,))
        self._processes.append(process)
        with _ctrl_c_ignored():
            process.start()
        theirs.close()  # so that its death is the end of the pipe
        return ours, process

    def __enter__(self) -> "Crew":
        return self

    def __exit__(self, *_: Any) -> None:
        with _ctrl_c_ignored():  # a second one would leave some of them running
            for process in self._processes:
                process.kill()
            for process in self._processes:
                process.join()

    @property
    def is_free(self) -> bool:
        return bool(self._idle)

    @property
    def is_busy(self) -> bool:
        return bool(self._busy)

    def give(self, task: Any, cfg: DictConfig, seed: int | None) -> None:
        """Let an idle worker train `seed` of `cfg`; without a seed, prepare what all seeds share."""
        pipe, process = self._idle.pop(0)
        try:
            pipe.send((cfg, seed))
        except OSError:  # it died of something while it had nothing to do
            pipe, process = self._hired()
            pipe.send((cfg, seed))
        self._busy[pipe] = process, task

    def results(self) -> Iterator[tuple[Any, Any]]:
        """Wait, and give tasks that ended with what came of each: an exception's words are raised, death is None."""
        for pipe in wait(list(self._busy), timeout=SECONDS_BETWEEN_LINES):
            assert isinstance(pipe, Connection)
            process, task = self._busy.pop(pipe)
            try:
                result, error = pipe.recv()
            except (EOFError, OSError):
                process.join()
                self._idle.append(self._hired())
                yield task, None
                continue
            self._idle.append((pipe, process))
            if error is not None:
                raise InputError(error)
            yield task, result


@contextmanager
def _ctrl_c_ignored() -> Iterator[None]:
    """What is started within the block ignores Ctrl-C, imports included: the parent ends its workers itself."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def _work(pipe: Connection) -> None:
    """A worker: trains what comes through `pipe` until its other end is closed, by the death of the parent too."""
    setup_globals()
    from src.training import attempt, collect_garbage, identity, opened, prepare, settled, without_epoch_lines

    known: tuple[str, DictConfig, Study] | None = None
    trained = 0
    while True:
        try:
            cfg, seed = pipe.recv()
        except EOFError:
            return
        answer: tuple[Any, str | None]
        try:
            HydraConfig.instance().set_config(cfg)
            own = OmegaConf.masked_copy(cfg, [str(key) for key in cfg if key != "hydra"])
            if seed is None:
                answer = identity(settled(own)), None
                if own.get("backbone") is not None:
                    prepare(own)
            else:
                place = str(Path(own.results) / own.study)
                if known is None or known[0] != place:
                    known = (place, *opened(without_epoch_lines(own)))
                answer = attempt(known[1], known[2], seed) or "", None
                trained += 1
                if trained % PAIRS_BETWEEN_COLLECTIONS == 1:
                    collect_garbage()
        except Exception as error:
            answer = None, explained(error)
        try:
            pipe.send(answer)
        except OSError:
            return


class Search:
    """A search around the config that `overrides` compose to.

    `trials` points in all, those that are recorded included; each trains seeds 0 to `seeds_per_trial` - 1. Then the
    best trial of the folder and the baseline train the same `fresh_seeds`.
    """

    def __init__(self, cfg: DictConfig, overrides: Sequence[str]) -> None:
        """Raises InputError for settings that cannot be; nothing is written."""
        self.cfg = cfg
        given = {o: o.lstrip("+~").split("=")[0] for o in overrides}
        for key in ("seed", "seeds", "overwrite", "ckpt_path"):
            if key in given.values():
                raise InputError(
                    f"{key}=: a search says itself what is trained; how many seeds is said by seeds_per_trial= and "
                    "fresh_seeds="
                )
        if cfg.search not in SEARCHES:
            raise InputError(f"search={cfg.search}: choose one of {', '.join(SEARCHES)}")
        for key, least in (("trials", 1), ("seeds_per_trial", 1), ("fresh_seeds", 0), ("search_seed", 0)):
            whole_number(cfg, key, least)
        whole_number(cfg, "fail_fast")
        if cfg.seeds_per_trial > FIRST_FRESH_SEED:
            raise InputError(f"seeds_per_trial={cfg.seeds_per_trial}: at most {FIRST_FRESH_SEED:,}")
        if cfg.fresh_seeds == 1:
            raise InputError("fresh_seeds=1: one seed has no spread; at least 2, better 20, or 0 to leave it out")
        if cfg.metric != "val/acc":
            raise InputError(f"metric={cfg.metric}: a search chooses by val/acc, which comparisons are made in as well")
        self.overrides = [o for o, key in given.items() if key.split(".")[0] not in OF_THE_SEARCH]
        self.folder = search_folder(cfg)
        self.space = Space.of(*declared(cfg))
        for h in self.space.hyperparameters:
            if isinstance(OmegaConf.select(cfg, h.key), DictConfig):  # a group: each choice has to be there
                for value in h.range:
                    self.composed(BASELINE, {h.key: value})
        self.workers = workers(cfg)
        self.seeds = range(cfg.seeds_per_trial)
        self.fresh = range(FIRST_FRESH_SEED, FIRST_FRESH_SEED + cfg.fresh_seeds)
        self.points = self.space.explored(cfg.trials, cfg.search_seed) if cfg.search == "explore" else []
        self.total = len(self.points) if cfg.search == "explore" else cfg.trials
        self.trials: list[Trial] = []  # of this command, in their order
        self.known: dict[int, Trial] = {}  # those of them that are in the folder, by their place
        self.others: list[Trial] = []  # found in the folder besides
        self.numbers = 0
        self.queue: deque[Pair] = deque()
        self.baseline_queue: deque[Pair] = deque()
        self.outstanding: Counter[str] = Counter()  # pairs of each trial that are queued or trained
        self.judged: str | None = None
        self.failures: list[str] = []
        self.trained: list[Record] = []

    def composed(self, name: str, point: Point) -> DictConfig:
        """The config of one study of this search, as its own command composes it."""
        others = [o for o in self.overrides if o.lstrip("+~").split("=")[0] not in point]
        added = {o.lstrip("+").split("=")[0] for o in self.overrides if o.startswith("+")}
        values = [f"{'++' * (key in added)}{key}={typed(value)}" for key, value in point.items()]
        places = [f"study={name}", f"results={typed(str(self.folder))}"]
        return compose("train", [*others, *values, *places], return_hydra_config=True)

    def arm(self, name: str, point: Point) -> Arm:
        return Arm(name, self.composed(name, point), self.folder / name)

    def enqueue(self, arm: Arm, seeds: Sequence[int], queue: deque[Pair]) -> None:
        """Queue the seeds that have no result yet."""
        missing = [seed for seed in seeds if not arm.has(seed)]
        if missing:
            arm.folder.mkdir(parents=True, exist_ok=True)
            Study(arm.folder, {}).start(asked=spelled(seeds))
        queue.extend((arm, seed) for seed in missing)
        self.outstanding[arm.name] += len(missing)

    def recall(self) -> None:
        """Take in what is in the folder: trials of this very search, and others."""
        found = trials_in(self.folder)
        self.numbers = 1 + max((trial.number for trial in found), default=-1)
        if self.cfg.search == "explore":
            by_point = {tuple(sorted(trial.point.items())): trial for trial in reversed(found)}
            asked = {i: by_point.get(tuple(sorted(point.items()))) for i, point in enumerate(self.points)}
            self.known = {i: trial for i, trial in asked.items() if trial}
        else:
            ours = [t for t in found if t.search == "exploit" and t.space == self.space.described()]
            self.known = dict(enumerate(ours[: self.total]))
        names = {trial.name for trial in self.known.values()}
        self.others = [trial for trial in found if trial.name not in names]
        if self.total < self.cfg.trials:
            print(f"trials={self.cfg.trials}: the space has {self.total} different points; each is a trial")
        done = sum(all(s in t.scores or s in t.diverged for s in self.seeds) for t in self.known.values())
        if done:
            print(f"{self.folder.name}: {done} of {self.total} trials have their records, {self.total - done} to train")

    def next_trial(self) -> bool:
        """Queue the pairs of the next trial; False where there is none, or none yet."""
        place = len(self.trials)
        if place >= self.total:
            return False
        trial = self.known.get(place)
        if trial is None:
            # Of the latest trials nothing is used, finished or not, so that points do not depend on who was faster.
            under_way = self.trials[max(0, place - self.ahead) :] if self.cfg.search == "exploit" else []
            settled = self.trials[: place - len(under_way)]
            if self.cfg.search == "exploit":
                if any(self.outstanding[trial.name] for trial in settled):
                    return False
                told = [*tried(self.others), *tried(settled), *((trial.point, None) for trial in under_way)]
                point = self.space.proposed(told, [self.cfg.search_seed, place])
                if point is None:
                    print(f"trials={self.total}: {place}, and every point of the space is tried", flush=True)
                    self.total = place
                    return False
            else:
                point = self.points[place]
            name = f"trial-{self.numbers:03d}"
            self.numbers += 1
            trial = Trial(name, point, {}, search=self.cfg.search, space=self.space.described())
            trial.describe(self.folder / name)
        self.trials.append(trial)
        self.enqueue(self.arm(trial.name, trial.point), self.seeds, self.queue)
        return True

    @property
    def ahead(self) -> int:
        """How many trials run beside the one that is asked for: as many as keep all other workers busy."""
        return -(-(self.workers - 1) // len(self.seeds))

    def next_pair(self) -> Pair | None:
        """What an idle worker trains next; None where it has to wait, or where nothing is left."""
        while not self.queue and self.next_trial():
            pass
        if self.queue:
            return self.queue.popleft()
        if self.baseline_queue:
            return self.baseline_queue.popleft()
        chosen = len(self.trials) == self.total and not any(self.outstanding[trial.name] for trial in self.trials)
        if chosen and self.fresh and self.judged is None and (winner := self.best()):
            self.judged = f"{winner.name}-fresh"
            self.enqueue(self.arm(self.judged, winner.point), self.fresh, self.queue)
            if self.queue:
                print(f"best: {self.told(winner)}; now {len(self.fresh)} seeds it was not chosen by", flush=True)
                return self.queue.popleft()
        return None

    def best(self) -> Trial | None:
        """The best trial of all that are in the folder and have a value for the same keys; the first of equals."""
        keys, every = set(self.space.keys), sorted((*self.others, *self.trials), key=lambda trial: trial.number)
        return best_of([trial for trial in every if trial.point.keys() == keys])

    def run(self) -> None:
        """Train what is missing. Raises InputError where all fail for one reason, or where a config cannot be."""
        began = time.monotonic()
        deaths: Counter[tuple[str, int]] = Counter()
        last_reason, in_a_row, last_line = "", 0, began
        with interruptible(), ExitStack() as held, Crew(self.workers, forks=not gpus(self.cfg)) as crew:
            baseline = self.arm(BASELINE, {})
            config = self.prepare(crew, baseline)
            held.enter_context(_alone_in(self.folder))
            check_baseline(self.folder, config)
            self.recall()
            self.enqueue(baseline, self.fresh, self.baseline_queue)
            while True:
                while crew.is_free and (pair := self.next_pair()):
                    crew.give(pair, pair[0].cfg, pair[1])
                if not crew.is_busy:
                    break
                if len(self.queue) < self.workers:
                    self.next_trial()  # now, while no worker waits for it
                for (arm, seed), reason in crew.results():
                    if reason is None:
                        deaths[arm.name, seed] += 1
                        Study(arm.folder, {}).release([seed])
                        if deaths[arm.name, seed] < DEATHS:
                            self.queue.appendleft((arm, seed))
                            continue
                        give_up(Study.load(arm.folder), seed, ChildProcessError("its worker died"))
                        reason = f"its worker died {DEATHS} times"
                    self.outstanding[arm.name] -= 1
                    if reason:
                        in_a_row = in_a_row + 1 if reason == last_reason else 1
                        last_reason = reason
                        self.failures.append(f"{arm.name} seed {seed}: {reason}")
                        if in_a_row >= self.cfg.fail_fast:
                            raise InputError(
                                f"{self.folder.name} stopped: {in_a_row} seeds in a row failed: {reason}\n"
                                "Mend the cause and run the same command again."
                            )
                    else:
                        in_a_row = 0
                    last_line = self.tell(arm, seed, began, last_line)
            self.seconds = time.monotonic() - began

    def prepare(self, crew: Crew, baseline: Arm) -> dict[str, Any]:
        """Let one worker settle the baseline's config and make what all seeds share, while the others start up."""
        crew.give(None, baseline.cfg, None)
        while crew.is_busy:
            for _, config in crew.results():
                if config is not None:
                    return config
        raise InputError("a worker died before it trained anything; is there enough memory? (jobs=)")

    def tell(self, arm: Arm, seed: int, began: float, last_line: float) -> float:
        """Take in a pair that ended, and print a line where a trial is done or where it was silent for long."""
        if record := Study.load(arm.folder).record(seed):
            self.trained.append(record)
        place = next((i for i, trial in enumerate(self.trials) if trial.name == arm.name), None)
        left = sum(self.outstanding.values())
        if place is not None and not self.outstanding[arm.name]:
            trial = self.trials[place] = Trial.read(arm.folder)
            best = self.best()
            so_far = f"   best {best.name} {best.score:.2f} %" if best and best.name != trial.name else ""
            print(f"{self.told(trial)}{so_far}{self.time_left(began)}", flush=True)
        elif (place is None and not left) or time.monotonic() - last_line >= SECONDS_BETWEEN_LINES:
            waiting = f"{left} queued" if left else "done"
            print(f"{arm.name}  {len(self.trained)} seeds trained, {waiting}{self.time_left(began)}", flush=True)
        else:
            return last_line
        return time.monotonic()

    def told(self, trial: Trial) -> str:
        """A trial in a line: its score or what went wrong, and its point."""
        if trial.scores:
            score = f"{trial.score:6.2f}" + (f" ± {trial.std:.2f} %" if len(trial.scores) > 1 else " %")
        else:
            score = "diverged" if trial.diverged else "failed"
        odd = {"diverged": trial.diverged, "failed": trial.failed} if trial.scores else {}
        return "  ".join(
            [trial.name, score, *(f"{len(seeds)} {word}" for word, seeds in odd.items() if seeds), trial.settings]
        )

    def time_left(self, began: float) -> str:
        """How long the rest takes at the rate so far, the seeds of trials to come included."""
        come = (self.total - len(self.trials)) * len(self.seeds) + (len(self.fresh) if self.judged is None else 0)
        rest = sum(self.outstanding.values()) + come
        if not rest or not self.trained:
            return ""
        return f"   {duration((time.monotonic() - began) / len(self.trained) * rest)} left"

    def share(self) -> str:
        """How the worker-seconds of this run went."""
        spent = sum(r["seconds"]["train"] + r["seconds"]["score"] for r in self.trained if "seconds" in r)
        whole = self.workers * self.seconds
        return f"{100 * spent / whole:.0f} % of {whole:.0f} worker-seconds in training and scoring"


def search_folder(cfg: DictConfig) -> Path:
    """Where the search of a study lies."""
    return study_folder(cfg.results, f"{cfg.study}-search")


def declared(cfg: DictConfig) -> tuple[Any, dict[str, Any]]:
    """What `space:` says, and the config it is said of."""
    config: Any = OmegaConf.to_container(cfg, resolve=True)
    return config.pop("space", None), config


@contextmanager
def _alone_in(folder: Path) -> Iterator[None]:
    """Hold the folder of a search, up to the death of this process; InputError where another one holds it.

    Two at once would give different points the same number, and one the other's scores.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = (folder / ".lock").open("w")
    except OSError as error:
        raise unwritable(folder, error) from error
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise InputError(
                f"{folder}: another search trains in this folder now; wait until it ends, or give this one a name of "
                "its own, for example study=NAME"
            ) from error
        except OSError:
            pass  # a file system without locks
        yield
