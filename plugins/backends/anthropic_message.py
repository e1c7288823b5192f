"""Read an answer of the messages API: what is understood becomes a response, anything else an error."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from harness.cases import Response, ToolCall

from .asking import UnavailableError, UnreadableError
from .finish_reason import Ending, read_ending
from .tool_calls import Calls, read_call
from .wire import one_line, optional_text, token_count

__all__ = ["read_message"]

_PROMPT_COUNTS = ("input_tokens", "cache_read_input_tokens", "cache_creation_input_tokens")
_THOUGHTS = ("thinking", "redacted_thinking")
"""Blocks that hold what a model thought before its answer; no part of the answer."""


def read_message(reply: Mapping[str, Any], latency_ms: float, *, max_tokens: int) -> Response:
    """Read a message.

    Args:
        reply: The JSON object that came.
        latency_ms: How long it took.
        max_tokens: How many tokens were allowed.

    Raises:
        UnavailableError: There is no answer in it, or it does not say why it ended.
        UnreadableError: Something in it is not understood; says what.
    """
    content = reply.get("content")
    if not isinstance(content, list) or not all(isinstance(block, dict) for block in content):
        raise UnavailableError("answered 200 without content blocks; is the base URL right?")
    if reply.get("type") not in (None, "message") or reply.get("role") not in (None, "assistant"):
        what = f"type {reply.get('type')!r}, role {reply.get('role')!r}"
        raise UnreadableError(f"no message of the assistant: {one_line(what, 80)}")
    tokens = token_count(reply.get("usage"), "output_tokens")
    ending = read_ending(reply.get("stop_reason"), tokens=tokens, max_tokens=max_tokens)
    texts = [_text(block) for block in content if block.get("type") == "text"]
    calls = _calls(content, ending)
    holds_thought = any(block.get("type") in _THOUGHTS for block in content)
    for block in content:
        if block.get("type") not in ("text", "tool_use", *_THOUGHTS):
            raise UnreadableError(f"a content block that is not read: {one_line(repr(block), 80)}")
    if ending.reason == "tool_calls" and not (calls.read or calls.unread):
        raise UnreadableError("the answer ended to use a tool and holds no call of one")
    text, detail = "".join(texts), ending.detail
    if holds_thought and not (text or calls.read):
        detail = f"a thought without an answer{': it was cut off' if ending.reason == 'length' else ''}"
    return Response(
        text=text,
        finish_reason=ending.reason,
        detail=detail,
        prompt_tokens=token_count(reply.get("usage"), *_PROMPT_COUNTS),
        completion_tokens=tokens,
        latency_ms=latency_ms,
        tool_calls=calls.read,
        model=optional_text(reply, "model"),
        unread_calls=calls.unread,
    )


def _text(block: Mapping[str, Any]) -> str:
    text = block.get("text")
    if not isinstance(text, str):
        raise UnreadableError(f"a text block without text: {one_line(repr(block), 80)}")
    return text


def _calls(content: list[Mapping[str, Any]], ending: Ending) -> Calls:
    """Read the `tool_use` blocks; one that the answer was cut off in has only a part of its input."""
    calls: list[ToolCall | str] = []
    for block in content:
        if block.get("type") != "tool_use":
            continue
        name, call_id = block.get("name"), block.get("id")
        if not isinstance(name, str) or not name or not isinstance(call_id, (str, type(None))):
            raise UnreadableError(f"a tool_use block without name or id: {one_line(repr(block), 80)}")
        calls.append(read_call(name, block.get("input"), call_id))
    if calls and ending.reason == "length" and content[-1].get("type") == "tool_use":
        calls[-1] = f"the call to {content[-1]['name']!r} was cut off"
    return Calls(
        tuple(call for call in calls if isinstance(call, ToolCall)),
        tuple(call for call in calls if isinstance(call, str)),
    )
