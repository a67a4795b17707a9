"""Leases: which worker trains which seed, exclusive on every file system that has links, NFS included.

    results/<study>/running/000003.json      the lease of seed 3: who holds it
    results/<study>/running/<worker>.heart   how often the heart of a worker beat, and how far its work is

`link` creates a lease whole and fails where there is one. A lease is taken over when the heart of its holder stopped:
at once where the holder was a process of this machine that is gone, else when its heartbeat did not change for `expiry`
seconds of the observer's own monotonic clock, so that clocks which differ between machines do no harm. A worker that
slept longer than that may find its lease with another: the record of a seed is published once in any case.
"""

import fcntl
import json
import os
import platform
import shutil
import threading
import time
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field
from functools import cache
from pathlib import Path

from seedspread.records.files import claim_name, create_whole, unique_draft, unwritable_error

EXPIRY = 600.0  # seconds without a heartbeat
BEAT = 5.0  # seconds between two; a seed that takes less needs none


@cache
def _machine() -> str:
    """The boot of the kernel and the process-id namespace: where equal, a process id means the same process."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()[:13] + str(
            Path("/proc/self/ns/pid").readlink()
        )
    except OSError:
        return platform.node()


def _start_time(pid: int) -> str | None:
    """When process `pid` of this machine started, as far as it is known: an id may be given to a later process.

    A process that was killed keeps its id until its parent waits for it, which in a container may be never: "ended",
    once the last of its threads is gone, and with it the files and the memory that they share.
    """
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        state, threads, started = fields[0], int(fields[17]), fields[19]
        return "ended" if state in "ZX" and threads < 2 else started
    except (OSError, IndexError):
        return None


@dataclass(frozen=True)
class Holder:
    """A worker: its process, the sweep that it belongs to, and a name that no other worker ever had."""

    sweep: str = ""
    host: str = field(default_factory=platform.node)
    pid: int = field(default_factory=os.getpid)
    machine: str = field(default_factory=_machine)
    started: str | None = field(default_factory=lambda: _start_time(os.getpid()))
    worker: str = field(default_factory=lambda: uuid.uuid4().hex)

    def is_gone(self) -> bool:
        """Whether this was a process of this machine that has ended; False for what runs elsewhere."""
        if self.machine != _machine():
            return False
        try:
            os.kill(self.pid, 0)
        except ProcessLookupError:
            return True
        except PermissionError:
            pass  # another user's
        return self.started is not None and _start_time(self.pid) not in (self.started, None)


@dataclass(frozen=True)
class Lease:
    """A lease as it stands in the folder, and how far its work is."""

    seed: int
    holder: Holder
    progress: Mapping[str, float]


def lease_path(folder: Path, seed: int) -> Path:
    return folder / "running" / f"{seed:06d}.json"


def _heart_path(folder: Path, holder: Holder) -> Path:
    return folder / "running" / f"{holder.worker}.heart"


def _read_holder(place: Path) -> Holder | None:
    try:
        return Holder(**json.loads(place.read_bytes()))
    except (OSError, ValueError, TypeError):
        return None  # just gone; or of another program, and then it expires


def read_leases(folder: Path) -> list[Lease]:
    """The leases of a study in the order of its seeds."""
    found, progress = [], {}
    for place in sorted((folder / "running").glob("*.json")):
        if place.stem.isdigit() and (holder := _read_holder(place)):
            if holder.worker not in progress:
                progress[holder.worker] = _read_progress(folder, holder)
            found.append(Lease(int(place.stem), holder, progress[holder.worker]))
    return found


def _read_progress(folder: Path, holder: Holder) -> Mapping[str, float]:
    try:
        return dict(json.loads(_heart_path(folder, holder).read_bytes())["progress"])
    except (OSError, ValueError, TypeError, KeyError):
        return {}


def is_in_use(folder: Path) -> bool:
    """Whether a worker holds a lease of this study that is not known to be gone."""
    return any(not lease.holder.is_gone() for lease in read_leases(folder))


@contextmanager
def discard_unused(folder: Path) -> Iterator[None]:
    """Where the block fails, remove the folder of a study that it has made and that holds no work yet."""
    existed = folder.exists()
    try:
        yield
    except BaseException:
        if not existed and not _holds_work(folder) and not is_in_use(folder):
            shutil.rmtree(folder, ignore_errors=True)
        raise


def _holds_work(folder: Path) -> bool:
    """Whether there is more than a command writes before its first step: a record, a checkpoint, a traceback."""
    files = (path for path in folder.rglob("*") if path.is_file() and path.parent.name != "running")
    return any(path.name not in ("study.yaml", "asked", "stop", "index.npz") for path in files)


class Worker:
    """The leases that this process holds in the folder of a study, and its heart, which beats while it holds any.

    `progress` is asked at each beat how far the work is.
    """

    def __init__(self, folder: Path, sweep: str = "", beat: float = BEAT) -> None:
        self.folder, self.holder, self._beat = folder, Holder(sweep), beat
        self.progress: Callable[[], Mapping[str, float]] = dict
        self._held: set[int] = set()
        self._beats = 0
        self._lock = threading.Lock()
        self._ended = threading.Event()
        self._heart: threading.Thread | None = None

    def acquire(self, seeds: Iterable[int]) -> list[int]:
        """Take the leases of `seeds`; return those that were free."""
        content = json.dumps(asdict(self.holder)).encode()
        try:
            (self.folder / "running").mkdir(parents=True, exist_ok=True)
            taken = [seed for seed in seeds if create_whole(lease_path(self.folder, seed), content)]
        except OSError as error:
            raise unwritable_error(self.folder, error) from error
        with self._lock:
            self._held.update(taken)
        if self._held and self._heart is None:
            self._heart = threading.Thread(target=self._run_heart, daemon=True, name="heart")
            self._heart.start()
        return taken

    def release(self, seeds: Iterable[int]) -> None:
        """Give leases back; one that another worker has taken over is left to it."""
        for seed in seeds:
            with self._lock:  # no longer kept alive, whatever becomes of the file
                self._held.discard(seed)
            release_lease(self.folder, seed, self.holder.worker)
        with self._lock:
            if not self._held and self._beats:
                self._beats = 0
                _heart_path(self.folder, self.holder).unlink(missing_ok=True)

    def close(self) -> None:
        """Release what is held, and end the heart."""
        self.release(list(self._held))
        self._ended.set()

    def _run_heart(self) -> None:
        path = _heart_path(self.folder, self.holder)
        draft = unique_draft(path)
        while not self._ended.wait(self._beat):
            with self._lock, suppress(OSError):  # a full disk, or a server away for a while: the next may succeed
                if self._held:
                    self._beats += 1
                    draft.write_text(json.dumps({"beats": self._beats, "progress": self._measure_progress()}))
                    draft.replace(path)

    def _measure_progress(self) -> dict[str, float]:
        """How far the work is; nothing where that cannot be said at this moment: the heart beats on."""
        try:
            return dict(self.progress())
        except Exception:  # it is asked while another thread works on what it looks at
            return {}


def release_lease(folder: Path, seed: int, worker: str = "", sweep: str = "") -> None:
    """Remove the lease of `seed` where `worker`, or a worker of `sweep`, holds it."""
    place = lease_path(folder, seed)
    with _lock_removal(place.parent):
        holder = _read_holder(place)
        if holder and (holder.worker == worker or (sweep and holder.sweep == sweep)):
            place.unlink(missing_ok=True)


@contextmanager
def _lock_removal(running: Path) -> Iterator[None]:
    """Within the block no other process of this machine removes a lease in `running`.

    What was read of a lease then holds until it is removed. Elsewhere, and where folders cannot be locked as on NFS,
    others may remove it meanwhile. The kernel frees the lock of a process that is killed.
    """
    try:
        folder = os.open(running, os.O_RDONLY)
    except FileNotFoundError:  # no lease, and nothing to remove
        yield
        return
    try:
        with suppress(OSError):
            fcntl.flock(folder, fcntl.LOCK_EX)
        yield
    finally:
        with suppress(OSError):
            fcntl.flock(folder, fcntl.LOCK_UN)  # closing it would not do where this process was forked meanwhile
        os.close(folder)


class Observer:
    """Judges from outside whether a lease is free, and frees those whose holder's heart stopped."""

    def __init__(self, folder: Path, expiry: float = EXPIRY, clock: Callable[[], float] = time.monotonic) -> None:
        self.folder, self.expiry, self._clock = folder, expiry, clock
        # Lease and worker → the last heartbeat, and when it was new to us. A heart rests between short seeds.
        self._seen: dict[tuple[str, str], tuple[bytes, float]] = {}

    def is_free(self, seed: int) -> bool:
        """Whether nobody trains `seed`; a lease whose holder is gone is removed."""
        place = lease_path(self.folder, seed)
        if (holder := _read_holder(place)) is None and not place.exists():
            return True
        return self._is_dead(holder, place) and self._take_over(place, holder)

    def tidy(self) -> None:
        """Remove the leases of workers that are gone, and what is left of hearts that beat for no lease."""
        for lease in read_leases(self.folder):
            self.is_free(lease.seed)
        held = {lease.holder.worker for lease in read_leases(self.folder)}
        for heart in (self.folder / "running").glob("*.heart"):
            if heart.stem not in held:
                heart.unlink(missing_ok=True)

    def _take_over(self, place: Path, holder: Holder | None) -> bool:
        """Remove the lease of a dead `holder`; whether the place is free then.

        Another observer may have removed it since it was judged, and another worker have taken the seed: it is read
        again under the lock of this machine. For observers on other machines it is renamed to a name of our own first:
        one of them succeeds. What was renamed is read once more, and put back where it is not the one that was judged.
        """
        with _lock_removal(place.parent):
            if _read_holder(place) != holder:
                return not place.exists()
            mine = unique_draft(place)
            try:
                place.rename(mine)
            except FileNotFoundError:
                return True
            if (found := _read_holder(mine)) != holder:
                claim_name(mine, place)
            mine.unlink(missing_ok=True)
            return found == holder

    def _is_dead(self, holder: Holder | None, place: Path) -> bool:
        if holder and holder.is_gone():
            return True
        key = place.name, holder.worker if holder else ""  # a lease that cannot be read expires as well
        beat = _heart_path(self.folder, holder) if holder else place
        try:  # opened, not looked at: NFS checks its cache when a file is opened
            heartbeat = beat.read_bytes()
        except OSError:
            heartbeat = b""
        before, since = self._seen.get(key, (None, 0.0))
        if before != heartbeat:
            self._seen[key] = heartbeat, self._clock()
            return False
        return self._clock() - since >= self.expiry
