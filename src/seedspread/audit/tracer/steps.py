"""Backward passes and steps of optimizers: the loss, gradients before a step, parameters after it."""

from __future__ import annotations

import functools
import importlib
from typing import Any

from .calls import harmless, is_compiling
from .functional import Functional, find_leaves
from .hashes import hash_all, hash_value
from .tracing import Tracing

NEAR_THE_LOSS = 12  # operations that are searched for targets


class _Steps:
    def __init__(self, tracing: Tracing) -> None:
        self.tracing = tracing
        self.numbers: dict[int, int] = {}
        self.kept: list[Any] = []
        self.gradients: dict[int, str] = {}
        self.settings: dict[int, str] = {}
        self.functional = Functional(tracing)

    def before(self, optimizer: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Read the gradients; where a closure will compute them, once it has."""
        self.settings[self._number(optimizer)] = _hash_settings(optimizer)
        closure = args[1] if len(args) > 1 else kwargs.get("closure")
        if not callable(closure):
            self._read_gradients(optimizer)
            return None

        @functools.wraps(closure)
        def compute_and_read(*more: Any, **keys: Any) -> Any:
            loss = closure(*more, **keys)
            self._read_gradients(optimizer)
            return loss

        if len(args) > 1:
            return (args[0], compute_and_read, *args[2:]), kwargs
        return args, {**kwargs, "closure": compute_and_read}

    def after(self, optimizer: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        """Hash the parameters that were stepped."""
        parameters = [p for group in optimizer.param_groups for p in group["params"]]
        number = self._number(optimizer)
        gradients, settings = self.gradients.pop(number, None), self.settings.pop(number, None)
        tracing = self.tracing
        if tracing.fine:
            tracing.writer.write("p", [hash_value(p) for p in parameters])
        tracing.writer.write("o", number, gradients, hash_all(parameters), settings)
        tracing.stepped += 1
        tracing.end_if_enough()

    def _read_gradients(self, optimizer: Any) -> None:
        gradients = [p.grad for group in optimizer.param_groups for p in group["params"]]
        if self.tracing.fine:
            self.tracing.writer.write("g", [hash_value(gradient) for gradient in gradients])
        self.gradients[self._number(optimizer)] = hash_all(gradients)
        self.functional.note_weights(lambda: [p for group in optimizer.param_groups for p in group["params"]])
        if not self.tracing.backwards:  # gradients come from elsewhere
            self.functional.note_draws(hash_all(gradients))

    def _number(self, optimizer: Any) -> int:
        if id(optimizer) not in self.numbers:
            self.numbers[id(optimizer)] = len(self.numbers)
            self.kept.append(optimizer)
            parameters = [p for group in optimizer.param_groups for p in group["params"]]
            name, before = type(optimizer).__name__, hash_all(parameters)
            self.tracing.writer.write("optimizer", self.numbers[id(optimizer)], name, len(parameters), before)
        return self.numbers[id(optimizer)]


def _hash_settings(optimizer: Any) -> str:
    """The hash of the learning rate and of whatever else the optimizer is told of each group of parameters."""
    groups = optimizer.param_groups
    return hash_all(value for group in groups for key, value in group.items() if key != "params")


@harmless
def find_targets(loss: Any) -> list[Any]:
    """The targets of a loss, as far as the functions of torch that it was computed by have kept them."""
    nodes, found = [getattr(loss, "grad_fn", None)], []
    for _ in range(NEAR_THE_LOSS):
        node = nodes.pop(0) if nodes else None
        if node is None:
            break
        target = getattr(node, "_saved_target", None)
        if target is not None:
            found.append(target)
        else:
            nodes += [one for one, _ in node.next_functions if one is not None]
    return found


def trace_steps(tracing: Tracing, torch: Any) -> list[Any]:
    """Trace backward passes and the steps of every optimizer; return what takes the hooks back."""
    steps = _Steps(tracing)

    def make(original: Any) -> Any:
        @functools.wraps(original)
        def backward(*args: Any, **kwargs: Any) -> Any:
            if is_compiling() or tracing.in_backward:
                return original(*args, **kwargs)
            loss = args[0] if args else next(iter(kwargs.values()), None)
            tracing.in_backward = True
            try:
                hashed = hash_value(loss)
                steps.functional.note_weights(lambda: find_leaves(loss))
                steps.functional.note_draws(hashed)
                tracing.writer.write("l", hashed, hash_all(find_targets(loss) or []))
                return original(*args, **kwargs)
            finally:
                tracing.in_backward = False
                tracing.backwards += 1
                tracing.end_if_enough()

        return backward

    tracing.patches.replace(torch.Tensor, "backward", make)
    tracing.patches.replace(torch.autograd, "backward", make)
    tracing.patches.replace(torch.autograd, "grad", make)
    optimizers = importlib.import_module("torch.optim.optimizer")
    return [
        optimizers.register_optimizer_step_pre_hook(harmless(steps.before)),
        optimizers.register_optimizer_step_post_hook(harmless(steps.after)),
    ]
