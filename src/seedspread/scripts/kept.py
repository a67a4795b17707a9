"""Programs that are kept: what they print goes to files, and nothing of them is left behind."""

import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

KEEPER = Path(__file__).with_name("keeper.py")
LINES_KEPT = 100  # of stderr, in the traceback of a failure


def run_kept(
    arguments: Sequence[str], folder: Path, environment: Mapping[str, str], timeout: float | None
) -> tuple[int, bool]:
    """Run a program to its end, or to that of its time; return its exit code and whether it was late.

    What it prints is in stdout.txt and stderr.txt of `folder`; `environment` comes on top of this process's own.
    """
    with (folder / "stdout.txt").open("wb") as out, (folder / "stderr.txt").open("wb") as err:
        keeper = subprocess.Popen(
            [sys.executable, "-I", "-S", str(KEEPER), str(os.getpid()), *arguments],
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=err,
            env={**os.environ, **environment},
            start_new_session=True,  # whoever kills the group of this process leaves it to end the program
        )
        try:
            return keeper.wait(timeout), False
        except subprocess.TimeoutExpired:
            keeper.terminate()
            return keeper.wait(), True
        except BaseException:  # Ctrl-C
            keeper.terminate()
            keeper.wait()
            raise


def read_errors(folder: Path) -> list[str]:
    """The last lines that a program wrote to stderr."""
    return (folder / "stderr.txt").read_text(errors="replace").splitlines()[-LINES_KEPT:]


def explain_exit(code: int, said: Sequence[str]) -> str:
    if code < 0:
        return f"signal {signal.Signals(-code).name}"
    last = next((line.strip() for line in reversed(said) if line.strip()), "")
    return f"exit code {code}" + (f": {last[:200]}" if last else "")
