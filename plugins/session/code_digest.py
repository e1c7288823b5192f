"""A digest of a test's code: scores of a test that was rewritten are no scores of the same thing."""

from __future__ import annotations

import ast
import functools
import inspect
from collections.abc import Iterator
from typing import Any

import pytest

from harness.cases import content_digest

__all__ = ["code_digest"]

_UNSEEN = frozenset({"kind", "type_comment", "type_params", "ctx"})
"""Fields of a node that say nothing of what runs, or that not every Python has."""


def code_digest(definition: pytest.Item) -> str | None:
    """Return the digest of a test function with all that it calls in its module; None without a source.

    Comments, layout and docstrings do not count, nor does the test's `suite` mark: the record keeps what that
    says. Functions, classes, fixtures and values of the module that the test names, directly or through one
    another, count; other modules do not.
    """
    module = getattr(definition, "module", None)
    function = getattr(definition, "originalname", None) or definition.name
    of = getattr(definition, "cls", None)
    try:
        bound = _bound_names(inspect.getsource(module)) if module is not None else {}
    except (OSError, TypeError, SyntaxError, ValueError):
        return None
    start = of.__name__ if of is not None else str(function)
    if start not in bound:
        return None
    unasked = (name for name, statements in bound.items() if any(map(_acts_unasked, statements)))
    reached = dict.fromkeys([start, *unasked])
    wanted = list(reached)
    while wanted:
        for statement in bound[wanted.pop()]:
            for name in _named(statement):
                if name in bound and name not in reached:
                    reached[name] = None
                    wanted.append(name)
    shapes = {name: [_shape(statement) for statement in bound[name]] for name in reached}
    return content_digest([str(function), shapes])


@functools.lru_cache(maxsize=64)
def _bound_names(source: str) -> dict[str, tuple[ast.stmt, ...]]:
    """Return the statements of a module that give each of its names a value."""
    bound: dict[str, list[ast.stmt]] = {}
    for statement in ast.parse(source).body:
        for name in _given(statement):
            bound.setdefault(name, []).append(statement)
    return {name: tuple(statements) for name, statements in bound.items()}


def _given(statement: ast.stmt) -> Iterator[str]:
    if isinstance(statement, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
        yield statement.name
        yield from (str(name) for name in _fixture_options(statement, "name"))
        return
    for node in ast.walk(statement):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            yield node.name
        elif isinstance(node, ast.alias):
            yield (node.asname or node.name).partition(".")[0]
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            yield node.id
        elif isinstance(node, (ast.Attribute, ast.Subscript)) and isinstance(node.ctx, (ast.Store, ast.Del)):
            yield from (root.id for root in ast.walk(node.value) if isinstance(root, ast.Name))


def _acts_unasked(statement: ast.stmt) -> bool:
    """Whether a statement acts on every test of the module: `pytestmark`, or a fixture with `autouse`."""
    if "pytestmark" in _given(statement):
        return True
    is_definition = isinstance(statement, (ast.FunctionDef, ast.AsyncFunctionDef))
    return is_definition and any(_fixture_options(statement, "autouse"))


def _fixture_options(statement: ast.stmt, option: str) -> Iterator[Any]:
    """Yield what the decorators of a definition give an option, where that is written out."""
    for decorator in getattr(statement, "decorator_list", ()):
        for keyword in decorator.keywords if isinstance(decorator, ast.Call) else ():
            if keyword.arg == option and isinstance(keyword.value, ast.Constant):
                yield keyword.value.value


def _named(statement: ast.stmt) -> Iterator[str]:
    """Yield the names that a statement mentions: what it calls, and the fixtures that it asks for."""
    for node in ast.walk(statement):
        if isinstance(node, ast.Name):
            yield node.id
        elif isinstance(node, ast.arg):
            yield node.arg
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.value  # as `usefixtures` names them


def _shape(node: Any) -> Any:
    """Return a node as JSON values that are the same on every version of Python."""
    if isinstance(node, list):
        return [_shape(entry) for entry in node]
    if not isinstance(node, ast.AST):
        return repr(node)
    fields: dict[str, Any] = {}
    for name, value in ast.iter_fields(node):
        if value is None or value == [] or name in _UNSEEN:
            continue
        if name == "body" and isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            value = _without_docstring(value)
        elif name == "decorator_list":
            value = [decorator for decorator in value if not _is_suite_mark(decorator)]
        fields[name] = _shape(value)
    return [type(node).__name__, fields]


def _without_docstring(body: list[ast.stmt]) -> list[ast.stmt]:
    match body[0]:
        case ast.Expr(value=ast.Constant(value=str())):
            return body[1:]
    return body


def _is_suite_mark(decorator: ast.expr) -> bool:
    return isinstance(decorator, ast.Call) and ast.unparse(decorator.func).endswith("mark.suite")
