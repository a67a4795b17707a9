"""Fits of scikit-learn: what an estimator is fitted to, and what it has learned."""

from __future__ import annotations

import functools
from typing import Any

from .calls import harmless
from .hashes import hash_all, hash_value
from .tracing import Tracing


def trace_fits(tracing: Tracing, base: Any) -> None:
    """Trace the outermost fits of estimators, which scikit-learn decorates as they are defined."""
    depth = 0

    def make(decorate: Any) -> Any:
        def decorate_and_trace(*args: Any, **kwargs: Any) -> Any:
            wrap = decorate(*args, **kwargs)
            return lambda method: trace(wrap(method))

        return decorate_and_trace

    def trace(fit: Any) -> Any:
        @functools.wraps(fit)
        def traced(estimator: Any, *args: Any, **kwargs: Any) -> Any:
            nonlocal depth
            moved = tracing.watch.look() if not depth else []
            depth += 1
            try:
                return fit(estimator, *args, **kwargs)
            finally:
                depth -= 1
                if not depth:
                    states = tracing.watch.shown()
                    during = tracing.watch.look()
                    given, learned = hash_all([*args, *kwargs.values()]), _hash_learned(estimator)
                    name, unset = type(estimator).__name__, _list_unset(estimator) or []
                    tracing.writer.write("fit", name, given, learned, moved, states, during, unset)

        return traced

    tracing.patches.replace(base, "_fit_context", make)


@harmless
def _list_unset(estimator: Any) -> list[str]:
    """The parameters random_state that are None, of an estimator and of those that it is made of."""
    parameters = estimator.get_params().items()
    return [name for name, value in parameters if name.rpartition("__")[2] == "random_state" and value is None]


def _hash_learned(estimator: Any, depth: int = 0) -> str:
    """The arrays and numbers that a fit has left, also those of estimators within it."""
    parts: list[Any] = []
    for name, value in sorted(vars(estimator).items()):
        if name.endswith("_") and not name.endswith("time_"):
            several = list(value.flat) if str(getattr(value, "dtype", "")) == "object" else value
            several = several if isinstance(several, list) else [several]
            for one in several:
                if hasattr(one, "get_params") and depth < 3:
                    parts.append(_hash_learned(one, depth + 1))
                elif hasattr(one, "threshold") and hasattr(one, "value"):  # a tree
                    parts += [one.feature, one.threshold, one.value]
                elif hasattr(one, "dtype") or isinstance(one, (int, float, str)):
                    parts.append(one)
    return hash_value(parts)
