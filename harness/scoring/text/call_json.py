"""Calls in JSON: an object with the function's name and its arguments, or a list of them."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from typing import Any

from harness.cases import ToolCall
from harness.files.read_json import InvalidJsonError, loads

__all__ = [
    "MalformedCallError",
    "is_json_call",
    "json_calls",
    "looks_like_json_call",
    "named_call",
    "read_value",
]

_ARGUMENTS = ("arguments", "parameters")
_NAMES = ("name", "tool_name")
_DECODER = json.JSONDecoder()


class MalformedCallError(ValueError):
    """A text holds what looks like a call and cannot be read as one; the message says why."""


def read_value(text: str, start: int = 0) -> tuple[Any, int]:
    """Return the JSON value that begins at `start`, blanks before it let be, and where it ends.

    Raises:
        MalformedCallError: None begins there, it is cut off, or one that the project's own reader refuses.
    """
    while start < len(text) and text[start].isspace():
        start += 1
    try:
        _, end = _DECODER.raw_decode(text, start)
        return loads(text[start:end]), end
    except InvalidJsonError as problem:
        raise MalformedCallError(f"the call is {problem}") from None
    except RecursionError:
        raise MalformedCallError("the call is nested too deep") from None
    except ValueError as problem:  # JSONDecodeError, and integers that Python itself refuses
        raise MalformedCallError(f"the call is not JSON: {problem}") from None


def looks_like_json_call(text: str) -> bool:
    """Return whether a text, cut off or not, has the keys of a call in JSON."""
    return (
        re.search(r'"(?:name|tool_name)"\s*:', text) is not None
        and re.search(r'"(?:arguments|parameters)"\s*:?', text) is not None
    )


def is_json_call(value: Any) -> bool:
    """Return whether a JSON value is a call, a list of calls, or the message of an API that holds some."""
    if isinstance(value, list):
        return bool(value) and all(map(is_json_call, value))
    if not isinstance(value, dict):
        return False
    if isinstance(value.get("tool_calls"), list) or isinstance(value.get("function"), dict):
        return True
    if isinstance(value.get("tool_call"), dict):
        return is_json_call(value["tool_call"])
    return any(isinstance(value.get(key), str) for key in _NAMES) and any(key in value for key in _ARGUMENTS)


def json_calls(value: Any) -> tuple[ToolCall, ...]:
    """Return the calls of a value that is known to be some.

    Raises:
        MalformedCallError: One has no name, or arguments that are no object.
    """
    if isinstance(value, dict) and isinstance(value.get("tool_calls"), list):
        value = value["tool_calls"]
    elif isinstance(value, dict) and isinstance(value.get("tool_call"), dict):
        value = value["tool_call"]
    items: Sequence[Any] = value if isinstance(value, list) else [value]
    return tuple(map(_json_call, items))


def _json_call(value: Any) -> ToolCall:
    if isinstance(value, dict) and isinstance(value.get("function"), dict):
        value = value["function"]
    names = [value[key] for key in _NAMES if key in value] if isinstance(value, dict) else []
    if len(names) != 1 or not isinstance(names[0], str):
        raise MalformedCallError("a call without a name")
    given = [value[key] for key in _ARGUMENTS if key in value]
    if len(given) > 1:
        raise MalformedCallError(f"{names[0]!r} is called with `arguments` and with `parameters`")
    return named_call(names[0], given[0] if given else {})


def named_call(name: str, arguments: Any) -> ToolCall:
    """Return the call of a function with arguments as a JSON object, or as its text.

    Raises:
        MalformedCallError: There is no name, or the arguments are no object.
    """
    name = name.strip()
    if not name or any(character.isspace() for character in name):
        raise MalformedCallError("a call without a name")
    if isinstance(arguments, str):
        try:
            arguments = loads(arguments) if arguments.strip() else {}
        except InvalidJsonError as problem:
            raise MalformedCallError(f"the arguments of {name!r} are {problem}") from None
    if not isinstance(arguments, dict):
        raise MalformedCallError(f"the arguments of {name!r} are no object")
    return ToolCall(name, arguments)
