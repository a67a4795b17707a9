"""Starts and stops the tracing of this process."""

from __future__ import annotations

import contextlib
import importlib.util
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from . import estimators, forward, listing, loaders, seeding, steps
from .tracing import Tracing


class Session(Tracing):
    """Writes what happens in this process to a trace, from `start` to `stop`."""

    def __init__(self, folder: str, limit: int | None = None, level: str = "steps", exits: bool = True) -> None:
        super().__init__(folder, limit, level, exits)
        self._imports: contextlib.AbstractContextManager[None] = contextlib.nullcontext()
        self._handles: list[Any] = []

    def start(self) -> None:
        """Trace from now on; what is imported later is traced from its import on."""
        actions: dict[str, Callable[[Any], object]] = {
            "numpy.random": lambda module: seeding.trace_numpy(self, module),
            "torch": self._trace_torch,
            "sklearn.base": lambda module: estimators.trace_fits(self, module),
        }
        seeding.trace_random(self)
        later = {}
        for name, action in actions.items():
            if name in sys.modules:
                action(sys.modules[name])
            else:
                later[name] = action
        self._imports = _load_after_import()(later)
        self._imports.__enter__()
        os.register_at_fork(after_in_child=self.writer.forget_file)

    def stop(self, reason: str = "stopped") -> None:
        """Trace no more, and take every patch back."""
        self.writer.write("end", reason, self.watch.shown())
        self._imports.__exit__(None, None, None)
        for handle in self._handles:
            handle.remove()
        self.patches.undo()

    def _trace_torch(self, torch: Any) -> None:
        self.watch.look()
        self.watch.drawn.discard("torch")
        seeding.trace_torch(self, torch)
        self._handles += forward.trace_modules(self, torch)
        self._handles += steps.trace_steps(self, torch)
        loaders.trace_loaders(self, torch)


def start_from_environment() -> None:
    """Trace this process as the command that started the program asks for in its environment."""
    given = os.environ
    limit = given.get("SEEDSPREAD_TRACE_STEPS")
    level = given.get("SEEDSPREAD_TRACE_LEVEL", "steps")
    session = Session(given["SEEDSPREAD_TRACE"], int(limit) if limit else None, level)
    if given.get("SEEDSPREAD_TRACE_REVERSED") == "1":
        listing.reverse_listings(session.patches)
    session.start()
    import atexit  # noqa: PLC0415 - after the program's own handlers could be registered

    atexit.register(lambda: session.writer.write("end", "exit", session.watch.shown()))


def _load_after_import() -> Callable[..., contextlib.AbstractContextManager[None]]:
    """`after_import` of seedspread.scripts, by its path: the program need not have this package."""
    path = Path(__file__).parents[2] / "scripts" / "imports.py"
    spec = importlib.util.spec_from_file_location("seedspread_tracer_imports", path)
    if spec is None or spec.loader is None:
        raise ImportError(str(path))
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    found: Callable[..., contextlib.AbstractContextManager[None]] = module.after_import
    return found
