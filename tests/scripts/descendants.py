"""Finds what is left of programs that a sweep ran, by a variable that all their descendants inherit."""

import time
from pathlib import Path

import psutil

from seedspread.scripts.program import FOLDER_VARIABLE

PATIENCE = 120.0  # seconds after which what should end never will, however slow the machine


def find_left(folder: Path) -> list[psutil.Process]:
    """The processes of programs whose output goes below `folder`, their keepers included."""
    found = []
    for process in psutil.process_iter():
        try:
            if process.environ().get(FOLDER_VARIABLE, "").startswith(f"{folder}/") and process.status() != "zombie":
                found.append(process)
        except psutil.Error:
            continue  # it has just ended, or is another user's
    return found


def wait_until(condition) -> None:
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)
