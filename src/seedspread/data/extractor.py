"""A frozen backbone that computes features of pictures: fed by threads, or in one process for each core."""

import math
import mmap
import sys
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor

import numpy as np
import torch
from torch import nn
from torch.utils.data import DataLoader, Dataset

from seedspread.config.errors import InputError
from seedspread.config.resolve import count_cores
from seedspread.data.loader import Normaliser
from seedspread.data.loader_processes import end_with_parent
from seedspread.models.backbones import Backbone

CropFunction = Callable[[int], np.ndarray]  # a picture's index to crops (views, size, size, 3) uint8

CROPS_WORTH_PROCESSES = 2_048  # with fewer their start takes longer than they save
MOST_PROCESSES = 16  # each needs memory for a batch
PREFETCH = 2  # batches that a process is asked for in advance


class FeatureExtractor:
    """A frozen backbone on a device; threads decode and crop the next pictures while it computes.

    `dimension` is the number of features. Raises InputError where the network does not take pictures of this size.
    """

    def __init__(self, backbone: Backbone, device: torch.device, batch_size: int) -> None:
        transform = backbone.transform
        self.device, self.batch_size = device, batch_size
        self.network: nn.Module = backbone.load().to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        self._bf16 = backbone.precision == "bf16-mixed"
        self._normalise = Normaliser(transform.mean, transform.std, transform.size, device)
        try:
            self.dimension = self.extract(np.zeros((1, transform.size, transform.size, 3), np.uint8)).shape[1]
        except (AssertionError, RuntimeError, ValueError) as error:  # networks with a fixed input size raise these
            raise InputError(f"backbone.size={transform.size} does not fit {backbone.name}: {error}") from error

    def extract(self, crops: np.ndarray) -> np.ndarray:
        """Features (n, d) float16 of crops (n, size, size, 3) uint8."""
        return self.start(crops)()

    @torch.inference_mode()
    def start(self, crops: np.ndarray) -> Callable[[], np.ndarray]:
        """Let the device compute the features of `crops`; the function returned waits for them."""
        held = torch.from_numpy(crops)
        if self.device.type == "cuda":  # from memory that the device reads by itself
            held = held.pin_memory()
        images = self._normalise(held.to(self.device, non_blocking=True)).permute(0, 3, 1, 2)
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self._bf16):
            features = self.network(images)
        if features.ndim != 2:
            raise InputError(
                f"the backbone returns {tuple(features.shape)}, not a row per picture; choose another backbone.name"
            )
        found = features.half()
        if self.device.type != "cuda":
            return found.numpy
        rows = torch.empty(found.shape, dtype=found.dtype, pin_memory=True).copy_(found, non_blocking=True)
        arrived = torch.cuda.Event()
        arrived.record(torch.cuda.current_stream(self.device))

        def wait() -> np.ndarray:
            arrived.synchronize()
            return rows.numpy()

        return wait

    def extract_each(self, crop: CropFunction, indices: Iterable[int]) -> Iterator[np.ndarray]:
        """Features (views, d) float16 of each picture in `indices`, in order; (0, d) where `crop` returns no views.

        A batch may hold views of several pictures. A GPU computes one batch while the next is put together.
        """
        views: deque[int] = deque()  # of each picture whose features are not complete
        rows: deque[np.ndarray] = deque()
        for batch in self._start_batches(_prefetch(crop, indices, self.batch_size), views):
            rows.extend(batch())
            while views and views[0] <= len(rows):
                here = [rows.popleft() for _ in range(views.popleft())]
                yield np.stack(here) if here else np.empty((0, self.dimension), np.float16)

    def extract_runs(self, crop: CropFunction, runs: Sequence[range], views: int) -> Iterator[np.ndarray]:
        """As `extract_each` of the pictures of all `runs`; no batch crosses the end of a run. `views`: of a picture.

        On a CPU each core takes whole batches, in a process of its own: threads of one process cut one crop after the
        other, which costs a sixth of a small backbone. The batches, and so the bits, are the same unless pictures are
        broken.
        """
        pictures, cores = sum(map(len, runs)), count_cores()
        if (
            self.device.type == "cpu"
            and 1 < cores <= MOST_PROCESSES
            and sys.platform == "linux"  # where a fork is safe for the libraries that it takes along
            and self.batch_size % views == 0
            and pictures * views >= CROPS_WORTH_PROCESSES
        ):
            each = self.batch_size // views
            parts = [run[i : i + each] for run in runs for i in range(0, len(run), each)]
            batches = _Batches(self, crop, parts, places=2 * PREFETCH * cores)
            loader = DataLoader(
                batches,
                batch_size=None,
                num_workers=cores,
                multiprocessing_context="fork",
                worker_init_fn=end_with_parent,
                prefetch_factor=PREFETCH,
                generator=torch.Generator(),  # a DataLoader draws a base seed: not from the run's global generator
            )
            for number, found in enumerate(loader):
                if isinstance(found, InputError):
                    raise found
                yield from batches.take(number, found)
        else:
            for run in runs:
                yield from self.extract_each(crop, run)

    def _start_batches(
        self, pictures: Iterable[np.ndarray], views: deque[int]
    ) -> Iterator[Callable[[], Iterable[np.ndarray]]]:
        """Start the batches of the crops of `pictures`, each yielded when the next has started; count their views."""
        ready: deque[np.ndarray] = deque()
        started: Callable[[], Iterable[np.ndarray]] = tuple
        for crops in pictures:
            views.append(len(crops))
            ready.extend(crops)
            while len(ready) >= self.batch_size:
                following = self.start(np.stack([ready.popleft() for _ in range(self.batch_size)]))
                yield started
                started = following
        yield started
        yield self.start(np.stack(ready)) if ready else tuple


class _Batches(Dataset[list[int] | InputError]):
    """Batches of pictures: asked for one, a worker computes its features and returns how many each picture has.

    The features lie in memory that the processes share. Through a pipe, which may be full, a worker whose parent is
    killed would wait for ever. An error is returned: one that is raised comes in other words.
    """

    def __init__(self, extractor: FeatureExtractor, crop: CropFunction, parts: Sequence[range], places: int) -> None:
        self._extractor, self._crop, self._parts = extractor, crop, parts
        shape = (places, extractor.batch_size, extractor.dimension)
        self._features = np.frombuffer(mmap.mmap(-1, 2 * math.prod(shape)), np.float16).reshape(shape)

    def __len__(self) -> int:
        return len(self._parts)

    def __getitem__(self, number: int) -> list[int] | InputError:
        try:
            crops = [self._crop(index) for index in self._parts[number]]
        except InputError as error:
            return error
        if whole := [of_picture for of_picture in crops if len(of_picture)]:
            features = self._extractor.extract(np.concatenate(whole))
            self._features[number % len(self._features), : len(features)] = features
        return [len(of_picture) for of_picture in crops]

    def take(self, number: int, views: list[int]) -> list[np.ndarray]:
        """The features of each picture of a batch, copied: its place is for another batch."""
        ends = np.cumsum(views)
        return np.split(self._features[number % len(self._features), : ends[-1]].copy(), ends[:-1])


def _prefetch(job: CropFunction, indices: Iterable[int], window: int) -> Iterator[np.ndarray]:
    """`job(index)` of each index, in order; threads compute up to `window` of them in advance."""
    with ThreadPoolExecutor(count_cores()) as pool:
        running: deque[Future[np.ndarray]] = deque()
        try:
            for index in indices:
                running.append(pool.submit(job, index))
                if len(running) >= window:
                    yield running.popleft().result()
            while running:
                yield running.popleft().result()
        finally:
            for future in running:
                future.cancel()
