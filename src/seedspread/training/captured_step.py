"""The forward and backward pass of a step as one CUDA graph, which the host launches at once: `capture=true`.

A small step takes a GPU less time than the host needs to launch its 150 kernels one by one. A graph repeats the same
kernels on the same addresses, so that its bits are those of the ordinary step. The optimizer stays outside of it, one
or two kernels that the host launches while the graph runs: its learning rate may change at any step, gradients may be
clipped, and any optimizer will do. (Within the graph the rate would be a tensor, which a fused optimizer reads in
single precision, and other bits would come of it.)

One graph serves all seeds of a process: `seedspread.training.compilation` keeps the tensors of the network in place.
"""

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from seedspread.config.errors import InputError
from seedspread.training.module import Batch, Classifier

WARM_UP = 3  # steps on the stream of the graph before it is captured, by which libraries choose and load kernels

_latest: "CapturedStep | None" = None  # of this process


class Graph(Protocol):
    """What repeats the operators that a function has launched."""

    def warm_up(self, function: Callable[[], None]) -> None:
        """Run `function` as `capture` will."""

    def capture(self, function: Callable[[], None]) -> None:
        """Keep what `function` launches; nothing of it is computed."""

    def replay(self) -> None:
        """Launch it, on the tensors of that time."""


class CudaGraph:
    """A torch.cuda.CUDAGraph with a stream of its own."""

    def __init__(self) -> None:
        self._graph, self._stream = torch.cuda.CUDAGraph(), torch.cuda.Stream()

    def warm_up(self, function: Callable[[], None]) -> None:
        self._stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(self._stream):
            function()
        torch.cuda.current_stream().wait_stream(self._stream)

    def capture(self, function: Callable[[], None]) -> None:
        # Lightning frees the workspaces of cuBLAS when a fit begins and ends. One of the warm-up would be freed under
        # the graph; one that is made while it is captured belongs to the graph's own memory.
        torch._C._cuda_clearCublasWorkspaces()
        with torch.cuda.graph(self._graph, stream=self._stream, capture_error_mode="thread_local"):
            function()
        torch._C._cuda_clearCublasWorkspaces()

    def replay(self) -> None:
        self._graph.replay()


class CapturedStep:
    """Sets the gradients of a classifier's weights for one batch after the other, after a few of them by a graph.

    The graph reads the batch from tensors of its own, into which each is copied, and adds to a `_train_sums` of its
    own, which the classifier then uses. It holds what it reads, so that no memory is freed under it.
    """

    def __init__(self, module: Classifier, batch: Batch, graph: Graph) -> None:
        self.network = module.model
        # By tensors of its own: Lightning moves those of a module off the GPU when a fit ends.
        self._held = [tensor.detach() for tensor in (*module.parameters(), *module.buffers())]
        self.weights: list[nn.Parameter] = [*module.model.parameters()]
        self.gradients: list[Tensor | None] = []
        self.batch: Batch = torch.empty_like(batch[0]), torch.empty_like(batch[1])
        self.sums = torch.empty_like(module._train_sums)
        self._graph, self._runs, self._value = graph, 0, self.sums

    def takes(self, batch: Batch) -> bool:
        """Whether `batch` is of the kind that the graph was captured for."""
        kinds = [(part.shape, part.dtype, part.stride(), part.device) for part in (*self.batch, *batch)]
        return kinds[:2] == kinds[2:]

    def set_gradients(
        self, module: Classifier, batch: Batch, precision: Callable[[], AbstractContextManager[Any]]
    ) -> Tensor:
        """Forward and backward pass of `batch`, the forward pass in the context `precision`; returns the loss."""

        def both_passes() -> None:
            for weight in self.weights:
                weight.grad = None
            with precision():
                loss = module.training_step(self.batch)
            loss.backward()
            self._value = loss.detach()

        for own, given in zip(self.batch, batch, strict=True):
            own.copy_(given, non_blocking=True)
        if module._train_sums is not self.sums:
            self.sums.copy_(module._train_sums)
            module._train_sums = self.sums
        self._runs += 1
        if self._runs <= WARM_UP:
            self._graph.warm_up(both_passes)
            return self._value
        if self._runs == WARM_UP + 1:
            self._graph.capture(both_passes)
            self.gradients = [weight.grad for weight in self.weights]
        self._graph.replay()
        for weight, gradient in zip(self.weights, self.gradients, strict=True):
            weight.grad = None if gradient is None else gradient.detach()
        return self._value


def captured_step(module: Classifier, batch: Batch) -> CapturedStep | None:
    """The captured step of this process for the network of `module`; None for a batch that it does not take."""
    global _latest
    if _latest is None or _latest.network is not module.model:
        _latest = None  # its memory is free before the next one takes its own
        _latest = CapturedStep(module, batch, CudaGraph())
    return _latest if _latest.takes(batch) else None


def check_captured(module: Any, observer: str | None, accumulated: int) -> None:
    """Raise InputError for what takes each step for itself or changes from step to step what the graph would repeat."""
    reason = observer and f"{observer} takes each step for itself"
    if accumulated > 1:
        reason = f"trainer.accumulate_grad_batches={accumulated}: a graph holds the gradient of one batch"
    elif callable(getattr(getattr(module, "model", None), "set_epoch", None)):
        reason = "model=finetuned trains other layers after some epochs"
    if reason:
        raise InputError(f"capture=true: {reason}; set capture=false")
