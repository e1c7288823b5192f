"""Read the function calls that a chat API returned, or that a recording holds."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from harness.cases import ToolCall
from harness.files.read_json import InvalidJsonError, loads

from .asking import UnreadableError
from .wire import one_line

__all__ = ["Calls", "calls_of_message", "read_call"]


class Calls(NamedTuple):
    """The calls of an answer.

    Attributes:
        read: Those that can be read, in order.
        unread: Why each of the others cannot, as a phrase.
    """

    read: tuple[ToolCall, ...] = ()
    unread: tuple[str, ...] = ()


def read_call(name: Any, arguments: Any, call_id: Any = None) -> ToolCall | str:
    """Return the call, or a phrase that says why it is none.

    Arguments that cannot be read are the model's doing, not the wire's. None at all (nothing, null, blank
    text) is how some servers write a call without arguments.

    Args:
        name: The function's name.
        arguments: A JSON object, or the text of one; some servers encode that text once more.
        call_id: The provider's id of the call.
    """
    if not isinstance(name, str) or not name:
        return "a tool call without a function name"
    for _ in range(2):
        if not isinstance(arguments, str):
            break
        try:
            arguments = loads(arguments) if arguments.strip() else None
        except InvalidJsonError as problem:
            return one_line(f"the arguments of the call to {name!r} are {problem}")
    if arguments is None:
        arguments = {}
    if not isinstance(arguments, dict):
        return one_line(f"the arguments of the call to {name!r} are no JSON object")
    return ToolCall(name, arguments, call_id if isinstance(call_id, str) else None)


def calls_of_message(message: Mapping[str, Any]) -> Calls:
    """Return the calls of a chat completion's message: `tool_calls`, or the legacy `function_call`.

    Raises:
        UnreadableError: Something stands where calls do and is none: then nobody knows what was called.
    """
    entries = message.get("tool_calls")
    if isinstance(entries, dict):  # some servers leave the list out around a single call
        entries = [entries]
    if entries is None:
        entries = []
    if not isinstance(entries, list):
        raise UnreadableError(f"`tool_calls` is no list: {_shown(entries)}")
    calls = [_call(entry) for entry in entries]
    legacy = message.get("function_call")
    if legacy is not None:
        if not isinstance(legacy, dict):
            raise UnreadableError(f"`function_call` is no object: {_shown(legacy)}")
        call = _call({"function": legacy})
        if not calls:
            calls.append(call)
        elif _content(call) not in map(_content, calls):
            raise UnreadableError("`function_call` is another call than those in `tool_calls`")
    return Calls(
        tuple(call for call in calls if isinstance(call, ToolCall)),
        tuple(call for call in calls if isinstance(call, str)),
    )


def _call(entry: Any) -> ToolCall | str:
    """Read `{id, type, function: {name, arguments}}`; a server may leave `function` out around the two."""
    if not isinstance(entry, dict):
        raise UnreadableError(f"a tool call is no object: {_shown(entry)}")
    kind = entry.get("type")
    if kind not in (None, "function"):
        raise UnreadableError(f"a tool call of the type {_shown(kind)}, and none but functions were offered")
    function = entry.get("function", entry)
    if not isinstance(function, dict):
        raise UnreadableError(f"a tool call whose function is no object: {_shown(function)}")
    name, call_id = function.get("name"), entry.get("id")
    if not isinstance(name, str) or not name:
        raise UnreadableError(f"a tool call without a function name: {_shown(entry)}")
    if not isinstance(call_id, (str, type(None))):
        raise UnreadableError(f"a tool call whose id is no text: {_shown(call_id)}")
    return read_call(name, function.get("arguments"), call_id)


def _content(call: ToolCall | str) -> Any:
    return call if isinstance(call, str) else (call.name, call.arguments)


def _shown(value: Any) -> str:
    return one_line(repr(value), 80)
