"""Calls in Python's notation: parsed, never executed, their arguments read as literals."""

from __future__ import annotations

import ast
import math
import re
from typing import Any

from harness.cases import ToolCall
from harness.scoring.text.call_json import MalformedCallError

__all__ = ["begins_python_call", "python_calls", "python_literal"]

_BEGINNING = re.compile(r"\[?\s*[A-Za-z_][\w.]*\s*\(")
_MAX_PYTHON = 20_000
_MAX_DEPTH = 32
_MAX_BITS = 1000  # still fits a float
_SURROGATE = re.compile("[\ud800-\udfff]")


def begins_python_call(text: str) -> bool:
    """Return whether a text begins as `name(` or `[name(`."""
    return _BEGINNING.match(text) is not None


def python_calls(text: str, *, certain: bool) -> tuple[ToolCall, ...]:
    """Return the calls that a text consists of; unless `certain` that it is some, () for anything else.

    Raises:
        MalformedCallError: It is no call, although it must be; or its arguments are positional or computed.
    """
    if len(text) > _MAX_PYTHON:
        raise MalformedCallError(f"a call of {len(text)} characters")
    try:
        tree = ast.parse(text, mode="exec")
    except (SyntaxError, ValueError, RecursionError, MemoryError) as problem:
        if certain:
            raise MalformedCallError(f"not a Python call: {type(problem).__name__}") from None
        return ()
    nodes: list[ast.expr] = []
    for statement in tree.body:
        if not isinstance(statement, ast.Expr):
            return ()
        value = statement.value
        nodes += map(_unprinted, value.elts if isinstance(value, (ast.List, ast.Tuple)) else [value])
    if not nodes or not all(isinstance(node, ast.Call) and _dotted(node.func) for node in nodes):
        if certain:
            raise MalformedCallError("not a Python call")
        return ()
    return tuple(_python_call(node) for node in nodes if isinstance(node, ast.Call))


def _unprinted(node: ast.expr) -> ast.expr:
    """Return the call within `print(…)`, as Gemma writes it where its tools are Python."""
    if isinstance(node, ast.Call) and _dotted(node.func) == "print" and len(node.args) == 1:
        return node.args[0] if isinstance(node.args[0], ast.Call) else node
    return node


def _python_call(node: ast.Call) -> ToolCall:
    name = _dotted(node.func)
    if node.args or any(keyword.arg is None for keyword in node.keywords):
        raise MalformedCallError(f"positional arguments in the call to {name!r}: which are they?")
    return ToolCall(name, {str(keyword.arg): _literal(keyword.value, 0) for keyword in node.keywords})


def _dotted(node: ast.expr) -> str:
    parts: list[str] = []
    while isinstance(node, ast.Attribute):
        parts.append(node.attr)
        node = node.value
    return ".".join([node.id, *reversed(parts)]) if isinstance(node, ast.Name) else ""


def python_literal(text: str) -> Any:
    """Return the JSON value of one Python literal.

    Raises:
        MalformedCallError: It is none.
    """
    if len(text) > _MAX_PYTHON:
        raise MalformedCallError(f"a literal of {len(text)} characters")
    try:
        tree = ast.parse(text.strip(), mode="eval")
    except (SyntaxError, ValueError, RecursionError, MemoryError) as problem:
        raise MalformedCallError(f"not a Python literal: {type(problem).__name__}") from None
    return _literal(tree.body, 0)


def _literal(node: ast.expr, depth: int) -> Any:
    """Return the JSON value of a Python literal; tuples are arrays, `true` and `null` are understood too."""
    if depth > _MAX_DEPTH:
        raise MalformedCallError(f"an argument nested more than {_MAX_DEPTH} levels deep")
    if isinstance(node, ast.Constant) and isinstance(node.value, (str, int, float, bool, type(None))):
        return _json_value(node.value)
    if isinstance(node, ast.Name) and node.id in ("true", "false", "null"):
        return {"true": True, "false": False, "null": None}[node.id]
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, (ast.USub, ast.UAdd)):
        value = _literal(node.operand, depth + 1)
        if isinstance(value, (int, float)) and not isinstance(value, bool):
            return -value if isinstance(node.op, ast.USub) else value
    if isinstance(node, (ast.List, ast.Tuple)):
        return [_literal(item, depth + 1) for item in node.elts]
    if isinstance(node, ast.Dict):
        keys = [None if key is None else _literal(key, depth + 1) for key in node.keys]
        if all(isinstance(key, str) for key in keys):
            return {key: _literal(item, depth + 1) for key, item in zip(keys, node.values, strict=True)}
    raise MalformedCallError("an argument that is no literal")


def _json_value(value: str | int | float | bool | None) -> Any:
    """Return a constant that JSON holds, too: Python also reads `1e999`, endless numbers and surrogates."""
    if isinstance(value, float) and not math.isfinite(value):
        raise MalformedCallError("a number that is too large for a float")
    if isinstance(value, int) and value.bit_length() > _MAX_BITS:
        raise MalformedCallError(f"an integer of {value.bit_length()} bits (at most {_MAX_BITS})")
    if isinstance(value, str) and _SURROGATE.search(value):
        raise MalformedCallError("an unpaired surrogate is not text")
    return value
