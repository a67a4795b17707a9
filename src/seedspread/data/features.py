"""Features of a frozen backbone, extracted once for all seeds and kept on disk as float16.

    data/features-<backbone>-<digest>/train.npy      (pictures, views, d), of random crops; each picture decoded once
    data/features-<backbone>-<digest>/test.npy       (pictures, 1, d), of centre crops
    data/features-<backbone>-<digest>/progress.json  the SHA-256 of each shard on disk, and the broken pictures
    data/features-<backbone>-<digest>/manifest.json  written last: the description, and that all shards are there

The digest covers all that the features depend on: weights, transform, pictures, crops, precision, batches. A change of
any of them makes another folder. A crop depends on the view seed, the picture and the view alone, and no batch crosses
the end of a shard: an extraction that was killed resumes after its last complete shard and ends with the same bytes.
"""

import hashlib
import json
import os
import shutil
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from filelock import FileLock, Timeout
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from seedspread.config.errors import InputError
from seedspread.config.resolve import count_cores
from seedspread.config.streams import Stream
from seedspread.data.crops import RandomResizedCrop, center_crop
from seedspread.data.decoding import BrokenPicture
from seedspread.data.extractor import CropFunction, FeatureExtractor
from seedspread.data.picture_cache import unkept_error
from seedspread.data.picture_files import PictureFiles, PictureSource
from seedspread.data.pictures import Pictures
from seedspread.models.backbones import Backbone
from seedspread.records.files import write_atomically
from seedspread.records.progress import format_duration

FORMAT = 1  # of the files and the draws; a new number makes new caches
VERIFIED_UP_TO = 2**30  # bytes; the shards of a larger cache are not hashed at each opening
SECONDS_BETWEEN_LINES = 30.0
NAMED = 5  # broken pictures in a message


@dataclass(frozen=True)
class Features:
    """Memory-mapped features train (pictures, views, d) and test (pictures, d), float16.

    `train_rows` (n,) and `test_rows` (m,) are the positions of the pictures that decoded, and the labels are theirs.
    `fingerprint` is a SHA-256 over all of it.
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
    """All that features depend on, and the folder that keeps them."""

    source: PictureSource
    backbone: Backbone
    crops: RandomResizedCrop
    views: int
    view_seed: int
    batch_size: int
    shard: int
    device: torch.device
    cache: Path
    skip_broken: bool

    def description(self) -> dict[str, Any]:
        """What the features depend on, as JSON: the digest in the folder's name is taken from it."""
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

    def load_or_extract(self) -> Features:
        """The features from the cache, extracted first where it does not have them.

        Raises InputError where the disk is full or read-only, and for pictures that do not decode.
        """
        description = self.description()
        digest = hashlib.sha256(json.dumps(description, sort_keys=True).encode()).hexdigest()
        entry = self.cache / f"features-{self.backbone.name}-{digest[:12]}"
        try:
            if (found := self._load(entry)) is None:
                entry.mkdir(parents=True, exist_ok=True)
                with _lock_entry(entry):
                    if self._load(entry) is None:  # else another process has extracted them
                        self._extract_all(entry, description)
                found = self._load(entry)
        except OSError as error:
            raise unkept_error("features", self.cache, error) from error
        assert found is not None
        return found

    def _parts(self) -> Iterator[tuple[str, PictureFiles | Pictures, int, CropFunction]]:
        if self.views:
            yield "train", self.source.train, self.views, self._random_crops
        yield "test", self.source.test, 1, self._center_crop

    def _random_crops(self, index: int) -> np.ndarray:
        picture, draws = self.source.train.load(index), Stream("augment", self.view_seed)
        return np.stack([self.random_crop(picture, draws.rng(index, view)) for view in range(self.views)])

    def random_crop(self, picture: Any, rng: np.random.Generator) -> np.ndarray:
        """Pixels (size, size, 3) uint8 of a random crop of a decoded picture."""
        return self.crops.apply(picture, *self.crops.draw(rng, *picture.size), self.backbone.transform)

    def _center_crop(self, index: int) -> np.ndarray:
        return center_crop(self.source.test.load(index), self.backbone.transform)[None]

    def _skip_broken(self, crop: CropFunction) -> CropFunction:
        """`crop`, which for a broken picture returns no crops under `skip_broken`, and else raises an InputError."""

        def crops(index: int) -> np.ndarray:
            try:
                return crop(index)
            except BrokenPicture as error:
                if self.skip_broken:
                    return np.empty((0, 0, 0, 3), np.uint8)
                raise InputError(f"{error}, or set data.skip_broken=true") from error

        return crops

    def _extract_all(self, entry: Path, description: dict[str, Any]) -> None:
        (entry / "manifest.json").unlink(missing_ok=True)
        threads, started = torch.get_num_threads(), time.perf_counter()
        torch.set_num_threads(count_cores())
        try:
            extractor = FeatureExtractor(self.backbone, self.device, self.batch_size)
            self._check_space(entry, extractor.dimension)
            progress = _read_json(entry / "progress.json") or {}
            shapes = {}
            for part, pictures, views, crop in self._parts():
                shapes[part] = (len(pictures), views, extractor.dimension)
                self._extract(entry, part, pictures, shapes[part], progress, extractor, crop)
        finally:
            torch.set_num_threads(threads)
        manifest = {
            "description": description,
            "backbone_file": str(self.backbone.weights_file()),
            "classes": self.source.classes,
            "shapes": shapes,
            "parts": progress,
            "seconds": round(time.perf_counter() - started, 1),
        }
        write_atomically(entry / "manifest.json", json.dumps(manifest, indent=1).encode())

    def _check_space(self, entry: Path, dimension: int) -> None:
        needed = 2 * dimension * sum(len(pictures) * views for _, pictures, views, _ in self._parts())
        needed -= sum(path.stat().st_blocks * 512 for path in entry.glob("*.npy"))
        free = shutil.disk_usage(entry).free
        if needed > free:
            raise InputError(
                f"the features take {needed / 2**30:.1f} GiB and {self.cache} has {free / 2**30:.1f} GiB free; set "
                f"another folder with data.cache=PATH, or keep fewer views than data.views={self.views}"
            )

    def _extract(
        self,
        entry: Path,
        part: str,
        pictures: PictureFiles | Pictures,
        shape: tuple[int, int, int],
        progress: dict[str, Any],
        extractor: FeatureExtractor,
        crop: CropFunction,
    ) -> None:
        """Extract and write the missing shards of one part; progress.json is written after each of them."""
        n, views, dimension = shape
        kept = progress.setdefault(part, {"shards": [], "broken": []})
        path, step = entry / f"{part}.npy", max(1, self.shard // views)
        if not _fits(path, shape):
            np.lib.format.open_memmap(path, "w+", np.float16, shape)
            kept.update(shards=[], broken=[])
        rows = np.load(path, mmap_mode="r")
        whole, offset = _count_whole_shards(rows, kept["shards"], step), rows.offset
        del kept["shards"][whole:]
        del rows
        again = {index // step for index in _find_replaced(pictures, kept)}
        todo = [start for start in range(0, n, step) if start // step >= whole or start // step in again]
        name = f"{self.backbone.name}: {part}, {n} pictures{f' x {views} views' if views > 1 else ''}"
        done = n - sum(min(step, n - start) for start in todo)
        with path.open("r+b") as file, _report_progress(name, n, done) as advance:
            runs = [range(start, min(n, start + step)) for start in todo]
            rows_of_each = extractor.extract_runs(self._skip_broken(crop), runs, views)
            for run in runs:
                start, stop, broken = run.start, run.stop, []
                shard = np.zeros((len(run), views, dimension), np.float16)
                for i, features in zip(run, rows_of_each, strict=False):
                    if not len(features):
                        broken.append(i)
                    elif not np.isfinite(features).all():
                        raise InputError(
                            f"features of {_names(pictures, [i])} ({part}) exceed the range of float16; choose another "
                            "backbone, or backbone.precision=32-true"
                        )
                    else:
                        shard[i - start] = features
                    advance()
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
        """The features in `entry`, None where it is not complete.

        Raises InputError where pictures did not decode and `skip_broken` is not set.
        """
        manifest = _read_json(entry / "manifest.json")
        if manifest is None:
            return None
        arrays, rows = {}, {}
        for part, pictures, views, _ in self._parts():
            path, shape = entry / f"{part}.npy", tuple(manifest["shapes"][part])
            if not _fits(path, shape):
                return None
            kept, found, step = manifest["parts"][part], np.load(path, mmap_mode="r"), max(1, self.shard // views)
            if found.nbytes <= VERIFIED_UP_TO and _count_whole_shards(found, kept["shards"], step) * step < len(found):
                return None
            if _find_replaced(pictures, kept):
                return None
            arrays[part] = found
            rows[part] = np.setdiff1d(np.arange(len(pictures)), kept["broken"])
            if broken := kept["broken"]:
                if not self.skip_broken:
                    raise InputError(
                        f"{len(broken)} pictures did not decode, {_names(pictures, broken)}: replace or remove them, "
                        "or set data.skip_broken=true"
                    )
                print(f"{len(broken)} broken pictures skipped in {part}: {_names(pictures, broken)}")
        labels = {part: getattr(self.source, part).labels[rows[part]] for part in rows}
        # Without broken_files: the fingerprints of caches that were written before it stay valid.
        parts = {part: {key: kept[key] for key in ("shards", "broken")} for part, kept in manifest["parts"].items()}
        digest = hashlib.sha256(json.dumps([parts, manifest["classes"], manifest["shapes"]]).encode())
        for part in sorted(labels):
            digest.update(np.ascontiguousarray(labels[part]).tobytes())
        if not self.views:  # no training features are kept
            digest.update(json.dumps(self.description(), sort_keys=True).encode())
            train = self.source.train
            arrays["train"] = np.empty((len(train), 0, arrays["test"].shape[2]), np.float16)
            rows["train"], labels["train"] = np.arange(len(train)), train.labels
        return Features(
            arrays["train"], rows["train"], labels["train"], arrays["test"][:, 0], rows["test"], labels["test"],
            self.source.classes, digest.hexdigest(),
        )  # fmt: skip


def _names(pictures: PictureFiles | Pictures, broken: list[int]) -> str:
    names = [pictures.names[i] if isinstance(pictures, PictureFiles) else str(i) for i in broken[:NAMED]]
    return ", ".join(names) + (f" and {len(broken) - NAMED} more" if len(broken) > NAMED else "")


def _sha256(pictures: PictureFiles | Pictures, index: int) -> str | None:
    """SHA-256 of a picture's file; None where there is no readable file."""
    try:
        return hashlib.sha256((pictures.root / pictures.names[index]).read_bytes()).hexdigest()  # type: ignore[union-attr]
    except (AttributeError, OSError):
        return None


def _find_replaced(pictures: PictureFiles | Pictures, kept: Mapping[str, Any]) -> set[int]:
    """The broken pictures whose files changed since; none in caches that were written without their hashes."""
    known = kept.get("broken_files", {})
    return {int(index) for index, sha256 in known.items() if _sha256(pictures, int(index)) != sha256}


def _read_json(path: Path) -> dict[str, Any] | None:
    """The JSON object in `path`; None where there is none."""
    try:
        found = json.loads(path.read_text())
    except (OSError, ValueError):
        return None
    return found if isinstance(found, dict) else None


def _fits(path: Path, shape: tuple[int, ...]) -> bool:
    """Whether `path` is a complete .npy file of float16 in this shape."""
    try:
        found = np.load(path, mmap_mode="r")
    except (OSError, ValueError):
        return False
    return found.shape == shape and found.dtype == np.float16


def _count_whole_shards(rows: np.ndarray, shards: list[str], step: int) -> int:
    """How many shards, from the first on, have the SHA-256 that is recorded for them."""
    for i, sha256 in enumerate(shards):
        if hashlib.sha256(np.ascontiguousarray(rows[i * step : (i + 1) * step]).data).hexdigest() != sha256:
            return i
    return len(shards)


def _lock_entry(entry: Path) -> AbstractContextManager[Any]:
    """Within the block no other process extracts `entry`: on this machine, or on a shared disk that has locks.

    The lock ends with the process that holds it.
    """
    lock = FileLock(entry / "lock")
    try:
        return lock.acquire(timeout=0)
    except Timeout:
        print(f"another process extracts the features of {entry.name}; waiting for it", flush=True)
        return lock.acquire()


@contextmanager
def _report_progress(name: str, total: int, done: int) -> Iterator[Callable[[], None]]:
    """Yield a function that counts one picture as done.

    A terminal shows a bar with the time left; elsewhere a line is printed every 30 s at most, and one at the end.
    """
    columns = (TextColumn("{task.description}"), BarColumn(bar_width=20), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, transient=True, disable=not sys.stdout.isatty()) as bar:
        task = bar.add_task(name, total=total, completed=done)
        started = last = time.monotonic()
        count = 0

        def advance() -> None:
            nonlocal count, last
            count += 1
            bar.advance(task)
            if bar.disable and (now := time.monotonic()) - last >= SECONDS_BETWEEN_LINES:
                last, left = now, (total - done - count) * (now - started) / count
                print(f"{name}: {done + count} done, {format_duration(left)} left", flush=True)

        yield advance
    if count:
        print(f"{name}: done, {count / (time.monotonic() - started):.0f} pictures/s", flush=True)
