"""Training that calls no module: its weights, and what is drawn before each backward pass or step."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from .calls import harmless
from .hashes import hash_value, is_constant
from .tracing import Tracing

FUNCTIONAL = -1  # in place of the number of an outermost module
MOST_NODES = 10_000  # of a graph, searched for its leaves


class Functional:
    """What the trace has in place of forward passes, until a module is called."""

    def __init__(self, tracing: Tracing) -> None:
        self.tracing = tracing
        self.seen = False

    @harmless
    def note_weights(self, find: Callable[[], Sequence[Any]]) -> None:
        """The weights before the first step, once."""
        if self.seen or self.tracing.called:
            return
        weights = {f"parameter {i}": one for i, one in enumerate(find())}
        if weights:
            self.seen = True
            hashes = {name: hash_value(one) for name, one in weights.items()}
            constant = [name for name, one in weights.items() if is_constant(one)]
            self.tracing.writer.write("weights", FUNCTIONAL, "parameters", hashes, constant)

    @harmless
    def note_draws(self, computed: str) -> None:
        """What was drawn before a backward pass or a step; `computed` is the hash of the loss or of the gradients."""
        tracing = self.tracing
        if tracing.called:
            return
        moved = tracing.watch.look()
        tracing.writer.write("f", FUNCTIONAL, 3, "", "", moved, tracing.watch.shown(), computed, [], [])
        tracing.watch.batches += 1


def find_leaves(loss: Any) -> list[Any]:
    """The tensors that a backward pass of a loss gives gradients, in the order of its graph."""
    todo, found = [getattr(loss, "grad_fn", None)], []
    seen: set[Any] = set()
    while todo and len(seen) < MOST_NODES:
        node = todo.pop()
        if node is None or node in seen:
            continue
        seen.add(node)
        if hasattr(node, "variable"):
            found.append(node.variable)
        todo += [one for one, _ in reversed(node.next_functions)]
    return found
