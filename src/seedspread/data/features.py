"""Features of a frozen backbone, extracted once and kept on disk as float16, for all seeds.

    data/features-<backbone>-<digest>/train.npy      (pictures, views, d): augmented passes, each picture decoded once
    data/features-<backbone>-<digest>/test.npy       (pictures, d): one pass over centre crops
    data/features-<backbone>-<digest>/progress.json  the SHA-256 of each shard that is on disk, and broken pictures
    data/features-<backbone>-<digest>/manifest.json  written last: what this is, and that it is whole

The digest is of all that the features depend on: weights, transform, pictures, crops, precision, batches; what changes
makes another folder. A crop depends on the view seed, the picture and the view alone, and batches begin anew at each
shard: a pass that was killed goes on at its last whole shard and ends with the same bytes.
"""

import fcntl
import hashlib
import json
import os
import shutil
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from seedspread.config.errors import InputError
from seedspread.config.streams import Stream
from seedspread.data.crops import Crops, centre
from seedspread.data.extractor import Cut, FeatureExtractor, count_cores
from seedspread.data.picture_files import BrokenPicture, PictureArrays, PictureFiles, PictureSource
from seedspread.models.backbones import Backbone
from seedspread.records.files import write_atomically
from seedspread.records.progress import format_duration

FORMAT = 1  # of the files and of the draws: a new number makes new caches
VERIFIED_UP_TO = 2**30  # bytes; a larger cache is not hashed again each time that it is opened
SECONDS_BETWEEN_LINES = 30.0


@dataclass(frozen=True)
class Features:
    """train (n, views, d) and test (m, d), float16, mapped from disk; `train_rows` and `test_rows` hold a picture each.

    Labels belong to the rows. `fingerprint` is a SHA-256 over all of it.
    """

    train: np.ndarray
    train_rows: np.ndarray
    train_labels: np.ndarray
    test: np.ndarray
    test_rows: np.ndarray
    test_labels: np.ndarray
    classes: tuple[str, ...]
    fingerprint: str


@dataclass(frozen=True)
class Extraction:
    """All that features depend on, and where they are kept."""

    source: PictureSource
    backbone: Backbone
    crops: Crops
    views: int
    view_seed: int
    batch_size: int
    shard: int
    device: torch.device
    cache: Path
    skip_broken: bool

    def description(self) -> dict[str, Any]:
        return {
            "format": FORMAT,
            "backbone": {"name": self.backbone.name, "library": self.backbone.library, "blocks": self.backbone.blocks},
            "weights_sha256": self.backbone.weights_sha256(),
            "transform": asdict(self.backbone.transform),
            "precision": self.backbone.precision,
            "device": self.device.type,
            "pictures": self.source.fingerprint,
            "crops": asdict(self.crops),
            "views": self.views,
            "view_seed": self.view_seed,
            "batch_size": self.batch_size,
            "shard": self.shard,
        }

    def features(self) -> Features:
        """The features from the cache, extracted where they are not there.

        Raises InputError where the disk is full or cannot be written to, and naming pictures that do not decode.
        """
        description = self.description()
        digest = hashlib.sha256(json.dumps(description, sort_keys=True).encode()).hexdigest()
        entry = self.cache / f"features-{self.backbone.name}-{digest[:12]}"
        try:
            if (found := self._load(entry)) is None:
                entry.mkdir(parents=True, exist_ok=True)
                with _lock_entry(entry):
                    if self._load(entry) is None:  # else another process made it meanwhile
                        self._make(entry, description)
                found = self._load(entry)
        except OSError as error:
            raise InputError(
                f"cannot keep the features in {self.cache}: {error.strerror or error}; mend that, or name another "
                "folder with data.cache=PATH"
            ) from error
        assert found is not None
        return found

    def _parts(self) -> Iterator[tuple[str, PictureFiles | PictureArrays, int, Cut]]:
        if self.views:
            yield "train", self.source.train, self.views, self._views
        yield "test", self.source.test, 1, self.middle

    def _views(self, pictures: PictureFiles | PictureArrays, index: int) -> np.ndarray:
        picture = pictures.picture(index)
        draws = Stream("augment", self.view_seed)
        return np.stack([self.crop(picture, draws.rng(index, view)) for view in range(self.views)])

    def crop(self, picture: Any, rng: np.random.Generator) -> np.ndarray:
        """One random crop of a decoded picture."""
        return self.crops.apply(picture, *self.crops.draw(rng, *picture.size), self.backbone.transform)

    def middle(self, pictures: PictureFiles | PictureArrays, index: int) -> np.ndarray:
        return centre(pictures.picture(index), self.backbone.transform)[None]

    def _if_whole(self, cut: Cut) -> Cut:
        """`cut`, where a broken picture gives no crops if it may be left out, and an InputError if not."""

        def crops(pictures: PictureFiles | PictureArrays, index: int) -> np.ndarray:
            try:
                return cut(pictures, index)
            except BrokenPicture as error:
                if self.skip_broken:
                    return np.empty((0, 0, 0, 3), np.uint8)
                raise InputError(
                    f"{error}: not a whole picture; mend or remove it, or say data.skip_broken=true to leave such out"
                ) from error

        return crops

    def _make(self, entry: Path, description: dict[str, Any]) -> None:
        (entry / "manifest.json").unlink(missing_ok=True)
        threads, began = torch.get_num_threads(), time.perf_counter()
        torch.set_num_threads(count_cores())
        try:
            eye = FeatureExtractor(self.backbone, self.device, self.batch_size)
            self._check_space(entry, eye.dimension)
            progress = _stored(entry / "progress.json") or {}
            shapes = {}
            for part, pictures, views, cut in self._parts():
                shapes[part] = (len(pictures), views, eye.dimension)
                kept = progress.setdefault(part, {"shards": [], "broken": []})
                self._extract(entry, part, pictures, shapes[part], kept, progress, eye, cut)
        finally:
            torch.set_num_threads(threads)
        manifest = {
            "description": description,
            "backbone_file": str(self.backbone.weights_file()),
            "classes": self.source.classes,
            "shapes": shapes,
            "parts": progress,
            "seconds": round(time.perf_counter() - began, 1),
        }
        write_atomically(entry / "manifest.json", json.dumps(manifest, indent=1).encode())

    def _check_space(self, entry: Path, dimension: int) -> None:
        needed = 2 * dimension * sum(len(pictures) * views for _, pictures, views, _ in self._parts())
        needed -= sum(path.stat().st_blocks * 512 for path in entry.glob("*.npy"))
        free = shutil.disk_usage(entry).free
        if needed > free:
            raise InputError(
                f"the features take {needed / 2**30:.1f} GiB and {self.cache} has {free / 2**30:.1f} GiB free; name "
                f"another folder with data.cache=PATH, or keep fewer views than data.views={self.views}"
            )

    def _extract(
        self,
        entry: Path,
        part: str,
        pictures: PictureFiles | PictureArrays,
        shape: tuple[int, int, int],
        kept: dict[str, Any],
        progress: dict[str, Any],
        eye: FeatureExtractor,
        cut: Cut,
    ) -> None:
        """Write the shards of one part that are not on disk yet, each followed by its line in progress.json."""
        n, views, dimension = shape
        path, step = entry / f"{part}.npy", max(1, self.shard // views)
        if not _fits(path, shape):
            np.lib.format.open_memmap(path, "w+", np.float16, shape)
            kept.update(shards=[], broken=[])
        rows = np.load(path, mmap_mode="r")
        whole = _whole(rows, kept["shards"], step)
        del kept["shards"][whole:]
        offset = rows.offset
        del rows
        again = {index // step for index in _repaired(pictures, kept)}
        todo = [start for start in range(0, n, step) if start // step >= whole or start // step in again]
        name = f"{self.backbone.name}: {part}, {n} pictures{f' x {views} views' if views > 1 else ''}"
        with (
            path.open("r+b") as file,
            _report_progress(name, n, n - sum(min(step, n - start) for start in todo)) as tell,
        ):
            for start in todo:
                stop = min(n, start + step)
                broken = []
                shard = np.zeros((stop - start, views, dimension), np.float16)
                for i, features in enumerate(eye.passes(self._if_whole(cut), pictures, range(start, stop)), start):
                    if not len(features):
                        broken.append(i)
                    elif not np.isfinite(features).all():
                        raise InputError(
                            f"features of {_names(pictures, [i])} ({part}) are beyond what float16 holds; take another "
                            "backbone, or backbone.precision=32-true"
                        )
                    else:
                        shard[i - start] = features
                    tell()
                file.seek(offset + start * views * dimension * 2)
                file.write(shard.tobytes())
                file.flush()
                os.fsync(file.fileno())
                kept["shards"][start // step : start // step + 1] = [hashlib.sha256(shard.data).hexdigest()]
                kept["broken"] = sorted([*(i for i in kept["broken"] if not start <= i < stop), *broken])
                others = {i: sha256 for i, sha256 in kept.get("broken_files", {}).items() if not start <= int(i) < stop}
                kept["broken_files"] = others | {str(i): _sha256(pictures, i) for i in broken}
                write_atomically(entry / "progress.json", json.dumps(progress).encode())

    def _load(self, entry: Path) -> Features | None:
        """The whole cache in `entry`, or None; InputError where it lacks pictures and skip_broken is not set."""
        manifest = _stored(entry / "manifest.json")
        if manifest is None:
            return None
        arrays, rows = {}, {}
        for part, pictures, views, _ in self._parts():
            path, shape = entry / f"{part}.npy", tuple(manifest["shapes"][part])
            if not _fits(path, shape):
                return None
            kept, arrays[part] = manifest["parts"][part], np.load(path, mmap_mode="r")
            shards = kept["shards"]
            step = max(1, self.shard // views)
            if arrays[part].nbytes <= VERIFIED_UP_TO and _whole(arrays[part], shards, step) * step < len(pictures):
                return None
            if _repaired(pictures, kept):
                return None
            rows[part] = np.setdiff1d(np.arange(len(pictures)), kept["broken"])
            if kept["broken"] and not self.skip_broken:
                raise InputError(
                    f"{len(kept['broken'])} pictures did not decode, {_names(pictures, kept['broken'])}: mend or "
                    "remove them, or say data.skip_broken=true"
                )
            if kept["broken"]:
                print(f"{len(kept['broken'])} broken pictures left out of {part}: {_names(pictures, kept['broken'])}")
        labels = {part: getattr(self.source, part).labels[rows[part]] for part in rows}
        parts = {
            part: {key: kept[key] for key in ("shards", "broken")}  # as before broken_files was kept
            for part, kept in manifest["parts"].items()
        }
        digest = hashlib.sha256(json.dumps([parts, manifest["classes"], manifest["shapes"]]).encode())
        for part in sorted(labels):
            digest.update(np.ascontiguousarray(labels[part]).tobytes())
        if not self.views:  # nothing is kept of the pictures to train on
            digest.update(json.dumps(self.description(), sort_keys=True).encode())
            train = self.source.train
            arrays["train"] = np.empty((len(train), 0, arrays["test"].shape[2]), np.float16)
            rows["train"], labels["train"] = np.arange(len(train)), train.labels
        return Features(
            arrays["train"], rows["train"], labels["train"], arrays["test"][:, 0], rows["test"], labels["test"],
            self.source.classes, digest.hexdigest(),
        )  # fmt: skip


def _names(pictures: PictureFiles | PictureArrays, broken: list[int], most: int = 5) -> str:
    names = [pictures.names[i] if isinstance(pictures, PictureFiles) else str(i) for i in broken[:most]]
    return ", ".join(names) + (f" and {len(broken) - most} more" if len(broken) > most else "")


def _sha256(pictures: PictureFiles | PictureArrays, index: int) -> str | None:
    """SHA-256 of a picture's file; None where it has none that can be read."""
    try:
        return hashlib.sha256((pictures.root / pictures.names[index]).read_bytes()).hexdigest()  # type: ignore[union-attr]
    except (AttributeError, OSError):
        return None


def _repaired(pictures: PictureFiles | PictureArrays, kept: Mapping[str, Any]) -> set[int]:
    """The broken pictures whose files are others now; of caches made before that was kept nothing is known."""
    known = kept.get("broken_files", {})
    return {int(index) for index, sha256 in known.items() if _sha256(pictures, int(index)) != sha256}


def _stored(path: Path) -> dict[str, Any] | None:
    try:
        found = json.loads(path.read_text())
    except (OSError, ValueError):
        return None
    return found if isinstance(found, dict) else None


def _fits(path: Path, shape: tuple[int, ...]) -> bool:
    """Whether `path` is an array file of float16 in this shape, as long as it should be."""
    try:
        found = np.load(path, mmap_mode="r")
    except (OSError, ValueError):
        return False
    return found.shape == shape and found.dtype == np.float16


def _whole(rows: np.ndarray, shards: list[str], step: int) -> int:
    """How many of the first shards on disk are those that were noted."""
    for i, sha256 in enumerate(shards):
        if hashlib.sha256(np.ascontiguousarray(rows[i * step : (i + 1) * step]).data).hexdigest() != sha256:
            return i
    return len(shards)


@contextmanager
def _lock_entry(entry: Path) -> Iterator[None]:
    """Within the block no other process of this machine, or of a shared disk with locks, makes this entry."""
    with (entry / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            print(f"another process extracts the features of {entry.name}; waiting for it", flush=True)
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield


@contextmanager
def _report_progress(name: str, total: int, done: int) -> Iterator[Callable[[], None]]:
    """A bar with the time left in a terminal; elsewhere a line every 30 s at most, and one at the end."""
    columns = (TextColumn("{task.description}"), BarColumn(bar_width=20), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, transient=True, disable=not sys.stdout.isatty()) as bar:
        task = bar.add_task(name, total=total, completed=done)
        began = last = time.monotonic()
        came = 0

        def tell() -> None:
            nonlocal came, last
            came += 1
            bar.advance(task)
            if bar.disable and (now := time.monotonic()) - last >= SECONDS_BETWEEN_LINES:
                last, left = now, (total - done - came) * (now - began) / came
                print(f"{name}: {done + came} done, {format_duration(left)} left", flush=True)

        yield tell
    if came:
        print(f"{name}: done, {came / (time.monotonic() - began):.0f} pictures/s", flush=True)
