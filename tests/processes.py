"""Commands and workers as processes of their own, forked from one that has imported torch: no five seconds each."""

import atexit
import itertools
import multiprocessing
import os
import runpy
import socket
import subprocess
import sys
import time
from collections.abc import Mapping
from multiprocessing import forkserver, resource_tracker
from multiprocessing.connection import arbitrary_address
from pathlib import Path

import psutil

ROOT = Path(__file__).parent.parent
_NUMBERS = itertools.count()  # of commands
CONTEXT = multiprocessing.get_context("forkserver")


def fork_server() -> None:
    """Fork the server that this process and its commands fork theirs from; Python's own would import torch again."""
    server = forkserver._forkserver
    if server._forkserver_pid is not None:
        return
    resource_tracker.ensure_running()
    listener, address = socket.socket(socket.AF_UNIX), arbitrary_address("AF_UNIX")
    listener.bind(address)
    listener.listen()
    alive, ours = os.pipe()
    if (pid := os.fork()) == 0:
        os.close(ours)
        sys.stdout, sys.stderr = (os.fdopen(n, "w", buffering=1, closefd=False) for n in (1, 2))  # not pytest's
        try:
            forkserver.main(listener.detach(), alive, [])
        finally:
            os._exit(0)  # nothing of the tests' own process runs on
    os.close(alive)
    listener.close()
    server._forkserver_address, server._forkserver_alive_fd, server._forkserver_pid = address, ours, pid


def _run(
    module: str, arguments: list[str], environment: dict[str, str], cwd: str, out: str, err: str, own_workers: bool
) -> None:
    """What `python -m MODULE ARGUMENTS` does, in a session of its own."""
    os.setsid()
    for number, path in ((1, out), (2, err)):
        file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        os.dup2(file, number)
        os.close(file)
    server = forkserver._forkserver
    if own_workers:
        server.__init__()
    else:  # Python would start another server
        server.ensure_running = forkserver.ensure_running = lambda: None
    os.chdir(cwd)
    os.environ.clear()
    os.environ.update(environment)
    sys.path[:] = [cwd, *(path for path in environment.get("PYTHONPATH", "").split(os.pathsep) if path), *sys.path]
    sys.argv = [module, *arguments]
    for name in [name for name in sys.modules if name.startswith("seedspread.commands")]:
        del sys.modules[name]  # they read the environment when they are imported
    try:
        runpy.run_module(module, run_name="__main__", alter_sys=True)
    finally:
        atexit._run_exitfuncs()  # multiprocessing leaves them out; joblib ends its workers there


def find_session(pid: int) -> int | None:
    try:
        return os.getsid(pid)
    except OSError:
        return None  # it has just ended


class Command:
    """`python -m MODULE ARGUMENTS`, started; what subprocess.Popen offers, as far as tests need it."""

    def __init__(
        self,
        folder: Path,
        module: str,
        *arguments: str,
        env: Mapping[str, str] | None = None,
        cwd: Path = ROOT,
        output: str | None = None,
        own_workers: bool = False,
    ) -> None:
        """`output`: a terminal, which becomes that of the command, or a pipe; else `communicate` returns it.

        With `own_workers` what the command starts is in its session, as it is for users, and imports torch itself;
        else its workers are forked from the server of these tests, in a moment.
        """
        number = next(_NUMBERS)
        files = (folder / f"{number}.{name}" for name in ("out", "err"))
        self._out, self._err = (Path(output),) * 2 if output else files
        given = dict(os.environ if env is None else env)
        self._process = CONTEXT.Process(
            target=_run, args=(module, list(arguments), given, str(cwd), str(self._out), str(self._err), own_workers)
        )
        self._process.start()
        self.pid = self._process.pid

    @property
    def returncode(self) -> int | None:
        return self._process.exitcode

    def poll(self) -> int | None:
        return self._process.exitcode

    def wait(self, timeout: float | None = None) -> int:
        self._process.join(timeout)
        if (code := self._process.exitcode) is None:
            raise subprocess.TimeoutExpired("command", timeout or 0.0)
        return code

    def communicate(self, timeout: float = 300.0) -> tuple[str, str]:
        """Standard output and error, once the command and all that it started have ended."""
        deadline = time.monotonic() + timeout
        self.wait(timeout)
        while any(find_session(pid) == self.pid for pid in psutil.pids()):
            if time.monotonic() > deadline:
                raise subprocess.TimeoutExpired("processes of a command", timeout)
            time.sleep(0.02)
        return self._out.read_text(), self._err.read_text()

    def send_signal(self, sign: int) -> None:
        os.kill(self.pid, sign)
