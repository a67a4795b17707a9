"""What to do right after code of the user's imports a library, as torch, whose state a seed depends on."""

import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from importlib.machinery import ModuleSpec
from typing import Any


@contextmanager
def after_import(actions: Mapping[str, Callable[[Any], object]]) -> Iterator[None]:
    """Within the block, whoever imports a module of `actions` for the first time has its action called with it."""
    finder: Any = _Finder(actions)
    sys.meta_path.insert(0, finder)
    try:
        yield
    finally:
        sys.meta_path.remove(finder)


class _Finder:
    """Finds modules as the finders after it do."""

    def __init__(self, actions: Mapping[str, Callable[[Any], object]]) -> None:
        self._actions = actions

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> ModuleSpec | None:
        if name not in self._actions:
            return None
        others = sys.meta_path[sys.meta_path.index(self) + 1 :]
        spec = next((found for one in others if (found := one.find_spec(name, path, target))), None)
        if spec is not None and spec.loader is not None:
            load: Callable[[Any], None] = spec.loader.exec_module

            def load_and_act(module: Any) -> None:
                load(module)
                self._actions[name](module)

            spec.loader.exec_module = load_and_act  # type: ignore[method-assign]
        return spec
