"""Worker processes that train one seed after another, of any study.

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

Task = tuple[DictConfig, int]  # the config of a study and a seed


class WorkerPool:
    """Worker processes; where one dies, its seed is retried by a new one."""

    def __init__(
        self, size: int, serve: Callable[[Connection], None], forks: bool, preload: Sequence[str] = ()
    ) -> None:
        """Each worker runs `serve`, a function importable by name, on its end of a pipe.

        With `forks` one process imports `preload`, and the workers share its memory; CUDA must not be forked.
        """
        self._serve = serve
        request_huge_pages()
        self._context: Any = multiprocessing.get_context("forkserver" if forks else "spawn")
        if forks:
            self._context.set_forkserver_preload(list(preload))
        self._processes: list[BaseProcess] = []  # dead ones included
        self._busy: dict[Connection, tuple[BaseProcess, Any]] = {}
        self._idle = [self._start_worker() for _ in range(size)]
        self._deaths: Counter[tuple[str, int]] = Counter()

    def _start_worker(self) -> tuple[Connection, BaseProcess]:
        ours, theirs = self._context.Pipe()
        process = self._context.Process(target=self._serve, args=(theirs,))
        self._processes.append(process)
        with _ignore_ctrl_c():
            process.start()
        theirs.close()  # so that the pipe ends when the worker dies
        return ours, process

    def __enter__(self) -> "WorkerPool":
        return self

    def __exit__(self, *_: Any) -> None:
        with _ignore_ctrl_c():  # a second Ctrl-C would leave some of them running
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
        """The identity of `cfg`'s study, from a worker that also extracts the features its seeds share."""
        return self._run_task(cfg, PREPARE)

    def check(self, cfg: DictConfig) -> None:
        """Raise InputError where `cfg` cannot be built; nothing is written."""
        self._run_task(cfg, CHECK)

    def _run_task(self, cfg: DictConfig, task: str) -> Any:
        self.submit(cfg, task)
        ((_, result),) = self._wait_for_results()
        if result is None:
            raise InputError("a worker died before it trained anything; is there enough memory? (jobs=)")
        return result

    def submit(self, cfg: DictConfig, task: int | str) -> None:
        """Send an idle worker a task: a seed of `cfg`'s study, PREPARE or CHECK."""
        pipe, process = self._idle.pop(0)
        try:
            pipe.send((cfg, task))
        except OSError:  # it died while idle
            pipe, process = self._start_worker()
            pipe.send((cfg, task))
        self._busy[pipe] = process, (cfg, task)

    def completed(self) -> Iterator[tuple[str, int, str]]:
        """Wait for seeds to end; yield the study, the seed and the reason of its failure, or an empty one.

        Raises InputError for errors that concern all seeds.
        """
        for (cfg, seed), reason in self._wait_for_results():
            if reason is None:
                folder = study_folder(cfg.results, cfg.study)
                self._deaths[cfg.study, seed] += 1
                release_seeds(folder, [seed])
                if self._deaths[cfg.study, seed] < DEATHS:
                    self.submit(cfg, seed)
                    continue
                record_dead_worker(Study.load(folder), seed, ChildProcessError("its worker died"))
                reason = f"its worker died {DEATHS} times"
            yield cfg.study, seed, reason

    def _wait_for_results(self) -> Iterator[tuple[Any, Any]]:
        """Wait; yield each task that ended and its result, None where the worker died."""
        for pipe in wait(list(self._busy)):
            assert isinstance(pipe, Connection)
            process, task = self._busy.pop(pipe)
            try:
                result = pipe.recv()
            except (EOFError, OSError):
                process.join()
                pipe, process = self._start_worker()
                result = None
            self._idle.append((pipe, process))
            if isinstance(result, InputError):
                raise result
            yield task, result


@contextmanager
def _ignore_ctrl_c() -> Iterator[None]:
    """Processes started within the block ignore Ctrl-C, during imports too: the parent ends its workers itself."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
