"""Several processes that train one seed together, a device each, as Lightning's strategy `ddp` has them."""

import multiprocessing
import os
import socket
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from lightning.pytorch.plugins.environments import LightningEnvironment

from seedspread.execution.signals import ignore_terminal_signals

SECONDS_TO_END = 30.0  # for the other ranks, once rank 0 has ended


@contextmanager
def other_ranks(ranks: int, train: Callable[..., None], *given: Any) -> Iterator[list[Any]]:
    """Within the block this process is rank 0 of `ranks`; the others call `train(*given, rank, plugins)`.

    Yields the plugins of the Trainer that make Lightning start no processes itself.
    """
    if ranks == 1:
        yield []
        return
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    environment = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "WORLD_SIZE": str(ranks), "NODE_RANK": "0"}
    context = multiprocessing.get_context("spawn")  # CUDA and torch's threads must not be forked
    others = [context.Process(target=_run_rank, args=(train, given, environment, rank)) for rank in range(1, ranks)]
    before = dict(os.environ)
    try:
        with ignore_terminal_signals():
            for process in others:
                process.start()
        yield join_ranks(environment, rank=0)
    finally:
        if torch.distributed.is_initialized():
            torch.distributed.destroy_process_group()
        for process in others:
            if process.pid is not None:
                process.join(SECONDS_TO_END)
                process.kill()
                process.join()
        for name in (*environment, "LOCAL_RANK"):
            os.environ.pop(name, None)
        os.environ.update({name: before[name] for name in (*environment, "LOCAL_RANK") if name in before})


def join_ranks(environment: dict[str, str], rank: int) -> list[Any]:
    """Make this process one of the ranks; the plugins of its Trainer."""
    os.environ.update({**environment, "LOCAL_RANK": str(rank)})
    return [LightningEnvironment()]  # not Slurm's, which counts the processes of the job


def _run_rank(train: Callable[..., None], given: Sequence[Any], environment: dict[str, str], rank: int) -> None:
    train(*given, rank, join_ranks(environment, rank))
