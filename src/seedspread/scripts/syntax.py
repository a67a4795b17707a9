"""The syntax of a Python function: a hash of its source, and the names that it uses."""

import ast
import copy
import dis
import linecache
from collections.abc import Iterator
from functools import lru_cache
from types import CodeType, FunctionType
from typing import Any

from seedspread.scripts.value import sha


def hash_source(function: FunctionType) -> str:
    """The first 12 digits of the SHA-256 of a function's source, without comments, docstrings and layout.

    Of its byte code where there is no source, as in Python's interactive shell.
    """
    try:
        text = ast.unparse(_Undocumented().visit(copy.deepcopy(_find_tree(function))))
    except (OSError, SyntaxError, ValueError):
        text = _describe_code(function.__code__)
    return sha(text.encode())


def global_names(code: CodeType) -> set[str]:
    """The global names that a function uses, functions within it included."""
    operations = [one for part in _parts(code) for one in dis.get_instructions(part)]
    return {one.argval for one in operations if one.opname in ("LOAD_GLOBAL", "LOAD_NAME")}


def all_names(code: CodeType) -> set[str]:
    """The global names and attributes that a function uses, functions within it included."""
    return {word for part in _parts(code) for word in part.co_names}


def imported_names(code: CodeType) -> list[str]:
    """The modules that a function imports when it runs, as `.name` those beside its own, and what it takes from them:
    `module.name`, which may be a module or not.
    """
    found = []
    for part in _parts(code):
        operations = list(dis.get_instructions(part))
        for level, taken, this in zip(operations, operations[1:], operations[2:], strict=False):
            if this.opname == "IMPORT_NAME":
                name = "." * (level.argval or 0) + this.argval
                found += [name, *(f"{name}{'' if name.endswith('.') else '.'}{one}" for one in taken.argval or ())]
    return found


def _parts(code: CodeType) -> Iterator[CodeType]:
    """The code of a function and of the functions within it."""
    yield code
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _parts(constant)


def _find_tree(function: FunctionType) -> ast.AST:
    """The syntax tree of a function, without the line around a lambda; OSError where it is not found, or not alone."""
    code = function.__code__
    linecache.checkcache(code.co_filename)
    tree = _parse("".join(linecache.getlines(code.co_filename, function.__globals__)))
    found = [node for node in ast.walk(tree) if _begins_at(node, code.co_firstlineno, code.co_name)]
    if len(found) != 1:
        raise OSError
    return found[0]


@lru_cache(maxsize=64)
def _parse(text: str) -> ast.Module:
    return ast.parse(text)


def _begins_at(node: ast.AST, line: int, name: str) -> bool:
    if isinstance(node, ast.Lambda):
        return node.lineno == line and name == "<lambda>"
    if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
        return False
    return node.name == name and min([node.lineno, *(one.lineno for one in node.decorator_list)]) == line


def _describe_code(code: CodeType) -> str:
    constants = [_describe_constant(constant) for constant in code.co_consts]
    return repr((code.co_code, code.co_names, code.co_varnames, constants))


def _describe_constant(constant: Any) -> str:
    """As `repr`, the same in every process."""
    if isinstance(constant, CodeType):
        return _describe_code(constant)
    return repr(sorted(map(repr, constant)) if isinstance(constant, frozenset) else constant)


class _Undocumented(ast.NodeTransformer):
    """Takes docstrings out."""

    def generic_visit(self, node: ast.AST) -> ast.AST:
        super().generic_visit(node)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            first = node.body[0] if node.body else None
            text = isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant) and first.value.value
            if isinstance(text, str):
                node.body = node.body[1:] or [ast.Pass()]
        return node
