"""The function that finds a study's pictures, in a form that a cache can use as its key."""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Reader:
    """A function (source, cache, size) to pictures, with the arguments that `data.read` binds to it.

    Hydra makes a new partial for each seed, and no two partials are equal. Two readers are equal where function and
    bound arguments are, so that what is read for one seed serves the next.
    """

    function: Callable[..., Any]
    bound: str
    read: Callable[..., Any] = field(compare=False, repr=False)

    @classmethod
    def of(cls, read: Callable[..., Any]) -> "Reader":
        """The reader for `read`, a function or a partial of one."""
        if isinstance(read, partial):
            return cls(read.func, repr((read.args, sorted(read.keywords.items()))), read)
        return cls(read, "", read)

    def __call__(self, source: str | None, cache: Path, size: int | None) -> Any:
        return self.read(source, cache, size)
