"""What every part of the tracer writes to and looks at while a process is traced."""

from __future__ import annotations

import contextlib
import os
import sys

from .calls import Patches
from .generators import Watch
from .writer import Writer

MODULES = "modules"  # the level at which each module's output and each gradient are hashed


class Ended(BaseException):
    """Enough steps are traced; no handler of the program's catches it."""


class Tracing:
    """The trace of this process, the generators that are watched, what was patched, and how many steps were seen."""

    def __init__(self, folder: str, limit: int | None = None, level: str = "steps", exits: bool = True) -> None:
        self.writer, self.watch, self.patches = Writer(folder), Watch(), Patches()
        self.limit, self.fine, self.exits = limit, level == MODULES, exits
        self.stepped = self.backwards = self.forwards = 0
        self.in_backward = False
        self.called = False  # a module, with gradients

    def end_if_enough(self) -> None:
        """End the program after its steps; what never steps an optimizer, after as many backward passes or forwards."""
        if self.limit is None:
            return
        counted = self.stepped or max(self.backwards // 2, self.forwards // 4)
        if counted >= self.limit:
            self.writer.write("end", "steps", self.watch.shown())
            if self.exits:
                with contextlib.suppress(Exception):
                    sys.stdout.flush()
                    sys.stderr.flush()
                os._exit(0)
            raise Ended
