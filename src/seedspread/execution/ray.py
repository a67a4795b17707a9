"""Tasks on a Ray cluster."""

import logging
import os
import socket
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from seedspread.config.errors import InputError
from seedspread.config.extras import explain_extra
from seedspread.execution.local import request_huge_pages
from seedspread.execution.task import Outcome, Task, work

SECONDS_TO_ANSWER = 10.0
SECONDS_TO_COUNT = 2.0  # between two looks at what the cluster has


class RayExecutor:
    """As many tasks at once as the cluster has room for: nodes that join are used, those that leave are forgotten.

    `cpus` and `gpus` are what one task takes. `workers` limits the tasks that run at once.
    """

    def __init__(
        self, address: str, cpus: int, gpus: float, workers: int | None = None, preload: Sequence[str] = ()
    ) -> None:
        """Raises InputError where Ray is not installed or the cluster does not answer."""
        try:
            import ray  # noqa: PLC0415 - an optional engine
        except ImportError as error:
            raise InputError(f"executor=ray: Ray is not installed; {explain_extra('ray')}") from error
        check_address(address)
        request_huge_pages()
        package = str(Path(__file__).resolve().parents[2])  # nodes that share this folder need no installation
        paths = os.pathsep.join(filter(None, (package, os.environ.get("PYTHONPATH"))))
        environment = {"PYTHONPATH": paths, "GLIBC_TUNABLES": os.environ["GLIBC_TUNABLES"]}
        try:
            ray.init(
                address=address,
                log_to_driver=False,
                logging_level=logging.WARNING,
                configure_logging=False,
                runtime_env={"env_vars": environment},
            )
        except ConnectionError as error:
            raise InputError(
                f"executor.address={address}: no Ray cluster answers there; ray start --head starts one here"
            ) from error
        self._ray, self._most, self._needs = ray, workers, {"CPU": cpus, "GPU": gpus}
        # Ray would start a process anew for each task that uses a GPU: max_calls=0 keeps it.
        self._run = ray.remote(num_cpus=cpus, num_gpus=gpus, max_retries=0, max_calls=0)(_run)
        self._running: dict[Any, Task] = {}
        self._room, self._counted = 0, -SECONDS_TO_COUNT
        self.workers = self._count_room()

    def __enter__(self) -> "RayExecutor":
        return self

    def __exit__(self, *_: object) -> None:
        for reference in self._running:
            self._ray.cancel(reference, force=True)
        self._ray.shutdown()

    def has_room(self) -> bool:
        return len(self._running) < self._count_room()

    def submit(self, task: Task) -> None:
        self._running[self._run.remote(task, str(Path.cwd()))] = task

    def wait(self, seconds: float) -> list[tuple[Task, Outcome]]:
        if not self._running:
            time.sleep(seconds)
            return []
        self._ray.wait(list(self._running), timeout=seconds)
        ended, _ = self._ray.wait(list(self._running), num_returns=len(self._running), timeout=0)
        return [(self._running.pop(reference), self._outcome(reference)) for reference in ended]

    def _outcome(self, reference: Any) -> Outcome:
        try:
            return Outcome(**self._ray.get(reference))
        except self._ray.exceptions.RayError as error:
            return Outcome(died=f"{type(error).__name__} on Ray")

    def _count_room(self) -> int:
        """How many tasks the cluster has room for; at least one, which Ray may start a node for."""
        if time.monotonic() - self._counted >= SECONDS_TO_COUNT:
            has = self._ray.cluster_resources()
            room = min(int(has.get(what, 0) / n) for what, n in self._needs.items() if n)
            self._room, self._counted = max(1, min(room, self._most or room)), time.monotonic()
        return self._room


def _run(task: Task, folder: str) -> dict[str, Any]:
    """The fields of the task's outcome: plain data, as Ray's own pickle takes them anywhere."""
    os.chdir(folder)
    outcomes: list[Outcome] = []
    work([task], lambda _, outcome: outcomes.append(outcome))
    return vars(outcomes[0])


def check_address(address: str) -> None:
    """Raise InputError where a cluster at host:port does not answer; Ray itself would wait for minutes."""
    if address in ("auto", "local") or "://" in address:
        return
    host, _, port = address.rpartition(":")
    try:
        socket.create_connection((host, int(port)), SECONDS_TO_ANSWER).close()
    except (OSError, ValueError) as error:
        raise InputError(
            f"executor.address={address}: no Ray cluster answers there ({error}); "
            "ray start --head prints the address; auto finds a cluster on this machine"
        ) from error
