"""Function calls that a model wrote into its text, where the backend has not parsed them.

Local models answer in the notation of their training: `<tool_call>` tags around JSON (Hermes, Qwen), JSON
alone (Llama 3, with `parameters` for `arguments`), a `[TOOL_CALLS]` prefix (Mistral), or Python calls (Llama
3.2, BFCL's own prompts). Nothing is executed: Python calls are parsed and their arguments read as literals.
"""

from __future__ import annotations

import ast
import math
import re
from collections.abc import Sequence
from typing import Any

from harness.cases import ToolCall
from harness.files.read_json import InvalidJsonError, loads
from harness.scoring.text.fences import fenced_blocks

__all__ = ["MalformedCallError", "calls_in_text"]

_TAG = re.compile(r"<tool_call>(.*?)(?:</tool_call>|(?=<tool_call>)|\Z)", re.DOTALL)
_PREFIXES = ("[TOOL_CALLS]", "<|python_tag|>", "<|tool_call|>")
_PYTHON_CALL = re.compile(r"\[?\s*[A-Za-z_][\w.]*\s*\(")
_MAX_PYTHON = 20_000
_MAX_DEPTH = 32
_MAX_BITS = 1000  # still fits a float
_SURROGATE = re.compile("[\ud800-\udfff]")


class MalformedCallError(ValueError):
    """A text begins a call that cannot be read; the message says why."""


def calls_in_text(text: str) -> tuple[ToolCall, ...]:
    """Return the calls that a text consists of; () for prose.

    Text around `<tool_call>` tags, and around one fenced block of calls, is let be. JSON and Python calls
    count only where nothing else is said.

    Raises:
        MalformedCallError: Something begins as a call and is none: cut off, bad JSON, no name, arguments
            that are no object, or positional or computed arguments in Python.
    """
    text = text.strip()
    if "<tool_call>" in text:
        return tuple(call for match in _TAG.finditer(text) for call in _from_tag(match))
    for prefix in _PREFIXES:
        if text.startswith(prefix):
            return _calls(text.removeprefix(prefix).strip(), certain=True)
    if found := _calls(text, certain=False):
        return found
    blocks = [block for block in fenced_blocks(text) if block.closed]
    if len(blocks) == 1 and blocks[0].language in ("", "json", "python", "py", "tool_call", "tool_code"):
        return _calls(blocks[0].content.strip(), certain=blocks[0].language.startswith("tool_"))
    return ()


def _from_tag(match: re.Match[str]) -> tuple[ToolCall, ...]:
    if not match.group().endswith("</tool_call>"):
        raise MalformedCallError("<tool_call> without </tool_call>")
    return _calls(match[1].strip(), certain=True)


def _calls(text: str, *, certain: bool) -> tuple[ToolCall, ...]:
    """Read calls as JSON or Python; unless `certain` that they are calls, return () for anything else."""
    if text[:1] in ("{", "["):
        try:
            value = loads(text)
        except InvalidJsonError as problem:
            if _PYTHON_CALL.match(text):
                return _python_calls(text, certain=certain)
            if certain or _names_a_call(text):
                raise MalformedCallError(f"the call is {problem}") from None
            return ()
        if certain or _is_call(value):
            return _json_calls(value)
        return ()
    if _PYTHON_CALL.match(text):
        return _python_calls(text, certain=certain)
    if certain:
        raise MalformedCallError(f"no call in {text[:40]!r}")
    return ()


# --- JSON ----------------------------------------------------------------------------------------------


def _names_a_call(text: str) -> bool:
    return (
        re.search(r'"name"\s*:', text) is not None
        and re.search(r'"(?:arguments|parameters)"', text) is not None
    )


def _is_call(value: Any) -> bool:
    if isinstance(value, list):
        return bool(value) and all(map(_is_call, value))
    if not isinstance(value, dict):
        return False
    if isinstance(value.get("tool_calls"), list) or isinstance(value.get("function"), dict):
        return True
    return isinstance(value.get("name"), str) and bool({"arguments", "parameters"} & value.keys())


def _json_calls(value: Any) -> tuple[ToolCall, ...]:
    if isinstance(value, dict) and isinstance(value.get("tool_calls"), list):
        value = value["tool_calls"]
    items: Sequence[Any] = value if isinstance(value, list) else [value]
    return tuple(map(_json_call, items))


def _json_call(value: Any) -> ToolCall:
    if isinstance(value, dict) and isinstance(value.get("function"), dict):
        value = value["function"]
    if not isinstance(value, dict) or not isinstance(value.get("name"), str) or not value["name"]:
        raise MalformedCallError("a call without a name")
    arguments = value.get("arguments", value.get("parameters", {}))
    if isinstance(arguments, str):
        try:
            arguments = loads(arguments) if arguments.strip() else {}
        except InvalidJsonError as problem:
            raise MalformedCallError(f"the arguments of {value['name']!r} are {problem}") from None
    if not isinstance(arguments, dict):
        raise MalformedCallError(f"the arguments of {value['name']!r} are no object")
    return ToolCall(value["name"], arguments)


# --- Python --------------------------------------------------------------------------------------------


def _python_calls(text: str, *, certain: bool) -> tuple[ToolCall, ...]:
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
        nodes += value.elts if isinstance(value, (ast.List, ast.Tuple)) else [value]
    if not nodes or not all(isinstance(node, ast.Call) and _dotted(node.func) for node in nodes):
        if certain:
            raise MalformedCallError("not a Python call")
        return ()
    return tuple(_python_call(node) for node in nodes if isinstance(node, ast.Call))


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
