"""A table below the cell of a notebook that started a sweep: how far it is, and its latest seeds."""

import sys
from collections.abc import Iterable
from html import escape
from typing import Any

ROWS = 10


def in_notebook() -> bool:
    """Whether this process is the kernel of a notebook."""
    ipython: Any = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython else None
    return shell is not None and getattr(shell, "kernel", None) is not None


class NotebookTable:
    """A table that is shown once, and changes in its place."""

    def __init__(self) -> None:
        from IPython.display import display  # noqa: PLC0415 - there in notebooks alone

        self._shown: tuple[str, ...] = ()
        self._handle: Any = display({"text/plain": ""}, raw=True, display_id=True)

    def update(self, line: str, seeds: Iterable[str]) -> None:
        """Show how far the sweep is, and a line for each of the latest seeds."""
        shown = line, *list(seeds)[-ROWS:]
        if shown == self._shown:
            return
        self._shown = shown
        rows = "".join(f"<tr><td style='text-align:left'><code>{escape(seed)}</code></td></tr>" for seed in shown[1:])
        html = f"<table><thead><tr><th style='text-align:left'>{escape(line)}</th></tr></thead>{rows}</table>"
        self._handle.update({"text/html": html, "text/plain": "\n".join(shown)}, raw=True)
