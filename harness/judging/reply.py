"""Read a judge's reply: one JSON object, exactly as asked for, or an error. Never a guess at its meaning."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from harness.cases import Response
from harness.errors import JudgementError
from harness.files.json_schema import compile_predicate, violations
from harness.files.read_json import InvalidJsonError, loads

__all__ = ["read_reply", "reply_schema", "require_replies", "shortened"]

_BLOCK = re.compile(r"```(?:json|JSON)?[ \t]*\r?\n(?P<inside>.*?)\r?\n[ \t]*```", re.DOTALL)
_ENDED_BADLY = {
    "error": "no reply came",
    "length": "the reply was cut off at the token limit: raise the rubric's max_tokens",
    "content_filter": "the provider filtered the reply",
    "context_overflow": "the request does not fit the judge's context window",
    "tool_calls": "it called a tool instead of replying",
}


def reply_schema(name: str, verdict: Mapping[str, Any]) -> dict[str, Any]:
    """Return the closed JSON Schema of a reply: the reasoning, then the verdict, and nothing else."""
    return {
        "type": "object",
        "additionalProperties": False,
        "required": ["reasoning", name],
        "properties": {"reasoning": {"type": "string", "minLength": 1}, name: dict(verdict)},
    }


def read_reply(reply: Response, schema: Mapping[str, Any]) -> dict[str, Any]:
    """Return the object in a judge's reply; a single fenced block around it is allowed.

    Raises:
        JudgementError: There is none, or it is not what the schema says; with the start of the reply.
    """
    if reply.finish_reason != "stop":
        why = _ENDED_BADLY.get(reply.finish_reason, f"it ended with {reply.finish_reason!r}")
        raise JudgementError(
            f"the judge gave no verdict: {why}" + (f" ({reply.detail})" if reply.detail else "")
        )
    text = reply.text.strip()
    if not text:
        raise JudgementError("the judge gave no verdict: its reply is empty")
    block = _BLOCK.fullmatch(text)
    try:
        value = loads(block["inside"] if block else text)
    except InvalidJsonError as problem:
        raise JudgementError(f"the judge's reply is {problem}: {shortened(text, 80)!r}") from None
    if not compile_predicate(schema)(value):
        problems = violations(schema, value)
        if problems:
            raise JudgementError(f"the judge's verdict is not usable: {'; '.join(problems[:3])}")
    found: dict[str, Any] = value
    return found


def shortened(text: str, limit: int = 500) -> str:
    """Return text as one printable line of at most `limit` characters."""
    flat = " ".join("".join(char if char.isprintable() else " " for char in text).split())
    return flat if len(flat) <= limit else flat[: limit - 1] + "…"


def require_replies(replies: Sequence[Response], expected: int) -> None:
    """Check that there is a reply to each request.

    Raises:
        JudgementError: There are more or fewer.
    """
    if len(replies) != expected:
        raise JudgementError(f"expected {expected} replies of the judge, found {len(replies)}")
