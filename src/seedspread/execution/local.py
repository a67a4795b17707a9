"""Tasks in processes of this machine."""

import multiprocessing
import os
import signal
import sys
import threading
import time
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from pathlib import Path
from types import ModuleType
from typing import Any

from seedspread.execution.signals import ignore_terminal_signals
from seedspread.execution.task import Outcome, Task, work

SECONDS_TO_END = 5.0  # for a worker that has nothing to do; then it is killed


@dataclass(frozen=True)
class _Worker:
    """A process, our end of its pipe, and its place: the GPU that it sees."""

    process: BaseProcess
    pipe: Connection
    place: str


class LocalExecutor:
    """Up to `workers` processes, which start with the tasks that they are needed for.

    Without GPUs they are forked from one process that has imported `preload`, and share its memory. With GPUs each is
    a new process, since CUDA must not be forked, and sees its own devices: the workers take turns over `gpus`.
    """

    def __init__(self, workers: int, preload: Sequence[str] = (), gpus: Sequence[str] = ()) -> None:
        self.workers, self._forks = workers, not gpus
        self._context: Any = multiprocessing.get_context("forkserver" if self._forks else "spawn")
        self._places = deque(gpus[i % len(gpus)] if gpus else "" for i in range(workers))  # that no process has
        self._workers: list[_Worker] = []  # all that run, whatever an interrupt leaves undone of what follows
        self._idle: list[_Worker] = []
        self._busy: dict[Connection, tuple[_Worker, Task]] = {}
        request_huge_pages()
        if self._forks:
            self._context.set_forkserver_preload(list(preload))
            self._start_server()

    def __enter__(self) -> "LocalExecutor":
        return self

    def __exit__(self, *error: object) -> None:
        with ignore_terminal_signals():  # a second Ctrl-C would leave some of them running
            for worker in self._workers:
                if worker not in self._idle and worker.process.pid is not None:
                    worker.process.kill()
                worker.pipe.close()  # an idle worker ends, and one that was about to start
            for worker in self._workers:
                if worker.process.pid is not None:
                    worker.process.join(SECONDS_TO_END)
                    worker.process.kill()
                    worker.process.join()

    def has_room(self) -> bool:
        return bool(self._idle or self._places)

    def submit(self, task: Task) -> None:
        worker = self._idle.pop() if self._idle else self._start_worker()
        try:
            worker.pipe.send(task)
        except OSError:  # it died while idle
            self._forget(worker)
            worker = self._start_worker()
            worker.pipe.send(task)
        self._busy[worker.pipe] = worker, task

    def wait(self, seconds: float) -> list[tuple[Task, Outcome]]:
        if not self._busy:
            time.sleep(seconds)
            return []
        ended = []
        for pipe in wait(list(self._busy), seconds):
            assert isinstance(pipe, Connection)
            worker, task = self._busy.pop(pipe)
            try:
                outcome = pipe.recv()
                self._idle.append(worker)
            except (EOFError, OSError):
                worker.process.join()
                code = worker.process.exitcode or 0
                outcome = Outcome(died=f"signal {signal.Signals(-code).name}" if code < 0 else f"exit code {code}")
                self._forget(worker)
            ended.append((task, outcome))
        return ended

    def _start_worker(self) -> _Worker:
        ours, theirs = self._context.Pipe()
        place = self._places.popleft()
        # What is forked has the environment of the process that it is forked from, as it was when that started.
        environment = dict(os.environ) if self._forks else {"CUDA_VISIBLE_DEVICES": place}
        process = self._context.Process(target=_serve, args=(theirs, str(Path.cwd()), environment))
        worker = _Worker(process, ours, place)
        self._workers.append(worker)
        with _no_main_module():
            if self._forks:
                self._start_server()
                process.start()  # waits until the server has imported all: Ctrl-C is to be heard
            else:
                with ignore_terminal_signals():
                    process.start()
        theirs.close()  # so that the pipe ends when the worker dies
        return worker

    def _start_server(self) -> None:
        """Start the process that workers are forked from, where it does not run; it imports from then on."""
        with ignore_terminal_signals():
            multiprocessing.forkserver.ensure_running()  # type: ignore[attr-defined]

    def _forget(self, worker: _Worker) -> None:
        self._workers.remove(worker)
        self._places.append(worker.place)


@contextmanager
def _no_main_module() -> Iterator[None]:
    """Processes started within the block do not import the program that starts them.

    multiprocessing would run a user's script again in each worker, up to the line that starts the workers; the names of
    that script come to them with the task (cloudpickle).
    """
    main = sys.modules["__main__"]
    sys.modules["__main__"] = ModuleType("__main__")
    try:
        yield
    finally:
        sys.modules["__main__"] = main


def _serve(pipe: Connection, folder: str, environment: dict[str, str]) -> None:
    """Run the tasks that `pipe` brings until its other end is closed; end at once where the parent is killed."""
    os.chdir(folder)
    os.environ.update(environment)
    threading.Thread(target=_end_with_parent, daemon=True, name="parent").start()
    with suppress(OSError):  # nobody waits for the answer any more
        work(_receive_tasks(pipe), lambda _, outcome: pipe.send(outcome))


def _receive_tasks(pipe: Connection) -> Iterator[Task]:
    """The tasks that `pipe` brings."""
    with suppress(EOFError, OSError):
        while True:
            yield pipe.recv()


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    assert parent is not None
    wait([parent.sentinel])
    os._exit(1)


def request_huge_pages() -> None:
    """Let glibc in processes started from now on request pages of 2 MiB: the same bits in less time.

    Activations are large, and small pages cause misses in the translation buffer (measured by benchmarks/step.py).
    glibc 2.35 and later read this variable when a process starts; other C libraries ignore it.
    """
    given = os.environ.get("GLIBC_TUNABLES", "")
    if "glibc.malloc.hugetlb" not in given:
        os.environ["GLIBC_TUNABLES"] = ":".join(filter(None, (given, "glibc.malloc.hugetlb=1")))


def visible_gpus(count: int, together: int = 1) -> list[str]:
    """The GPUs that workers may take, as CUDA_VISIBLE_DEVICES names them: `count` of those that this process sees.

    Where a worker needs several `together`, each item names so many.
    """
    given = os.environ.get("CUDA_VISIBLE_DEVICES")
    seen = given.split(",")[:count] if given else [str(i) for i in range(count)]
    return [",".join(seen[i : i + together]) for i in range(0, len(seen) - together + 1, together)]
