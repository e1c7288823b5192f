"""Read a chat completion: what is understood becomes a response, anything else an error that says what it is.

An answer is text, function calls, or a refusal, in the shapes in which OpenAI's API and the servers that are
compatible with it send them. That nothing was said, or nothing called, must be seen, too: where a field that
is not read may hold what is missing, the answer is unreadable.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from harness.cases import Response
from harness.scoring import without_thought

from .asking import UnavailableError, UnreadableError
from .choices import choices_by_index
from .finish_reason import is_malformed_call, read_ending
from .tool_calls import Calls, calls_of_message
from .wire import one_line, optional_text, token_count

__all__ = ["read_chat_completion"]

_ROLES = (None, "assistant", "model")
_THOUGHTS = ("reasoning_content", "reasoning", "reasoning_details", "thinking", "thinking_blocks")
"""Fields that hold what a model thought before its answer; no part of the answer."""
_THOUGHT_PARTS = ("thinking", "reasoning", "redacted_thinking")
_READ = frozenset({"role", "content", "refusal", "tool_calls", "function_call", *_THOUGHTS})
_ABOUT_THE_ANSWER = frozenset(
    {"annotations", "citations", "context", "metadata", "name", "prefix", "provider_specific_fields"}
)
"""Fields that say something of the answer and hold no part of it."""
_MAY_HOLD_PART = re.compile(r"call|tool|function|audio|image|video", re.IGNORECASE)
"""Names of fields that hold a part of the answer, whatever else it has."""


@dataclass(frozen=True)
class _Content:
    """What stands in `content`."""

    text: str = ""
    refusal: str = ""
    holds_thought: bool = False


def read_chat_completion(
    completion: Mapping[str, Any], latency_ms: float, *, max_tokens: int, stop: Sequence[str] = ()
) -> Response:
    """Read a chat completion.

    Args:
        completion: The JSON object that came.
        latency_ms: How long it took.
        max_tokens: How many tokens were allowed.
        stop: The stop strings that were asked for.

    Raises:
        UnavailableError: There is no answer in it, or one that the server did not let end.
        UnreadableError: Something in it is not understood; says what.
    """
    choices = choices_by_index(completion)
    if 0 not in choices:
        raise UnreadableError(f"no choice has the index 0, only {', '.join(map(str, sorted(choices)))}")
    choice = choices[0]
    message = _message(choice)
    content = _content(message.get("content"))
    calls = calls_of_message(message)
    usage = completion.get("usage")
    tokens = token_count(usage, "completion_tokens")
    word = choice.get("finish_reason")
    ending = read_ending(word, tokens=tokens, max_tokens=max_tokens)
    if is_malformed_call(word) and not calls.unread:
        calls = Calls(calls.read, (f"the model's call is malformed, as the server says ({word})",))
    text = _with_refusal(content, message.get("refusal"))
    _refuse_unread_parts(choice, message, is_empty=not (text or calls.read or calls.unread))
    if ending.reason == "tool_calls" and not (calls.read or calls.unread):
        raise UnreadableError(f"the answer ended with {one_line(repr(word), 40)} and holds no tool call")
    alone = None
    if not (text or calls.read):
        alone = _thought_alone(content, message, is_cut=ending.reason == "length")
    elif text and stop and ending.reason == "stop" and not without_thought(text):
        alone = ""
    return Response(
        text=text,
        finish_reason=ending.reason,
        detail=_with_stop(alone, stop if ending.reason == "stop" else ()) or ending.detail,
        prompt_tokens=token_count(usage, "prompt_tokens"),
        completion_tokens=tokens,
        latency_ms=latency_ms,
        tool_calls=calls.read,
        model=optional_text(completion, "model"),
        unread_calls=calls.unread,
    )


def _message(choice: Mapping[str, Any]) -> Mapping[str, Any]:
    message = choice.get("message")
    if not isinstance(message, dict):
        if "delta" in choice:
            raise UnreadableError("a piece of a stream (`delta`), and no stream was asked for")
        if "text" in choice:
            raise UnreadableError("a text completion, and a chat completion was asked for")
        raise UnavailableError("answered 200 without a choice that holds a message; is the base URL right?")
    if message.get("role") not in _ROLES:
        raise UnreadableError(
            f"a message of the role {one_line(repr(message['role']), 40)}, not the assistant's"
        )
    return message


def _content(content: Any) -> _Content:
    """Read text, or a list of parts: texts are joined, and what was thought is left out."""
    if content is None or isinstance(content, str):
        return _Content(content or "")
    if not isinstance(content, list):
        raise UnreadableError(f"`content` is neither text nor a list of parts: {one_line(repr(content), 80)}")
    texts: list[str] = []
    refusals: list[str] = []
    holds_thought = False
    for part in content:
        kind = part.get("type") if isinstance(part, dict) else None
        if kind in ("text", "output_text") and isinstance(part.get("text"), str):
            texts.append(part["text"])
        elif kind == "refusal" and isinstance(part.get("refusal"), str):
            refusals.append(part["refusal"])
        elif kind in _THOUGHT_PARTS:
            holds_thought = True
        else:
            raise UnreadableError(f"a part of the content that is not read: {one_line(repr(part), 80)}")
    return _Content("".join(texts), "".join(refusals), holds_thought)


def _with_refusal(content: _Content, refusal: Any) -> str:
    """Return the answer's text: that of a refusal is the model's answer, too."""
    if refusal is not None and not isinstance(refusal, str):
        raise UnreadableError(f"`refusal` is no text: {one_line(repr(refusal), 80)}")
    texts = [text for text in (content.text, content.refusal, refusal) if text and text.strip()]
    return "\n\n".join(dict.fromkeys(texts)) or content.text


def _refuse_unread_parts(choice: Mapping[str, Any], message: Mapping[str, Any], *, is_empty: bool) -> None:
    """Refuse an answer of which a field that is not read may hold a part, or all of it where it is empty."""
    for name in sorted(message.keys() - _READ - _ABOUT_THE_ANSWER):
        if message[name] not in (None, "", [], {}, False) and (is_empty or _MAY_HOLD_PART.search(name)):
            raise UnreadableError(f"the message holds {name!r}, which is not read")
    for name in ("tool_calls", "function_call"):
        if choice.get(name):
            raise UnreadableError(f"{name!r} stands outside of the message")


def _with_stop(alone: str | None, stop: Sequence[str]) -> str | None:
    """Name the stop strings that may have ended a thought: servers look for them there, too."""
    if alone is None or not stop:
        return alone
    named = f"one of the stop strings {', '.join(map(repr, stop))} may have ended it"
    return f"{alone}: {named}" if alone else named


def _thought_alone(content: _Content, message: Mapping[str, Any], *, is_cut: bool) -> str | None:
    """Say that there is a thought and no answer after it, where that is so."""
    field = next(
        (name for name in _THOUGHTS if message.get(name)), "content" if content.holds_thought else None
    )
    if field is None:
        return None
    return f"a thought without an answer, in {field!r}{': it was cut off' if is_cut else ''}"
