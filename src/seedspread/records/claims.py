"""Who trains which seeds of a study now, in files of its folder.

results/<study>/running/000003.json  which process trains seed 3
results/<study>/asked                the seeds that the latest sweep asked for
results/<study>/stop                 why all workers stop before their next seed
"""

import json
import os
import platform
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from seedspread.config.overrides import expand_seeds
from seedspread.records.files import unwritable_error, write_atomically


@dataclass(frozen=True)
class Claims:
    """Seeds that a process trains now, and seeds whose process on this machine is gone."""

    alive: list[int] = field(default_factory=list)
    abandoned: list[int] = field(default_factory=list)


@contextmanager
def claim_seed(folder: Path, seed: int) -> Iterator[None]:
    """Within the block running/ says that this process trains `seed`."""
    place = _claim_path(folder, seed)
    claim = {"seed": seed, "pid": os.getpid(), "host": platform.node(), "since": time.time()}
    try:
        place.parent.mkdir(exist_ok=True)
        place.write_text(json.dumps(claim))
    except OSError as error:
        raise unwritable_error(folder, error) from error
    try:
        yield
    finally:
        place.unlink(missing_ok=True)


def read_claims(folder: Path) -> Claims:
    """What running/ says. Claims of other machines count as alive: nothing is known of their processes here."""
    claims = Claims()
    for place in sorted((folder / "running").glob("*.json")):
        try:
            claim = json.loads(place.read_text())
            seed, here = int(claim["seed"]), claim["host"] == platform.node()
        except (OSError, ValueError, KeyError, TypeError):
            continue  # just written, or just gone
        (claims.abandoned if here and not _is_alive(claim["pid"]) else claims.alive).append(seed)
    return claims


def release_seeds(folder: Path, seeds: Iterable[int]) -> None:
    """Remove the claims of processes that are gone."""
    for seed in seeds:
        _claim_path(folder, seed).unlink(missing_ok=True)


def start_sweep(folder: Path, asked: str) -> None:
    """Note the seeds that a sweep asks for; forget an earlier sweep's stop and the claims of its killed workers."""
    write_atomically(folder / "asked", asked.encode())
    (folder / "stop").unlink(missing_ok=True)
    release_seeds(folder, read_claims(folder).abandoned)


def asked_seeds(folder: Path) -> list[int]:
    """The seeds that the latest sweep asked for; none where there was no sweep."""
    try:
        return expand_seeds((folder / "asked").read_text())
    except (FileNotFoundError, ValueError):
        return []


def request_stop(folder: Path, reason: str) -> None:
    """Ask all workers of the sweep to stop before their next seed."""
    write_atomically(folder / "stop", reason.encode())


def stop_reason(folder: Path) -> str | None:
    """Why the sweep was stopped, if it was."""
    try:
        return (folder / "stop").read_text()
    except FileNotFoundError:
        return None


def _claim_path(folder: Path, seed: int) -> Path:
    return folder / "running" / f"{seed:06d}.json"


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass  # another user's
    return True
