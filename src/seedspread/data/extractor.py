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

    @torch.inference_mode()
    def extract(self, crops: np.ndarray) -> np.ndarray:
        """Features (n, d) float16 of crops (n, size, size, 3) uint8."""
        images = self._normalise(torch.from_numpy(crops).to(self.device)).permute(0, 3, 1, 2)
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self._bf16):
            features = self.network(images)
        if features.ndim != 2:
            raise InputError(
                f"the backbone returns {tuple(features.shape)}, not a row per picture; choose another backbone.name"
            )
        return features.half().cpu().numpy()

    def extract_each(self, crop: CropFunction, indices: Iterable[int]) -> Iterator[np.ndarray]:
        """Features (views, d) float16 of each picture in `indices`, in order; (0, d) where `crop` returns no views.

        A batch may hold views of several pictures.
        """
        ready: deque[np.ndarray] = deque()
        pending: deque[tuple[int, list[np.ndarray]]] = deque()  # of each picture: its views, and their features so far
        for crops in _prefetch(crop, indices, self.batch_size):
            pending.append((len(crops), []))
            ready.extend(crops)
            while len(ready) >= self.batch_size:
                yield from self._extract_batch(ready, pending)
        yield from self._extract_batch(ready, pending)

    def _extract_batch(
        self, ready: deque[np.ndarray], pending: deque[tuple[int, list[np.ndarray]]]
    ) -> Iterator[np.ndarray]:
        """Compute one batch of the `ready` crops; yield the features of the pictures that are complete."""
        batch = [ready.popleft() for _ in range(min(self.batch_size, len(ready)))]
        rows = deque(self.extract(np.stack(batch)) if batch else ())
        while pending and (rows or pending[0][0] == len(pending[0][1])):
            views, features = pending[0]
            while rows and len(features) < views:
                features.append(rows.popleft())
            if len(features) < views:
                break
            yield np.stack(features) if features else np.empty((0, self.dimension), np.float16)
            pending.popleft()


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
