"""Functions that tests hand to executors as tasks: plain data in, plain data out."""

import os
import signal
import time
from pathlib import Path


def square(number: int) -> int:
    return number * number


def fail(payload: object) -> None:
    raise ValueError(f"no task for {payload}")


def describe_process(name: str) -> tuple[int, str, str | None]:
    """Process id, working folder and one variable of the environment."""
    return os.getpid(), str(Path.cwd()), os.environ.get(name)


def count_and_die(payload: tuple[str, str, int]) -> str | None:
    """Note the start of a task in a file; die in the first `times` starts."""
    name, place, times = payload
    with Path(place, name).open("a") as file:
        file.write("x")
    if Path(place, name).stat().st_size <= times:
        os.kill(os.getpid(), signal.SIGKILL)
    return None


def fail_together(payload: tuple[str, str]) -> str:
    """Note the start of a task, and fail as seeds do: with a reason."""
    name, place = payload
    Path(place, name).touch()
    time.sleep(0.02)
    return "out of luck"


def sleep(place: str) -> None:
    Path(place, str(os.getpid())).touch()
    time.sleep(600)


class _Interrupt:
    """Unpickled as a Ctrl-C that arrives at that moment."""

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return _interrupt, (str(os.getpid()),)


def _interrupt(pid: str) -> None:
    raise KeyboardInterrupt(pid)


def interrupt_the_reader(payload: object) -> _Interrupt:
    return _Interrupt()
