"""Batches of pictures that are in the device's memory: no worker processes, no copies from the host in an epoch."""

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor

from seedspread.config.streams import Streams
from seedspread.data.augment import Augmentation

PICTURES_AT_ONCE = 5000  # of an epoch that is augmented whole
CACHED = 2**20  # bytes of an epoch's pictures that stay in a processor's cache


class EpochOrder:
    """The order of an epoch's pictures, drawn from the order stream at that epoch.

    Lightning calls `set_epoch` on a loader's `sampler` before each epoch, a resumed one included.
    """

    def __init__(self, pictures: int, streams: Streams) -> None:
        self.pictures = pictures
        self.streams = streams
        self.epoch = 0

    def set_epoch(self, epoch: int) -> None:
        self.epoch = epoch

    def permutation(self) -> Tensor:
        """The order of this epoch, (pictures,) int64."""
        return torch.from_numpy(self.streams.order.rng(self.epoch).permutation(self.pictures))


class Normaliser:
    """Turns uint8 images (n, h, w, c) into floats, normalised by the mean and standard deviation of each channel."""

    def __init__(self, mean: Sequence[float], std: Sequence[float], width: int, device: torch.device) -> None:
        # A whole row of pixels at a time: four times as fast on a CPU as broadcasting over the channels alone.
        mean_row, std_row = (torch.tensor(values, dtype=torch.float32).repeat(width) for values in (mean, std))
        self.scale = (1 / (255 * std_row)).to(device)
        self.shift = (-mean_row / std_row).to(device)

    def __call__(self, images: Tensor) -> Tensor:
        n, h, w, c = images.shape
        return images.reshape(n, h, w * c).float().mul_(self.scale).add_(self.shift).view(n, h, w, c)


def find_rank() -> tuple[int, int]:
    """The rank of this process among those that train one seed together, and their number."""
    if torch.distributed.is_available() and torch.distributed.is_initialized():
        return torch.distributed.get_rank(), torch.distributed.get_world_size()
    return 0, 1


class EpochPosition:
    """A loader's position within its epoch: Lightning saves it in checkpoints, and a resumed run continues there."""

    _next = _done = 0

    def __len__(self) -> int:
        raise NotImplementedError

    def state_dict(self) -> dict[str, int]:
        return {"batches_done": self._done}

    def load_state_dict(self, state: dict[str, int]) -> None:
        """Start the next iteration after the batches that are done."""
        self._next = state["batches_done"] % len(self)

    def steps(self) -> Iterator[int]:
        """The numbers of the batches that remain in the epoch."""
        begin, self._next = self._next, 0
        for step in range(begin, len(self)):
            self._done = step + 1
            yield step


class ShuffledLoader(EpochPosition):
    """Batches in an order of their own each epoch.

    An incomplete last batch is dropped: other pictures each epoch, since the order is shuffled.
    """

    def __init__(self, pictures: int, batch_size: int, streams: Streams) -> None:
        self.batch_size, self.streams = batch_size, streams
        self.sampler = EpochOrder(pictures, streams)

    def __len__(self) -> int:
        return self.sampler.pictures // self.batch_size // find_rank()[1]

    def slices(self) -> Iterator[slice]:
        """The batches that remain in the epoch, each as a slice of its order; ranks take turns."""
        rank, ranks = find_rank()
        for step in self.steps():
            begin = (step * ranks + rank) * self.batch_size
            yield slice(begin, begin + self.batch_size)


class TrainLoader(ShuffledLoader):
    """Shuffled and augmented batches of an epoch: images (batch, c, h, w) float, channels last, and labels (batch,)."""

    def __init__(
        self,
        images: Tensor,
        labels: Tensor,
        batch_size: int,
        normalise: Normaliser,
        streams: Streams,
        augment: Augmentation | None,
    ) -> None:
        super().__init__(len(labels), batch_size, streams)
        self.images, self.labels, self.normalise, self.augment = images, labels, normalise, augment

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        device, size = self.images.device, self.images.shape[1]
        order = self.sampler.permutation().to(device, non_blocking=True)
        draws = None
        if self.augment is not None:
            drawn = self.augment.draw(self.streams.augment.rng(self.sampler.epoch), len(self.labels), size)
            draws = torch.from_numpy(drawn).to(device, non_blocking=True)
        whole = self._prepare_all(draws) if self._has_room() else None
        for chosen in (order[batch] for batch in self.slices()):
            images = self._prepare(chosen, draws) if whole is None else whole[chosen]
            yield images.permute(0, 3, 1, 2), self.labels[chosen]

    def _prepare(self, chosen: Tensor | slice, draws: Tensor | None) -> Tensor:
        """The `chosen` pictures, normalised and augmented."""
        images = self.normalise(self.images[chosen])
        return images if self.augment is None or draws is None else self.augment.apply(images, draws[chosen])

    def _prepare_all(self, draws: Tensor | None) -> Tensor:
        """All pictures at once, in the order of the set, which takes as many operators as a batch."""
        parts = range(0, len(self.labels), PICTURES_AT_ONCE)
        return torch.cat([self._prepare(slice(begin, begin + PICTURES_AT_ONCE), draws) for begin in parts])

    def _has_room(self) -> bool:
        """Whether a GPU has room for an epoch's pictures, twice while they are joined, or a processor's cache has."""
        device, size = self.images.device, 4 * self.images.nbytes
        return 4 * size < torch.cuda.mem_get_info(device)[0] if device.type == "cuda" else size <= CACHED


class ScoreLoader:
    """All pictures without augmentation, in the order of the set; batches as those of TrainLoader."""

    def __init__(self, images: Tensor, labels: Tensor, batch_size: int, normalise: Normaliser) -> None:
        self.images, self.labels, self.batch_size, self.normalise = images, labels, batch_size, normalise

    def __len__(self) -> int:
        return -(-len(self.labels) // self.batch_size)

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        for images, labels in zip(self.images.split(self.batch_size), self.labels.split(self.batch_size), strict=True):
            yield self.normalise(images).permute(0, 3, 1, 2), labels
