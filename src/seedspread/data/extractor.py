"""A frozen backbone on a device, and threads that decode pictures ahead of it."""

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor

import numpy as np
import torch
from torch import nn

from seedspread.config.errors import InputError
from seedspread.data.loader import Normaliser
from seedspread.data.picture_files import PictureArrays, PictureFiles
from seedspread.models.backbones import Backbone

Cut = Callable[[PictureFiles | PictureArrays, int], np.ndarray]  # (set, index) to crops (views, size, size, 3) uint8


class FeatureExtractor:
    """A frozen backbone on a device, with threads that decode and cut the next pictures while it looks at these."""

    def __init__(self, backbone: Backbone, device: torch.device, batch_size: int) -> None:
        transform = backbone.transform
        self.device, self.batch_size = device, batch_size
        self.network: nn.Module = backbone.load().to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        self._size, self._bf16 = transform.size, backbone.precision == "bf16-mixed"
        self._normalise = Normaliser(transform.mean, transform.std, transform.size, device)
        try:
            self.dimension = self.look(np.zeros((1, transform.size, transform.size, 3), np.uint8)).shape[1]
        except (AssertionError, RuntimeError, ValueError) as error:  # what networks of one size say of another
            raise InputError(f"backbone.size={transform.size} does not fit {backbone.name}: {error}") from error

    @torch.inference_mode()
    def look(self, crops: np.ndarray) -> np.ndarray:
        """Features (n, d) float16 of crops (n, size, size, 3) uint8."""
        images = self._normalise(torch.from_numpy(crops).to(self.device)).permute(0, 3, 1, 2)
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self._bf16):
            features = self.network(images)
        if features.ndim != 2:
            raise InputError(f"the backbone gives {tuple(features.shape)}, not one row a picture; take another")
        return features.half().cpu().numpy()

    def passes(self, cut: Cut, pictures: PictureFiles | PictureArrays, chosen: Iterable[int]) -> Iterator[np.ndarray]:
        """Features (views, d) of each chosen picture, in order; a picture that does not decode has none: (0, d)."""
        ready: deque[np.ndarray] = deque()
        waiting: deque[tuple[int, list[np.ndarray]]] = deque()  # how many views, and those that came
        for crops in _ahead(lambda index: cut(pictures, index), chosen, self.batch_size):
            waiting.append((len(crops), []))
            ready.extend(crops)
            while len(ready) >= self.batch_size:
                yield from self._looked(ready, waiting)
        yield from self._looked(ready, waiting)

    def _looked(self, ready: deque[np.ndarray], waiting: deque[tuple[int, list[np.ndarray]]]) -> Iterator[np.ndarray]:
        batch = [ready.popleft() for _ in range(min(self.batch_size, len(ready)))]
        rows = deque(self.look(np.stack(batch)) if batch else ())
        while waiting and (rows or waiting[0][0] == len(waiting[0][1])):
            views, came = waiting[0]
            while rows and len(came) < views:
                came.append(rows.popleft())
            if len(came) < views:
                break
            yield np.stack(came) if came else np.empty((0, self.dimension), np.float16)
            waiting.popleft()


def _ahead(job: Callable[[int], np.ndarray], chosen: Iterable[int], window: int) -> Iterator[np.ndarray]:
    """`job` of each, in order, up to `window` of them ahead in threads; nothing where a picture is broken."""
    with ThreadPoolExecutor(count_cores()) as pool:
        running: deque[Future[np.ndarray]] = deque()
        try:
            for index in chosen:
                running.append(pool.submit(job, index))
                if len(running) >= window:
                    yield running.popleft().result()
            while running:
                yield running.popleft().result()
        finally:
            for future in running:
                future.cancel()


def count_cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
