"""Functions of other libraries with something put before or after them, and taken back; who called."""

from __future__ import annotations

import functools
import os
import sys
from collections.abc import Callable
from typing import Any

_OWN = os.path.dirname(os.path.abspath(__file__))
_LIBRARIES = (
    f"{os.sep}site-packages{os.sep}",
    f"{os.sep}dist-packages{os.sep}",
    f"{os.sep}lib{os.sep}python",
    "<frozen",
)


class Patches:
    """What was put in place of functions, by object and name."""

    def __init__(self) -> None:
        self._before: list[tuple[Any, str, Any]] = []

    def replace(self, owner: Any, name: str, make: Callable[[Any], Any]) -> None:
        """Put `make(function)` in place of a function of `owner`, where it has one of that name."""
        original = getattr(owner, name, None)
        if original is not None:
            try:
                setattr(owner, name, make(original))
            except (AttributeError, TypeError):  # it cannot be replaced
                return
            self._before.append((owner, name, original))

    def undo(self) -> None:
        """Put the originals back."""
        while self._before:
            owner, name, original = self._before.pop()
            setattr(owner, name, original)


def harmless(act: Callable[..., Any]) -> Callable[..., Any]:
    """`act`, whose errors end no program: it returns None then."""

    @functools.wraps(act)
    def call(*args: Any, **kwargs: Any) -> Any:
        try:
            return act(*args, **kwargs)
        except Exception:
            return None

    return call


def before_call(act: Callable[..., None]) -> Callable[[Any], Any]:
    """What makes a function call `act` with its arguments first."""

    def make(original: Any) -> Any:
        @functools.wraps(original)
        def call(*args: Any, **kwargs: Any) -> Any:
            if not is_compiling():
                act(*args, **kwargs)
            return original(*args, **kwargs)

        return call

    return make


def is_compiling() -> bool:
    """Whether torch.compile or torch.export reads the code that runs."""
    torch = sys.modules.get("torch")
    compiler = getattr(torch, "compiler", None)
    return compiler is not None and hasattr(compiler, "is_compiling") and bool(compiler.is_compiling())


def find_caller() -> str:
    """FILE:LINE of the nearest caller that is the program's own; of any caller where only libraries are there."""
    frame: Any = sys._getframe(1)
    nearest = ""
    while frame is not None:
        name = frame.f_code.co_filename
        if not name.startswith(_OWN):
            place = f"{_shorten(name)}:{frame.f_lineno}"
            nearest = nearest or place
            if not is_library(name) and not name.startswith("<"):
                return place
            if name.startswith("<frozen importlib"):  # a library draws or seeds as it is imported
                return nearest
        frame = frame.f_back
    return nearest


def is_library(path: str) -> bool:
    """Whether a file is not the program's own: of Python, or of an installed package."""
    return any(part in path for part in _LIBRARIES)


def _shorten(path: str) -> str:
    """A path relative to the working folder where it is below it: the same on every machine."""
    here = os.getcwd() + os.sep
    return path[len(here) :] if path.startswith(here) else path
