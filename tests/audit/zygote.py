"""Runs Python programs in forks of a process that has imported torch: a second instead of five.

A request is a line of JSON on standard input: arguments, environment, folder; the answer is the exit code. As a new
process would, a fork begins with generators that the operating system seeds; it has the PYTHONHASHSEED
of this process.
"""

import atexit
import contextlib
import importlib
import json
import os
import random
import runpy
import signal
import sys
import traceback
from pathlib import Path

import numpy as np
import torch
import torch._dynamo
import torch.utils.data

for library in ("joblib", "scipy.stats", "sklearn.utils.validation", "lightning"):  # import nothing that is traced anew
    importlib.import_module(library)


def run(request: dict) -> None:
    """Become the program."""
    os.setpgid(0, 0)
    for descriptor, name in ((1, "stdout.txt"), (2, "stderr.txt")):
        os.dup2(os.open(Path(request["folder"], name), os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o666), descriptor)
    os.environ.update(request["environment"])
    for seed in (random.seed, np.random.seed, torch.seed):
        seed()
    arguments = request["arguments"]
    while "=" in arguments[1]:  # env NAME=VALUE python ...
        name, _, value = arguments.pop(1).partition("=")
        os.environ[name] = value
    sys.argv = arguments[2:] if arguments[0] == "env" else arguments[1:]
    sys.path[0] = str(Path(sys.argv[0]).parent)
    sys.modules.pop("sitecustomize", None)
    runpy.run_path(str(Path(request["startup"], "sitecustomize.py")))
    code = 1
    try:
        runpy.run_path(sys.argv[0], run_name="__main__")
        code = 0
    except SystemExit as exit_:
        code = exit_.code if isinstance(exit_.code, int) else int(exit_.code is not None)
    except BaseException:
        traceback.print_exc()
    finally:
        atexit._run_exitfuncs()
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)  # Python would take a second and a half to free what it has imported


def main() -> None:
    """Serve requests until standard input ends."""
    for line in sys.stdin:
        request = json.loads(line)
        pid = os.fork()
        if not pid:
            run(request)
        _, status = os.waitpid(pid, 0)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(pid, signal.SIGKILL)
        print(os.waitstatus_to_exitcode(status), flush=True)


if __name__ == "__main__":
    torch.set_num_threads(1)
    main()
