"""Read the function calls that a chat API returned, or that a recording holds."""

from __future__ import annotations

from typing import Any

from harness.cases import ToolCall
from harness.files.read_json import InvalidJsonError, loads

__all__ = ["read_call"]


def read_call(name: Any, arguments: Any, call_id: Any = None) -> ToolCall | str:
    """Return the call, or a phrase that says why it is none.

    A call that cannot be read is the model's doing, not the wire's: the response goes on without it, and
    whoever scores it finds that the call is missing.

    Args:
        name: The function's name.
        arguments: A JSON object, or the text of one.
        call_id: The provider's id of the call.
    """
    if not isinstance(name, str) or not name:
        return "a tool call without a function name"
    if isinstance(arguments, str):
        try:
            arguments = loads(arguments) if arguments.strip() else {}
        except InvalidJsonError as problem:
            return f"the arguments of the call to {name!r} are {problem}"
    if not isinstance(arguments, dict):
        return f"the arguments of the call to {name!r} are no JSON object"
    return ToolCall(name, arguments, call_id if isinstance(call_id, str) else None)
