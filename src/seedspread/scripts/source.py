"""What a Python function depends on: its source, that of the user's functions it uses, the values it closes over."""

import functools
import site
import sys
import sysconfig
from argparse import Namespace
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import MISSING, fields, is_dataclass
from enum import Enum
from importlib import import_module
from importlib.util import find_spec, resolve_name
from pathlib import Path
from types import FunctionType, MethodType, ModuleType, SimpleNamespace
from typing import Any

import numpy as np

from seedspread.scripts.syntax import all_names, global_names, hash_source, imported_names
from seedspread.scripts.value import LONGEST_VALUE, describe_array, describe_print, describe_scalar, sha

_LIBRARIES = tuple(
    f"{folder}/"
    for folder in {
        *(sysconfig.get_path(name) for name in ("stdlib", "platstdlib", "purelib", "platlib")),
        *site.getsitepackages(),
        site.getusersitepackages(),
        str(Path(__file__).parents[1]),
    }
)


def describe_function(function: Any) -> dict[str, Any]:
    """A function's name, a hash of each piece of source, and its values, for the identity of a study.

    Source is hashed as a syntax tree: comments, docstrings and layout do not count. Followed are functions, classes and
    constants of the user's own files that the function names; of libraries the versions are recorded. Where Python
    keeps no source, as in its interactive shell, the byte code stands for it.
    """
    found = _Walk()
    found.add(name_function(function), function)
    return {"name": name_function(function), "source": found.sources, "values": found.values}


def name_function(function: Any) -> str:
    """The name of a function, of what a partial calls, or of an object's class, as `Fit.train`."""
    if isinstance(function, functools.partial):
        return name_function(function.func)
    return getattr(function, "__qualname__", type(function).__qualname__).replace("<locals>.", "")


class _Walk:
    """Collects sources and values; each function, class and object once."""

    def __init__(self) -> None:
        self.sources: dict[str, str] = {}
        self.values: dict[str, Any] = {}
        self._seen: dict[int, Any] = {}  # by id; held, so that none gets the id of another
        self._open: set[int] = set()  # containers that are being described: one may hold itself

    def add(self, name: str, value: Any) -> None:
        """What a function names or closes over: the source of the user's code, of all else the value."""
        if _is_code(value):
            self._follow(name, value)
        elif not isinstance(value, ModuleType):
            _put(self.values, name, self._describe(name, value))

    def _follow(self, name: str, thing: Any) -> None:
        """A function, a class, or what calls one; and all that it refers to."""
        if id(thing) in self._seen:
            return
        self._seen[id(thing)] = thing
        if isinstance(thing, functools.partial):
            self.add(name, thing.func)
            for key, value in (*enumerate(thing.args), *sorted(thing.keywords.items())):
                self.add(f"{name}.{key}", value)
        elif isinstance(thing, MethodType):
            self.add(name, thing.__func__)
            self.add(name.rpartition(".")[0] or f"{name}.self", thing.__self__)
        elif isinstance(thing, type):
            self._follow_class(name, thing)
        elif _is_users_function(thing):
            _put(self.sources, name, hash_source(thing))
            self._follow_references(name, thing)
        else:  # what a decorator of a library made of a function
            self.add(name, _find_wrapped(thing))

    def _follow_references(self, name: str, function: FunctionType) -> None:
        """Default values, closure, globals, modules of the user's."""
        code, globals_ = function.__code__, function.__globals__
        for key, value in (*_defaults(function), *_closure(function)):
            self.add(key if key in code.co_freevars else f"{name}.{key}", value)
        names = all_names(code)
        for word in sorted(global_names(code) & set(globals_)):
            self.add(word, globals_[word])
            self._add_members(word, globals_[word], names)
        for word in imported_names(code):
            if module := _import_users(word, globals_.get("__package__")):
                self._add_members(module.__name__, module, names)

    def _add_members(self, name: str, module: Any, words: set[str], *outer: ModuleType) -> None:
        """What a function names of a module of the user's, modules within it included."""
        if not isinstance(module, ModuleType) or not is_users(module) or module in outer:
            return
        for word in sorted(words & set(vars(module))):
            self.add(f"{name}.{word}", getattr(module, word))
            self._add_members(f"{name}.{word}", getattr(module, word), words, module, *outer)

    def _follow_class(self, name: str, cls: type) -> None:
        """The methods and attributes of a class and of its bases; a class has no source in a notebook, methods have."""
        for base in reversed(cls.__mro__):
            if not is_users(base):
                continue
            label = name if base is cls else base.__qualname__
            _put(self.sources, label, sha(repr([_label(parent) for parent in base.__bases__]).encode()))
            for key, member in sorted(vars(base).items()):
                member = getattr(member, "__func__", getattr(member, "fget", getattr(member, "func", member)))
                if isinstance(member, FunctionType):
                    if not _is_generated(base, member):
                        self.add(f"{label}.{key}", member)
                elif not key.startswith(("__", "_abc_")):
                    self.add(f"{label}.{key}", member)
            for field in fields(base) if is_dataclass(base) else ():
                if field.default_factory is not MISSING:
                    self.add(f"{label}.{field.name}", field.default_factory)

    def _describe(self, name: str, value: Any) -> Any:
        """`value` as JSON has it, or in words: the hash of an array, the name of a function or class.

        The source of the user's code within it is added, under `name`.
        """
        if isinstance(value, Enum):
            return f"{type(value).__qualname__}.{value.name}"
        if value is None or isinstance(value, bool):
            return value
        for kind in (int, str, float):
            if isinstance(value, kind):  # subclasses, as NumPy's float64, are no JSON
                return describe_scalar(kind(value))
        if isinstance(value, bytes):
            return f"bytes {sha(value)}"
        if _is_code(value):
            self._follow(name, value)
            return _label(value)
        if isinstance(value, type | ModuleType) or (callable(value) and hasattr(value, "__qualname__")):
            return _label(value)
        if (array := describe_array(value)) is not None:
            return array
        if isinstance(value, Mapping | Namespace | SimpleNamespace | set | frozenset | list | tuple | np.ndarray):
            return self._describe_container(name, value)
        if is_users(type(value)):
            self._describe_object(name, value)
            return _label(type(value))
        return describe_print(value) or _label(type(value))

    def _describe_container(self, name: str, value: Any) -> Any:
        if id(value) in self._open:
            return "..."
        self._open.add(id(value))
        described: Any
        if isinstance(value, set | frozenset):
            described = sorted((self._describe_alone(one) for one in value), key=repr)
        elif isinstance(value, Mapping | Namespace | SimpleNamespace):
            items = dict(value) if isinstance(value, Mapping) else vars(value)
            described = {str(k): self._describe(f"{name}.{k}", items[k]) for k in sorted(items, key=str)}
        else:
            described = [self._describe(f"{name}.{i}", one) for i, one in enumerate(value)]
        self._open.remove(id(value))
        text = repr(described)
        if len(text) <= LONGEST_VALUE:
            return described
        return f"{type(value).__name__} of {len(described)}, {sha(text.encode())}"

    def _describe_alone(self, value: Any) -> Any:
        """A value that has no name: a member of a set, which has no order either."""
        walk = _Walk()
        walk._seen, walk._open = dict(self._seen), self._open
        described = walk._describe("", value)
        more = (*walk.sources.items(), *walk.values.items())
        return f"{described} {sha(repr(sorted(more, key=repr)).encode())}" if more else described

    def _describe_object(self, name: str, thing: Any) -> None:
        """An object of a class of the user's: its class, and what it holds."""
        if id(thing) in self._seen:
            return
        self._seen[id(thing)] = thing
        self._follow(type(thing).__qualname__, type(thing))
        slots = {slot for base in type(thing).__mro__ for slot in getattr(base, "__slots__", ())}
        held = {**{slot: getattr(thing, slot, None) for slot in slots}, **getattr(thing, "__dict__", {})}
        for key in sorted(held):
            self.add(f"{name}.{key}", held[key])


def is_users(thing: Any) -> bool:
    """Whether a module or class lies in the user's own files: not in a library, nor in this package."""
    name = thing.__name__ if isinstance(thing, ModuleType) else getattr(thing, "__module__", None)
    if name == "__main__":
        return True
    module = thing if isinstance(thing, ModuleType) else sys.modules.get(str(name))
    file = getattr(module, "__file__", None) or next(iter(getattr(module, "__path__", ())), None)  # of a bare folder
    return file is not None and _is_users_file(file)


def _is_users_file(file: str) -> bool:
    return not str(Path(file).absolute()).startswith(_LIBRARIES)


def _is_users_function(thing: Any) -> bool:
    """Whether `thing` is a function of the user's files, whatever a decorator says of its module."""
    if not isinstance(thing, FunctionType):
        return False
    file = thing.__code__.co_filename
    return is_users(thing) if file.startswith("<") else _is_users_file(file)


def _is_code(thing: Any) -> bool:
    """Whether `thing` is a function or class of the user's, or may call one."""
    if isinstance(thing, type):
        return is_users(thing)
    return (
        isinstance(thing, functools.partial | MethodType)
        or _is_users_function(thing)
        or _find_wrapped(thing) is not None
    )


def _find_wrapped(thing: Any) -> Any:
    """The function of the user's that a decorator of a library wrapped in `thing`; None where there is none."""
    wrapped = getattr(thing, "__dict__", {}).get("__wrapped__")
    if callable(wrapped) and _is_code(wrapped):
        return wrapped
    return next((value for _, value in _closure(thing) if _is_users_function(value)), None)


def _closure(function: Any) -> Iterator[tuple[str, Any]]:
    """The names and values of a closure, as far as they are assigned; empty for what has none."""
    if isinstance(function, FunctionType):
        for name, cell in zip(function.__code__.co_freevars, function.__closure__ or (), strict=True):
            with suppress(ValueError):
                yield name, cell.cell_contents


def _defaults(function: FunctionType) -> Iterator[tuple[str, Any]]:
    """The parameters of a function that have a default value, and these."""
    names, values = function.__code__.co_varnames[: function.__code__.co_argcount], function.__defaults__ or ()
    yield from zip(names[len(names) - len(values) :], values, strict=True)
    yield from (function.__kwdefaults__ or {}).items()


def _is_generated(cls: type, function: FunctionType) -> bool:
    """Whether `function` is a method that a dataclass wrote."""
    return is_dataclass(cls) and function.__name__.startswith("__") and function.__code__.co_filename == "<string>"


def _put(table: dict[str, Any], name: str, described: Any) -> None:
    """Enter what is described; of several that go by one name all count."""
    while table.setdefault(name, described) != described:
        name += "'"


def _label(thing: Any) -> str:
    """The name of a class, function or module; of a library's with its package, within which things move."""
    named = thing if hasattr(thing, "__qualname__") or isinstance(thing, ModuleType) else type(thing)
    if isinstance(named, ModuleType):
        return named.__name__
    package = str(getattr(named, "__module__", None) or "").partition(".")[0]
    return named.__qualname__ if is_users(named) or not package else f"{package}.{named.__qualname__}"


def _import_users(name: str, package: str | None) -> ModuleType | None:
    """The module `name` where it lies in the user's files; None also where its import fails, as the function will."""
    try:
        name = resolve_name(name, package)
        top = find_spec(name.partition(".")[0])  # a library is not imported
        places = [top.origin, *(top.submodule_search_locations or ())] if top else []
        if not any(place and Path(place).exists() and _is_users_file(place) for place in places):
            return None
        return import_module(name) if find_spec(name) else None
    except Exception:
        return None
