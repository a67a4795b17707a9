"""`ss.assert_reproducible(train, seed=0)`: a test that fails where two calls with one seed differ, and says where."""

from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from seedspread.audit.difference import Difference, find_difference, locate_module
from seedspread.audit.kernels import COMPUTED
from seedspread.audit.seeding import find_changing
from seedspread.audit.trace import Process, Trace
from seedspread.audit.tracer import Session
from seedspread.audit.tracer.tracing import Ended
from seedspread.config.errors import InputError


def assert_reproducible(train: Callable[[int], Any], seed: int = 0, steps: int = 200) -> None:
    """Call `train(seed)` twice in this process, at most so many optimizer steps of each, and compare all of it.

    Nothing is seeded but by the function. Raises AssertionError that says where the two first differ: the initial
    weights, a batch, the output of a module, a gradient; InputError where no training step is seen.

    >>> def train(seed):
    ...     torch.manual_seed(seed)
    ...     torch.nn.Linear(3, 1)(torch.randn(8, 3)).sum().backward()
    >>> import torch
    >>> ss.assert_reproducible(train, seed=3)
    """
    one, other = (_trace(train, seed, steps) for _ in range(2))
    if not one.steps:
        raise InputError("no step of an optimizer, backward or forward pass of torch was seen in the function")
    if (found := find_difference(one, other)) is None:
        return
    place = locate_module(one, other)
    if place is None or place.step != found.step or found.part not in COMPUTED:
        place = found
    raise AssertionError(_explain(place, seed, one, other))


def _explain(found: Difference, seed: int, one: Process, other: Process) -> str:
    where = f" of {found.where}" if found.where else ""
    said = f"seed {seed} twice: first differ at step {found.step}, in {found.part}{where}"
    call = find_changing(one, other)
    return said if call is None else f"{said}; {call.caller} calls {call.function} with another value each time"


def _trace(train: Callable[[int], Any], seed: int, steps: int) -> Process:
    with TemporaryDirectory() as folder:
        session = Session(folder, steps, level="modules", exits=False)
        session.start()
        try:
            with suppress(Ended):
                train(seed)
        finally:
            session.stop()
        return Trace.read(Path(folder)).main
