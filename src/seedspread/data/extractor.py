"""A frozen backbone that computes features, fed by threads that decode pictures."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor

import numpy as np
import torch
from torch import nn

from seedspread.config.errors import InputError
from seedspread.config.resolve import count_cores
from seedspread.data.loader import Normaliser
from seedspread.models.backbones import Backbone

CropFunction = Callable[[int], np.ndarray]  # a picture's index to crops (views, size, size, 3) uint8


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
