"""Prove that a rendered row says everything that the row holds.

A chat template takes what it knows and leaves out the rest without a word: tool calls, offered tools, the
system's message, `reasoning_content`. Training would go on as if they were there; on an answer of nothing but
a call, the trained text would be the end-of-turn token alone, which teaches silence.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from harness.cases import ToolCall
from harness.data.training_rows import TrainingExample
from harness.scoring.text.tool_call_text import MalformedCallError, calls_in_text

__all__ = ["left_out"]

_TEXTS = ("content", "reasoning_content")


def left_out(example: TrainingExample, text: str, turns: Mapping[int, str]) -> str | None:
    """Say what of a row its text leaves out, as a phrase that names the field; None where it holds all.

    What only links messages (`id`, `tool_call_id`, a tool's `name`) need not be there, as hardly any template
    writes it. Calls of a trained turn are read back, and must be the row's.

    Args:
        example: The row.
        text: All of it, rendered.
        turns: Index of each trained message → its part of the text.
    """
    contents = [message["content"].strip() for message in example.messages]
    for index, message in enumerate(example.messages):
        said = turns.get(index, text)
        place = f"messages[{index}]"
        for key in _TEXTS:
            value = message.get(key)
            if isinstance(value, str) and value.strip() not in said:
                return f"{place}.{key}"
        wanted = sum(content.count(contents[index]) for content in contents) if contents[index] else 0
        if text.count(contents[index]) < wanted:  # another message says the same, but this one is left out
            return f"{place}.content"
        name = message.get("name")
        if isinstance(name, str) and message["role"] != "tool" and name not in said:
            return f"{place}.name"
        calls = message.get("tool_calls") or ()
        if calls and not _says_calls(calls, said, example.tools, whole=index in turns):
            return f"{place}.tool_calls"
    for number, tool in enumerate(example.tools):
        function = tool.get("function", tool)
        for word in (function.get("name"), *((function.get("parameters") or {}).get("properties") or ())):
            if isinstance(word, str) and word not in text:
                return f"tools[{number}]"
    return None


def _says_calls(calls: Any, said: str, tools: tuple[Mapping[str, Any], ...], *, whole: bool) -> bool:
    wanted = [_call(call) for call in calls]
    if whole:
        try:
            made = [(call.name, dict(call.arguments)) for call in calls_in_text(said, tools)]
        except MalformedCallError:
            made = []
        if made:
            return made == [(call.name, dict(call.arguments)) for call in wanted]
    return all(
        call.name in said and all(_says(value, said) for value in _leaves(call.arguments)) for call in wanted
    )


def _call(call: Mapping[str, Any]) -> ToolCall:
    function = call.get("function", call)
    return ToolCall(function["name"], function.get("arguments") or {})


def _leaves(value: Any) -> Iterator[Any]:
    """Yield the keys and single values of arguments."""
    if isinstance(value, Mapping):
        for key, item in value.items():
            yield key
            yield from _leaves(item)
    elif isinstance(value, list):
        for item in value:
            yield from _leaves(item)
    else:
        yield value


def _says(value: Any, said: str) -> bool:
    spellings = {json.dumps(value, ensure_ascii=False), json.dumps(value), str(value)}
    if isinstance(value, str):
        spellings |= {json.dumps(value)[1:-1], json.dumps(value, ensure_ascii=False)[1:-1]}
    return any(spelling in said for spelling in spellings)
