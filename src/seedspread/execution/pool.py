"""Worker processes that train one seed after another, of whichever study is handed to them.

They import torch and Lightning once; this process imports neither.
"""

import multiprocessing
import signal
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from typing import Any

from omegaconf import DictConfig

from seedspread.config.errors import InputError
from seedspread.execution.failures import DEATHS, record_dead_worker
from seedspread.execution.local import request_huge_pages
from seedspread.records.claims import release_seeds
from seedspread.records.study import Study, study_folder

PREPARE, CHECK = "prepare", "check"

Task = tuple[DictConfig, int]  # the config of a study, and a seed: the unit of work


class WorkerPool:
    """Workers; the death of one costs the seed it was on, which is begun again, and nothing else."""

    def __init__(
        self, size: int, serve: Callable[[Connection], None], forks: bool, preload: Sequence[str] = ()
    ) -> None:
        """Each worker runs `serve`, importable by name, on its end of a pipe.

        With `forks` one process imports `preload` for all, and their memory is shared; CUDA is not to be forked.
        """
        self._serve = serve
        request_huge_pages()
        self._context: Any = multiprocessing.get_context("forkserver" if forks else "spawn")
        if forks:
            self._context.set_forkserver_preload(list(preload))
        self._processes: list[BaseProcess] = []  # all there ever were
        self._busy: dict[Connection, tuple[BaseProcess, Any]] = {}
        self._idle = [self._hired() for _ in range(size)]
        self._deaths: Counter[tuple[str, int]] = Counter()

    def _hired(self) -> tuple[Connection, BaseProcess]:
        ours, theirs = self._context.Pipe()
        process = self._context.Process(target=self._serve, args=(theirs,))
        self._processes.append(process)
        with _ignore_ctrl_c():
            process.start()
        theirs.close()  # so that its death is the end of the pipe
        return ours, process

    def __enter__(self) -> "WorkerPool":
        return self

    def __exit__(self, *_: Any) -> None:
        with _ignore_ctrl_c():  # a second one would leave some of them running
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

    def identity(self, cfg: DictConfig) -> dict[str, Any]:
        """What makes a study of `cfg`, by a worker, which also makes what all its seeds share; the others start up."""
        return self._answer(cfg, PREPARE)

    def check(self, cfg: DictConfig) -> None:
        """InputError where no seed of `cfg` could begin; nothing is written."""
        self._answer(cfg, CHECK)

    def _answer(self, cfg: DictConfig, task: str) -> Any:
        self.give(cfg, task)
        ((_, answer),) = self._answers()
        if answer is None:
            raise InputError("a worker died before it trained anything; is there enough memory? (jobs=)")
        return answer

    def give(self, cfg: DictConfig, task: int | str) -> None:
        """Let an idle worker train a seed of a study, or do what is done before that: PREPARE or CHECK."""
        pipe, process = self._idle.pop(0)
        try:
            pipe.send((cfg, task))
        except OSError:  # it died of something while it had nothing to do
            pipe, process = self._hired()
            pipe.send((cfg, task))
        self._busy[pipe] = process, (cfg, task)

    def ended(self) -> Iterator[tuple[str, int, str]]:
        """Wait, and give study, seed and, where it failed, the reason of what has ended.

        Raises InputError for what concerns all seeds.
        """
        for (cfg, seed), reason in self._answers():
            if reason is None:
                folder = study_folder(cfg.results, cfg.study)
                self._deaths[cfg.study, seed] += 1
                release_seeds(folder, [seed])
                if self._deaths[cfg.study, seed] < DEATHS:
                    self.give(cfg, seed)
                    continue
                record_dead_worker(Study.load(folder), seed, ChildProcessError("its worker died"))
                reason = f"its worker died {DEATHS} times"
            yield cfg.study, seed, reason

    def _answers(self) -> Iterator[tuple[Any, Any]]:
        """What was given to workers that have ended it, with what came of it: of a worker's death None."""
        for pipe in wait(list(self._busy)):
            assert isinstance(pipe, Connection)
            process, work = self._busy.pop(pipe)
            try:
                answer = pipe.recv()
            except (EOFError, OSError):
                process.join()
                pipe, process = self._hired()
                answer = None
            self._idle.append((pipe, process))
            if isinstance(answer, InputError):
                raise answer
            yield work, answer


@contextmanager
def _ignore_ctrl_c() -> Iterator[None]:
    """What is started within the block ignores Ctrl-C, imports included: the parent ends its workers itself."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
