"""The processes of a DataLoader: how they start, and that they end with the process that they load for."""

import ctypes
import multiprocessing
import signal
import sys

START_METHOD = multiprocessing.get_all_start_methods()[0]  # the platform's usual one, whatever started this process

_SET_PDEATHSIG = 1  # of prctl(2)


def end_with_parent(worker: int) -> None:
    """End this process at once where its parent is killed: `worker_init_fn` of a DataLoader.

    Else its processes notice that within 5 s, and then say that their temporary files are gone. Linux alone can do so.
    """
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
