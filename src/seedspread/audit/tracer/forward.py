"""Forward passes of the outermost modules: what they receive, what they give, which generators moved meanwhile."""

from __future__ import annotations

from typing import Any

from .calls import harmless, is_compiling
from .hashes import hash_all, hash_rows, hash_value, is_constant, is_tensor, pack_rows
from .tracing import Tracing

MOST_NAMES = 4  # modules that are named as active dropout


class _Passes:
    """The forward pass that is under way in this process: of one outermost module at a time."""

    def __init__(self, tracing: Tracing, torch: Any) -> None:
        self.tracing, self.torch = tracing, torch
        self.root: Any = None
        self.depth = 0
        self.numbers: dict[int, int] = {}  # of the outermost modules, by identity
        self.kept: list[Any] = []  # these modules, so that no other has their identity
        self.names: dict[int, str] = {}
        self.received: tuple[Any, ...] = ()

    def begin(self, module: Any, args: tuple[Any, ...]) -> None:
        """Before the forward pass of any module."""
        if is_compiling() or self.torch._C._get_tracing_state():
            return
        if self.root is not None:
            self.depth += module is self.root
            return
        if self.tracing.in_backward or not _has_parameters(module):
            return  # recomputed for a backward pass, or a loss, or a transform
        self.root, self.depth = module, 1
        self.tracing.called = self.tracing.called or self.torch.is_grad_enabled()
        self._number(module)
        moved = self.tracing.watch.look()
        self.received = (hash_all(args), hash_rows(args), moved, dict(self.tracing.watch.states))

    def end(self, module: Any, args: tuple[Any, ...], kwargs: dict[str, Any], output: Any) -> None:
        """After the forward pass of any module, also one that failed."""
        if is_compiling() or self.root is None:
            return
        if self.tracing.fine:
            name = self.names.get(id(module), type(module).__name__)
            self.tracing.writer.write("m", name, hash_value([*args, kwargs]), hash_value(output))
        if module is not self.root:
            return
        self.depth -= 1
        if self.depth > 0:
            return
        self.root = None
        inputs, rows, moved, states = self.received
        if kwargs:
            inputs = hash_all([inputs, *kwargs.values()])
            rows = hash_rows(kwargs.values()) if rows is None else rows
        mode = int(module.training) + 2 * int(self.torch.is_grad_enabled())
        during = self.tracing.watch.look()
        states = {name: state for name, state in states.items() if name in self.tracing.watch.drawn}
        active = _active_dropout(module) if during else []
        number = self.numbers[id(module)]
        self.tracing.writer.write(
            "f", number, mode, inputs, pack_rows(rows), moved, states, hash_value(_values(output)), during, active
        )
        self.tracing.forwards += int(module.training)
        self.tracing.watch.batches += 1
        self.tracing.end_if_enough()

    def _number(self, module: Any) -> None:
        if id(module) not in self.numbers:
            self.numbers[id(module)] = len(self.numbers)
            self.kept.append(module)
            parameters = dict(module.named_parameters())
            weights = {name.replace("_orig_mod.", ""): hash_value(p) for name, p in parameters.items()}
            constant = [name.replace("_orig_mod.", "") for name, p in parameters.items() if is_constant(p)]
            kind = type(getattr(module, "_orig_mod", module)).__name__
            self.tracing.writer.write("weights", self.numbers[id(module)], kind, weights, constant)
            if self.tracing.fine:
                self.names.update({id(one): name or kind for name, one in module.named_modules()})


def trace_modules(tracing: Tracing, torch: Any) -> list[Any]:
    """Trace the forward passes of every outermost module that has parameters; return what takes the hooks back."""
    passes = _Passes(tracing, torch)
    hooks = torch.nn.modules.module
    return [
        hooks.register_module_forward_pre_hook(harmless(passes.begin)),
        hooks.register_module_forward_hook(
            harmless(passes.end),
            with_kwargs=True,
            always_call=True,
        ),
    ]


def _has_parameters(module: Any) -> bool:
    return next(module.parameters(), None) is not None


def _active_dropout(module: Any) -> list[str]:
    """The dropout modules in training mode, by their names."""
    named = ((name or "itself", one) for name, one in module.named_modules())
    active = (n for n, one in named if "Drop" in type(one).__name__ and one.training and getattr(one, "p", 1))
    return [name for name, _ in zip(active, range(MOST_NAMES))]


def _values(output: Any) -> Any:
    """An output without what cannot be hashed."""
    if is_tensor(output) or isinstance(output, (dict, list, tuple)) or hasattr(output, "items"):
        return output
    return vars(output) if hasattr(output, "__dict__") else output
