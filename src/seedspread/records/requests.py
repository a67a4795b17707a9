"""What sweeps ask of a study, in files of its folder.

results/<study>/asked    the seeds that the latest sweep asked for
results/<study>/stop     why every sweep of the study hands out nothing more
"""

from pathlib import Path

from seedspread.config.overrides import expand_seeds
from seedspread.records.files import write_atomically


def request_seeds(folder: Path, asked: str) -> None:
    """Note the seeds that a sweep asks for, and forget why an earlier one stopped."""
    write_atomically(folder / "asked", asked.encode())
    (folder / "stop").unlink(missing_ok=True)


def asked_seeds(folder: Path) -> list[int]:
    """The seeds that the latest sweep asked for; none where there was no sweep."""
    try:
        return expand_seeds((folder / "asked").read_text())
    except (FileNotFoundError, ValueError):
        return []


def request_stop(folder: Path, reason: str) -> None:
    """Ask all sweeps of the study to hand out nothing more."""
    write_atomically(folder / "stop", reason.encode())


def stop_reason(folder: Path) -> str | None:
    """Why the sweeps of the study were stopped, if they were."""
    try:
        return (folder / "stop").read_text()
    except FileNotFoundError:
        return None
