"""Function calls that a model wrote into its text, where the backend has not parsed them.

Local models answer in the notation of their training: between marks (`call_blocks`), as JSON alone (Llama 3,
xLAM), as Python calls (Llama 3.2, BFCL's own prompts), or as a function's name before JSON (GLM-4). Nothing
is executed. That a text holds no call is a finding of its own: whatever looks like a call, and is not read as
one, is malformed, never prose.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from harness.cases import ToolCall
from harness.files.read_json import InvalidJsonError, loads
from harness.scoring.text.call_blocks import read_blocks
from harness.scoring.text.call_json import (
    MalformedCallError,
    is_json_call,
    json_calls,
    looks_like_json_call,
    named_call,
    read_value,
)
from harness.scoring.text.call_python import begins_python_call, python_calls
from harness.scoring.text.call_tags import Schemas
from harness.scoring.text.fences import fenced_blocks

__all__ = ["MalformedCallError", "calls_in_text", "schemas_of"]

_ENDS = (
    "<|im_end|>", "<|eot_id|>", "<|eom_id|>", "<|endoftext|>", "<|return|>", "<|end_of_text|>", "<|user|>",
    "<|observation|>", "<|END_OF_TURN_TOKEN|>", "<|eos|>", "</s>", "<eos>", "<end_of_turn>", "<turn|>",
    "<｜end▁of▁sentence｜>", "[EOS]", "[e~[", "<seed:eos>", "<|tool_response>",
)  # fmt: skip
"""Tokens that end a turn, of the families that are read; some decoders leave them in."""
_MARKS = re.compile(
    r"<[|｜/]*(?:[\w:]+[:｜])?(?:tool[_▁]?calls?|longcat_tool_call|function_?calls?|python_(?:tag|start)|"
    r"start_function_call|action_start|start_action|tools_prefix|tool_code|invoke\b|tool[_▁]sep|use_tool|tool_use)"
    r"|<function[=\s]|<arg_key>|<\|(?:channel|call|constrain)\|>|<\|open\|>(?:tool|call|function)|\[/?(?:TOOL_CALLS?|ARGS|CALL_ID)\]"
    r"|<｜(?:tool|DSML)|\bto=functions\b|\bfunctools\s*\[|\bfunctions\.\w+:\d|```\s*tool_c|\bAction Input\s*:"
    r"|</?(?:tool|function|parameter)\b[^<]*>",
    re.IGNORECASE,
)
"""What begins or ends a call in some notation, whether or not it is one that is read."""
_LANGUAGES = ("", "json", "python", "py", "tool_call", "tool_code")


def schemas_of(tools: Sequence[Mapping[str, Any]]) -> Schemas:
    """Return the schema of the parameters of each offered function, by name."""
    functions = [tool.get("function", tool) for tool in tools]
    return {str(one.get("name")): one.get("parameters") or {} for one in functions}


def calls_in_text(text: str, tools: Sequence[Mapping[str, Any]] = ()) -> tuple[ToolCall, ...]:
    """Return the calls that a text makes; () where it certainly makes none.

    Words around marked calls, and around one fenced block of calls, are let be. JSON and Python calls count
    only where nothing else is said.

    Args:
        text: The answer, without what was thought before it.
        tools: The functions that were offered, as JSON Schema: they type arguments that are written as text,
            and what names one of them like a call and is not read as one is malformed.

    Raises:
        MalformedCallError: Something looks like a call and cannot be read: cut off, bad JSON, no name,
            arguments that are no object, positional or computed ones in Python, an unknown notation.
    """
    schemas = schemas_of(tools)
    text = _without_end(text)
    calls, rest = read_blocks(text, schemas)
    if not calls:
        calls, rest = _unmarked(text, schemas)
    problem = _looks_like_a_call(rest, schemas)
    if problem is not None:
        raise MalformedCallError(problem)
    return calls


def _without_end(text: str) -> str:
    text = text.strip()
    while (end := next((token for token in _ENDS if text.endswith(token)), None)) is not None:
        text = text.removesuffix(end).rstrip()
    return text


def _unmarked(text: str, schemas: Schemas) -> tuple[tuple[ToolCall, ...], str]:
    """Return the calls of a text that consists of them, or of one fenced block of them, and what is left."""
    if calls := _whole(text, schemas, certain=False):
        return calls, ""
    blocks = [block for block in fenced_blocks(text) if block.closed]
    if len(blocks) == 1 and blocks[0].language in _LANGUAGES:
        block = blocks[0]
        certain = block.language.startswith("tool_")
        if calls := _whole(block.content.strip(), schemas, certain=certain):
            lines = text.splitlines()
            return calls, "\n".join([*lines[: block.start], *lines[block.end :]])
    return (), text


def _whole(text: str, schemas: Schemas, *, certain: bool) -> tuple[ToolCall, ...]:
    """Read calls as JSON, Python or name and JSON; unless `certain` that they are calls, () for all else."""
    if text[:1] in ("{", "["):
        try:
            return _json(loads(text), certain=certain)
        except InvalidJsonError as problem:
            if begins_python_call(text):
                return python_calls(text, certain=certain)
            if calls := _json_sequence(text):
                return calls
            if certain or looks_like_json_call(text):
                raise MalformedCallError(f"the call is {problem}") from None
            return ()
    if begins_python_call(text):
        return python_calls(text, certain=certain)
    head = re.match(r"(?:>>>)?([\w.\-]+)\s*(?=\{)", text)
    if head is not None and head[1] in schemas:
        value, end = read_value(text, head.end())
        rest = text[end:].strip()
        following = _whole(rest, schemas, certain=True) if rest.startswith(">>>") else ()
        if not rest or following:
            return (named_call(head[1], value), *following)
    if certain:
        raise MalformedCallError(f"no call in {text[:40]!r}")
    return ()


def _json(value: Any, *, certain: bool) -> tuple[ToolCall, ...]:
    return json_calls(value) if certain or is_json_call(value) else ()


def _json_sequence(text: str) -> tuple[ToolCall, ...]:
    """Read objects with semicolons or blanks between them, as Llama 3 writes several calls."""
    calls: list[ToolCall] = []
    at = 0
    while at < len(text):
        try:
            value, at = read_value(text, at)
        except MalformedCallError:
            return ()
        if not is_json_call(value):
            return ()
        calls += json_calls(value)
        while at < len(text) and (text[at].isspace() or text[at] == ";"):
            at += 1
    return tuple(calls)


# --- what is not read ----------------------------------------------------------------------------------


def _looks_like_a_call(text: str, schemas: Schemas) -> str | None:
    """Say what in a text looks like a call that was not read; None where nothing does."""
    if (mark := _MARKS.search(text)) is not None:
        return f"{mark.group()[:40]!r} belongs to a call that cannot be read"
    if "{" in text and looks_like_json_call(text):
        return "what looks like a call in JSON stands among other words"
    for name, schema in schemas.items():
        if name in text and (phrase := _named_like_a_call(text, name, schema)) is not None:
            return f"{phrase[:60]!r} looks like a call that cannot be read"
    if text.startswith("{"):
        return _arguments_alone(text, schemas)
    return None


def _named_like_a_call(text: str, name: str, schema: Mapping[str, Any]) -> str | None:
    """Return where a text names a function as a call does; `name(order)` in prose describes one."""
    word = rf"(?<![\w.]){re.escape(name)}"
    patterns = [
        rf"{word}\s*\{{",
        rf"{word}\s*\([^()]*(?:[=:\"'{{\[]|\d)",
        rf"\"(?:name|tool|tool_name|function|function_name|action|recipient_name|api)\"\s*:\s*\"{re.escape(name)}\"",
        rf"[\"']{re.escape(name)}[\"']\s*:\s*\{{",
        rf"</?{re.escape(name)}\b",
        rf"(?m:^[ \t]*(?:Action|Tool|Function)[ \t]*:[ \t]*`?{re.escape(name)}\b)",
    ]
    if not schema.get("required"):
        patterns.append(rf"{word}\s*\(\s*\)")
    for pattern in patterns:
        if (match := re.search(pattern, text)) is not None:
            return match.group()
    return None


def _arguments_alone(text: str, schemas: Schemas) -> str | None:
    """Say that an answer is an object with the parameters of an offered function, and no name."""
    try:
        value = loads(text)
    except InvalidJsonError:
        return None
    for name, schema in schemas.items():
        properties = schema.get("properties") or {}
        required = set(schema.get("required") or ())
        if isinstance(value, dict) and value and required <= value.keys() <= properties.keys():
            return f"the arguments of {name!r} without its name"
    return None
