"""What a Python function depends on: its source, that of the user's functions it uses, the values it closes over."""

import ast
import functools
import hashlib
import inspect
import linecache
import math
import site
import sys
import sysconfig
import textwrap
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import CodeType, FunctionType, MethodType, ModuleType
from typing import Any

import numpy as np

LONGEST_VALUE = 80  # characters, beyond which a value is told by its hash
_PACKAGE = str(Path(__file__).parents[1])
_LIBRARIES = (
    *{sysconfig.get_path(name) for name in ("stdlib", "platstdlib", "purelib", "platlib")},
    *site.getsitepackages(),
    site.getusersitepackages(),
    _PACKAGE,
)


def describe_function(function: Any) -> dict[str, Any]:
    """A function's name, a hash of each piece of source, and its values, for the identity of a study.

    Source is hashed as a syntax tree: comments, docstrings and layout do not count. Followed are functions, classes and
    constants of the user's own files that the function names; of libraries the versions are recorded. Where Python
    keeps no source, as in its interactive shell, the byte code stands for it.
    """
    found = _Walk()
    found.add_callable(_name(function), function)
    return {"name": _name(function), "source": found.sources, "values": found.values}


def _name(function: Any) -> str:
    if isinstance(function, functools.partial):
        return _name(function.func)
    return getattr(function, "__qualname__", type(function).__qualname__).replace("<locals>.", "")


class _Walk:
    """Collects sources and values; each object once."""

    def __init__(self) -> None:
        self.sources: dict[str, str] = {}
        self.values: dict[str, Any] = {}
        self._seen: set[int] = set()

    def add_callable(self, name: str, thing: Any) -> None:
        """A function, a method, a class, a partial, or an object that can be called."""
        if id(thing) in self._seen:
            return
        self._seen.add(id(thing))
        if isinstance(thing, functools.partial):
            self.add_callable(name, thing.func)
            for i, value in enumerate(thing.args):
                self.add(f"{name}.{i}", value)
            for key, value in thing.keywords.items():
                self.add(f"{name}.{key}", value)
        elif isinstance(thing, MethodType):
            self.add_callable(name, thing.__func__)
            self._add_object(name.rpartition(".")[0] or name, thing.__self__)
        elif isinstance(unwrapped := inspect.unwrap(thing), FunctionType):
            self._add_function(name, unwrapped)
        elif isinstance(thing, type):
            self._add_class(name, thing)
        else:
            self._add_object(name, thing)

    def add(self, name: str, value: Any) -> None:
        """A value that a function closes over or names."""
        if isinstance(value, ModuleType):
            return  # a library, or a module of the user's whose members are followed where they are named
        if isinstance(value, FunctionType | MethodType | type | functools.partial):
            if is_users(value):
                self.add_callable(name, value)
        elif is_users(type(value)):
            self._add_object(name, value)
        else:
            self.values[name] = describe_value(value)

    def _add_function(self, name: str, function: FunctionType) -> None:
        self.sources[name] = _hash_source(function)
        signature = inspect.signature(function)
        for key, parameter in signature.parameters.items():
            if parameter.default is not inspect.Parameter.empty:
                self.add(f"{name}.{key}", parameter.default)
        closure = inspect.getclosurevars(function).nonlocals if function.__closure__ else {}
        for key, value in closure.items():
            self.add(key, value)
        words = set(_words(function.__code__))
        for word in sorted(words & set(function.__globals__)):
            value = function.__globals__[word]
            self.add(word, value)
            if isinstance(value, ModuleType) and is_users(value):
                for member in sorted(words & set(vars(value))):
                    self.add(f"{word}.{member}", getattr(value, member))

    def _add_class(self, name: str, cls: type) -> None:
        for base in reversed(cls.__mro__):
            if is_users(base):
                self.sources[name if base is cls else base.__qualname__] = _hash_source(base)
                for member in vars(base).values():
                    function = getattr(member, "__func__", getattr(member, "fget", member))
                    if isinstance(function, FunctionType) and id(function) not in self._seen:
                        self._seen.add(id(function))
                        words = set(_words(function.__code__)) & set(function.__globals__)
                        for word in sorted(words):
                            self.add(word, function.__globals__[word])

    def _add_object(self, name: str, thing: Any) -> None:
        """An object of a class of the user's: its class, and what it holds."""
        if id(thing) in self._seen:
            return
        self._seen.add(id(thing))
        self._add_class(type(thing).__qualname__, type(thing))
        for key, value in sorted(getattr(thing, "__dict__", {}).items()):
            self.add(f"{name}.{key}", value)


def is_users(thing: Any) -> bool:
    """Whether a module, class or function lies in the user's own files: not in a library, nor in this package."""
    name = thing.__name__ if isinstance(thing, ModuleType) else getattr(thing, "__module__", None)
    module = thing if isinstance(thing, ModuleType) else sys.modules.get(str(name))
    if name == "__main__":
        return True
    file = getattr(module, "__file__", None)
    return file is not None and not str(Path(file).absolute()).startswith(_LIBRARIES)


def _words(code: CodeType) -> Iterator[str]:
    """The global names and attributes that a function uses, functions within it included."""
    yield from code.co_names
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _words(constant)


def _hash_source(thing: Any) -> str:
    """The first 12 digits of the SHA-256 of a syntax tree, without docstrings and annotations of place."""
    try:
        tree = _find_lambda(thing) if getattr(thing, "__name__", "") == "<lambda>" else _parse(thing)
        text = ast.dump(_Undocumented().visit(tree))
    except (OSError, TypeError, SyntaxError):
        text = _describe_code(thing.__code__) if isinstance(thing, FunctionType) else repr(thing)
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def _parse(thing: Any) -> ast.AST:
    return ast.parse(textwrap.dedent(inspect.getsource(thing)))


def _find_lambda(function: FunctionType) -> ast.AST:
    """The syntax tree of a lambda, without the line around it; OSError where a line has several, or no source."""
    code = function.__code__
    tree = ast.parse("".join(linecache.getlines(code.co_filename, function.__globals__)))
    found = [n for n in ast.walk(tree) if isinstance(n, ast.Lambda) and n.lineno == code.co_firstlineno]
    if len(found) != 1:
        raise OSError
    return found[0]


def _describe_code(code: CodeType) -> str:
    constants = [_describe_code(c) if isinstance(c, CodeType) else repr(c) for c in code.co_consts]
    return repr((code.co_code, code.co_names, code.co_varnames, constants))


class _Undocumented(ast.NodeTransformer):
    """Takes docstrings out."""

    def generic_visit(self, node: ast.AST) -> ast.AST:
        super().generic_visit(node)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef | ast.Module):
            first = node.body[0] if node.body else None
            text = isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant) and first.value.value
            if isinstance(text, str):
                node.body = node.body[1:]
        return node


def describe_value(value: Any) -> Any:
    """A value as JSON has it, or in words: the hash of an array, the class of an object that has no other identity."""
    if value is None or isinstance(value, bool | int | str):
        return value if not isinstance(value, str) or len(value) <= LONGEST_VALUE else f"text {_sha(value.encode())}"
    if isinstance(value, float):
        return value if math.isfinite(value) else str(value)
    if isinstance(value, bytes):
        return f"bytes {_sha(value)}"
    if isinstance(value, Mapping):
        described: Any = {str(key): describe_value(one) for key, one in value.items()}
    elif isinstance(value, set | frozenset):
        described = sorted((describe_value(one) for one in value), key=repr)
    elif isinstance(value, list | tuple):
        described = [describe_value(one) for one in value]
    elif isinstance(value, Path):
        return str(value)
    elif (array := _as_array(value)) is not None:
        return f"{array.dtype} array {array.shape} {_sha(np.ascontiguousarray(array).tobytes())}"
    else:
        return f"{type(value).__module__}.{type(value).__qualname__}"
    text = repr(described)
    return described if len(text) <= LONGEST_VALUE else f"{type(value).__name__} of {len(value)}, {_sha(text.encode())}"


def _as_array(value: Any) -> np.ndarray | None:
    """An array of NumPy, torch or another library as one of NumPy, DataFrames included; None for what is none."""
    if isinstance(value, np.generic | np.ndarray):
        return np.asarray(value) if np.asarray(value).dtype != object else None
    if not hasattr(value, "__array__") or isinstance(value, type):
        return None
    try:
        array = np.asarray(value.detach().cpu() if hasattr(value, "detach") else value)
    except (TypeError, ValueError, RuntimeError):
        return None
    return np.asarray(array.astype(str)) if array.dtype == object else array


def _sha(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()[:12]
