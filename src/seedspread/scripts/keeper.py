"""Runs a program and ends with all its descendants: `python keeper.py PARENT PROGRAM ARGUMENTS`; exits as it does.

A process of its own, without this package's imports. It ends the program when the process PARENT, which started it,
dies. On Linux it adopts the orphans among the program's descendants: whatever happens, nothing of the program is left
behind. Elsewhere it ends the program's process group.
"""

import contextlib
import ctypes
import os
import pathlib
import signal
import subprocess
import sys
import time

SECONDS_TO_END = 5.0  # between SIGTERM and SIGKILL
_SET_PDEATHSIG, _SET_CHILD_SUBREAPER = 1, 36  # of prctl(2)


def main() -> None:
    """Run the program of the command line."""
    parent, adopts = int(sys.argv[1]), _prctl(_SET_CHILD_SUBREAPER, 1)
    stop = False

    def ask_to_stop(*_: object) -> None:
        nonlocal stop
        stop = True

    for sign in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(sign, ask_to_stop)
    _prctl(_SET_PDEATHSIG, signal.SIGTERM)
    if os.getppid() != parent:
        return  # the parent died before it could be watched
    program = subprocess.Popen(sys.argv[2:], start_new_session=True)
    while (code := program.poll()) is None and not stop and os.getppid() == parent:
        with contextlib.suppress(subprocess.TimeoutExpired):
            program.wait(0.05)
    end_all(program, adopts)
    code = program.wait() if code is None else code
    if code < 0:  # end by the same signal
        if -code not in (signal.SIGKILL, signal.SIGSTOP):
            signal.signal(-code, signal.SIG_DFL)
        os.kill(os.getpid(), -code)
    sys.exit(code)


def end_all(program: "subprocess.Popen[bytes]", adopts: bool) -> None:
    """End the program's group and what this process has adopted: SIGTERM, and SIGKILL after a while."""
    deadline, sign = time.monotonic() + SECONDS_TO_END, signal.SIGTERM
    while True:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(program.pid, sign)
        descendants = find_descendants(os.getpid()) if adopts else []
        for pid in descendants:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, sign)
        _reap(program)
        if program.poll() is not None and not (find_descendants(os.getpid()) if adopts else []):
            return
        if time.monotonic() > deadline:
            sign = signal.SIGKILL
        time.sleep(0.02)


def find_descendants(pid: int) -> list[int]:
    """The processes below `pid`, those that ended and wait to be asked for left out."""
    parents: dict[int, tuple[int, str]] = {}
    for folder in pathlib.Path("/proc").iterdir():
        if folder.name.isdigit():
            with contextlib.suppress(OSError, ValueError):  # it has ended meanwhile
                stat = (folder / "stat").read_text(encoding="utf-8", errors="replace")
                state, parent = stat.rpartition(")")[2].split()[:2]
                parents[int(folder.name)] = int(parent), state
    below, found = {pid}, []
    while more := [one for one, (parent, _) in parents.items() if parent in below and one not in below]:
        below.update(more)
        found += [one for one in more if parents[one][1] != "Z"]
    return found


def _reap(program: "subprocess.Popen[bytes]") -> None:
    """Take the exit codes of adopted processes; that of the program is Popen's to take."""
    program.poll()
    with contextlib.suppress(ChildProcessError):
        while program.returncode is not None and os.waitpid(-1, os.WNOHANG)[0]:
            pass


def _prctl(option: int, value: int) -> bool:
    """Whether Linux took an option of this process."""
    try:
        return ctypes.CDLL(None).prctl(option, value, 0, 0, 0) == 0
    except (OSError, AttributeError):
        return False


if __name__ == "__main__":
    main()
