"""The marks between which models write calls, and how what stands between them is read.

The marks are those of the tool parsers of vLLM and of the chat formats of llama.cpp, by family:
Hermes, Qwen, Granite 4, Ernie (`<tool_call>` around JSON), Qwen3-Coder, Seed-OSS (`<function=…>`), GLM
(`<arg_key>`), Llama 3.x (`<|python_tag|>`) and 4 (`<|python_start|>`), Mistral (`[TOOL_CALLS]`, `[CALL_ID]`,
`[ARGS]`), DeepSeek V3, V3.1 and V3.2 (DSML), Kimi, MiniMax M1 and M2, gpt-oss (harmony), LFM2, Gemma,
Cohere, Granite 3 and 20B, Phi-4-mini, xLAM, Hunyuan, Jamba, Nemotron, InternLM, Olmo, Step, Apertus, LongCat.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

from harness.cases import ToolCall
from harness.scoring.text.call_json import MalformedCallError, json_calls, named_call, read_value
from harness.scoring.text.call_python import begins_python_call, python_calls
from harness.scoring.text.call_tags import (
    Schemas,
    argument_keys_call,
    braces_call,
    function_tag_call,
    invoke_call,
)

__all__ = ["CALL_TOKENS", "read_blocks"]

Calls = tuple[ToolCall, ...]
Reader = Callable[[str, "re.Match[str]", Schemas], "tuple[Calls, int]"]

_PAIRS = {
    "<tool_call>": "</tool_call>",
    "<tool_calls>": "</tool_calls>",
    "<function_calls>": "</function_calls>",
    "<TOOLCALL>": "</TOOLCALL>",
    "<seed:tool_call>": "</seed:tool_call>",
    "<minimax:tool_call>": "</minimax:tool_call>",
    "<atem:function_calls>": "</atem:function_calls>",
    "<longcat_tool_call>": "</longcat_tool_call>",
    "<|tool_call|>": "<|/tool_call|>",
    "<|tool_call_start|>": "<|tool_call_end|>",
    "<|python_start|>": "<|python_end|>",
    "<|START_ACTION|>": "<|END_ACTION|>",
    "<|action_start|><|plugin|>": "<|action_end|>",
    "<|tools_prefix|>": "<|tools_suffix|>",
    "<｜DSML｜function_calls>": "</｜DSML｜function_calls>",
    "<｜DSML｜tool_calls>": "</｜DSML｜tool_calls>",
    "<|tool_call>": "<tool_call|>",
    "<start_function_call>": "<end_function_call>",
}
_OPEN_ENDED = frozenset({"<tool_call>", "<|tool_call|>", "<TOOLCALL>"})
"""Marks whose end some families leave out behind a whole list in JSON."""

_OPTIONAL_END = {
    "<function_call>": "</function_call>",
    "<functioncall>": "</functioncall>",
    "functools": "",
}
_WRAPPERS = re.compile(
    r"<\|tool_calls?_section_(?:begin|end)\|>"
    r"|<｜tool[▁_]calls[▁_](?:begin|end)｜>"
    r"|<｜tool_call_end｜>"
    r"|<\|start\|>assistant|<\|(?:end|call)\|>"
)
"""Marks that stand around calls, and say nothing more once these are read."""

CALL_TOKENS = re.compile(
    r"tool|function|python_|\[ARGS\]|\[CALL_ID\]|ACTION|action_|plugin|<\|\"\|>|DSML|steptml"
    r"|<\|(?:channel|message|start|call|constrain)\|>",
    re.IGNORECASE,
)
"""What the special tokens that a call is read from contain; a decoder must not leave these out."""

_MAX_NESTING = 3


def read_blocks(text: str, schemas: Schemas, nesting: int = 0) -> tuple[Calls, str]:
    """Return the calls that stand between marks, in order, and the text around them.

    Raises:
        MalformedCallError: Marks stand around something that is no call, or have no end.
    """
    if nesting > _MAX_NESTING:
        raise MalformedCallError("marks of calls nested too deep")
    calls: list[ToolCall] = []
    around: list[str] = []
    at = 0
    while (match := _OPENING.search(text, at)) is not None:
        around.append(text[at : match.start()])
        (made, at) = _reader(match)(text, match, schemas)
        calls += made
    around.append(text[at:])
    rest = "".join(around)
    return tuple(calls), _WRAPPERS.sub(" ", rest) if calls else rest


# --- readers: of the text behind an opening mark, each returns the calls and where they end ---------------


def _pair(text: str, match: re.Match[str], schemas: Schemas) -> tuple[Calls, int]:
    """Read what stands between a mark and its end."""
    mark = "".join(match.group().split())
    close = _PAIRS[mark]
    start = match.end()
    stripped = text[start : start + 200].lstrip()
    if stripped[:1] in ("{", "[") and not begins_python_call(stripped):
        calls, end = _values(text, start, as_names=mark == "<|tools_prefix|>")
        if text.startswith(close, end):
            return calls, end + len(close)
        if mark in _OPEN_ENDED and stripped.startswith("[") and not text[end:].strip():
            return calls, end
        raise MalformedCallError(
            f"{mark} without {close}"
            if close not in text[end:]
            else f"{text[end : end + 40]!r} within {mark}"
        )
    end = text.find(close, start)
    if end < 0:
        raise MalformedCallError(f"{mark} without {close}")
    content = text[start:end].strip()
    return _content(mark, content, schemas), end + len(close)


def _content(mark: str, content: str, schemas: Schemas) -> Calls:
    if mark in ("<|tool_call>", "<start_function_call>"):
        return (braces_call(content, schemas),)
    if "<arg_key>" in content or (mark.endswith("tool_call>") and re.fullmatch(r"[\w.\-]+", content)):
        return (argument_keys_call(content, schemas),)
    if content.startswith("<"):
        calls, rest = read_blocks(content, schemas, 1 if mark not in content else _MAX_NESTING)
        if not calls or rest.strip():
            raise MalformedCallError(f"{(rest.strip() or content)[:40]!r} within {mark} is no call")
        return calls
    if begins_python_call(content):
        return python_calls(content, certain=True)
    if (named := re.match(r"([\w.\-]+)\s*(?=\{)", content)) is not None:
        value, end = read_value(content, named.end())
        if not content[end:].strip():
            return (named_call(named[1], value),)
    raise MalformedCallError(f"no call in {content[:40]!r}")


def _values(text: str, start: int, *, as_names: bool = False) -> tuple[Calls, int]:
    """Read JSON values one after the other, between them blanks, commas or semicolons."""
    calls: list[ToolCall] = []
    at = start
    while True:
        value, at = read_value(text, at)
        calls += _calls_by_name(value) if as_names else json_calls(value)
        after = _after(text, at, " \t\r\n,;")
        if not text.startswith(("{", "["), after) or text.startswith("[TOOL_CALLS]", after):
            return tuple(calls), _after(text, at, " \t\r\n")
        at = after


def _calls_by_name(value: object) -> Iterator[ToolCall]:
    """Read Apertus' `[{"name": {arguments}}]`."""
    for item in value if isinstance(value, list) else [value]:
        if not isinstance(item, dict) or not item:
            raise MalformedCallError("a call without a name")
        for name, arguments in item.items():
            yield named_call(name, arguments)


def _after(text: str, at: int, characters: str) -> int:
    while at < len(text) and text[at] in characters:
        at += 1
    return at


def _prefixed(text: str, match: re.Match[str], schemas: Schemas) -> tuple[Calls, int]:
    """Read JSON behind a mark that needs no end."""
    calls, end = _values(text, match.end())
    close = _OPTIONAL_END[match.group().strip()]
    return calls, end + len(close) if close and text.startswith(close, end) else end


def _mistral(text: str, match: re.Match[str], schemas: Schemas) -> tuple[Calls, int]:
    start = _after(text, match.end(), " \t\r\n")
    if text.startswith(("[", "{"), start):
        return _values(text, start)
    head = re.compile(r"(?P<name>[^\s\[\]{}<>]+)\s*(?:\[CALL_ID\][^\[\]{}]*)?(?:\[ARGS\])?\s*(?=\{)").match(
        text, start
    )
    if head is None:
        raise MalformedCallError(f"no call in {text[start : start + 40]!r}")
    value, end = read_value(text, head.end())
    return (named_call(head["name"], value),), end


def _python_tag(text: str, match: re.Match[str], schemas: Schemas) -> tuple[Calls, int]:
    rest = text[match.end() :].strip()
    if rest.startswith(("{", "[")) and not begins_python_call(rest):
        return _values(text, match.end())
    calls = python_calls(rest, certain=True) if begins_python_call(rest) else ()
    if not calls:
        raise MalformedCallError(f"no call in {rest[:40]!r}")
    named = tuple(ToolCall(call.name.removesuffix(".call"), call.arguments) for call in calls)
    return named, len(text)


def _function_tag(text: str, match: re.Match[str], schemas: Schemas) -> tuple[Calls, int]:
    start = _after(text, match.end(), " \t\r\n")
    if text.startswith("{", start):
        value, end = read_value(text, start)
        end = _after(text, end, " \t\r\n")
        call = named_call(match["function"] or match["function_name"], value)
    else:
        end = text.find("</function>", match.end())
        body = text[match.end() : end]
        if end >= 0 and match["function_name"]:
            call = invoke_call(match["function_name"], body, schemas)
        elif end >= 0:
            call = function_tag_call(match["function"], body, schemas)
    if end < 0 or not text.startswith("</function>", end):
        raise MalformedCallError(f"{match.group()} without </function>")
    return (call,), end + len("</function>")


def _invoke(text: str, match: re.Match[str], schemas: Schemas) -> tuple[Calls, int]:
    close = f"</{match['space']}invoke>"
    end = text.find(close, match.end())
    if end < 0:
        raise MalformedCallError(f"{match.group()} without {close}")
    return (invoke_call(match["invoke"], text[match.end() : end], schemas),), end + len(close)


def _kimi(text: str, match: re.Match[str], schemas: Schemas) -> tuple[Calls, int]:
    name = re.fullmatch(r"(?:functions\.)?(?P<name>.+?):\d+", match["kimi"].strip())
    if name is None:
        raise MalformedCallError(f"the call {match['kimi'].strip()[:40]!r} names no function")
    value, end = read_value(text, match.end())
    return (named_call(name["name"], value),), _closed(text, end, "<|tool_call_end|>")


def _deepseek(text: str, match: re.Match[str], schemas: Schemas) -> tuple[Calls, int]:
    value, end = read_value(text, match.end())
    if match["fenced"]:
        end = _closed(text, end, "```")
    name = match["fenced"] or match["deepseek"]
    return (named_call(name, value),), _closed(text, end, "<｜tool▁call▁end｜>")


def _closed(text: str, at: int, close: str) -> int:
    at = _after(text, at, " \t\r\n")
    if not text.startswith(close, at):
        raise MalformedCallError(f"a call without {close}")
    return at + len(close)


def _harmony(text: str, match: re.Match[str], schemas: Schemas) -> tuple[Calls, int]:
    value, end = read_value(text, match.end())
    end = _after(text, end, " \t\r\n")
    for close in ("<|call|>", "<|end|>"):
        if text.startswith(close, end):
            return (named_call(match["to"] or match["to_bare"], value),), end + len(close)
    return (named_call(match["to"] or match["to_bare"], value),), end


def _action(text: str, match: re.Match[str], schemas: Schemas) -> tuple[Calls, int]:
    calls, end = _values(text, match.end())
    return calls, _closed(text, end, "```")


_CHANNEL = r"(?:<\|channel\|>\s*(?:commentary|analysis)\s*)?"
# No pattern begins with blanks or has two runs of them side by side: a model may write thousands.
_READERS: dict[str, tuple[str, Reader]] = {
    "harmony": (
        rf"(?:<\|start\|>\s*assistant\s*)?{_CHANNEL}to=functions\.(?P<to>[\w.\-]+)\s*{_CHANNEL}"
        r"(?:<\|constrain\|>\s*)?(?:(?:json|code)\s*)?<\|message\|>",
        _harmony,
    ),
    "harmony_bare": (  # where a decoder has left the special tokens out
        r"(?:assistant)?(?:commentary|analysis)\s+to=functions\.(?P<to_bare>[\w.\-]+)\s+(?:(?:json|code)\s*)?(?=\{)",
        _harmony,
    ),
    "kimi_call": (r"<\|tool_call_begin\|>(?P<kimi>[^<]*)<\|tool_call_argument_begin\|>", _kimi),
    "deepseek_call": (
        r"<｜tool▁call▁begin｜>(?:function<｜tool▁sep｜>(?P<fenced>[^\n<]+)\n```json\n"
        r"|(?P<deepseek>[^<\n]+)<｜tool▁sep｜>)",
        _deepseek,
    ),
    "mistral": (r"\[TOOL_CALLS\]", _mistral),
    "python_tag": (r"<\|python_tag\|>", _python_tag),
    "action": (r"Action:\s*```json\s*(?=[\[{])", _action),
    "prefixed": (r"<function_?call>\s*(?=\{|\[)|\bfunctools\s*(?=\[)", _prefixed),
    "pair": (
        "|".join(r"\s*".join(map(re.escape, re.findall(r"<[^>]*>", mark))) for mark in _PAIRS),
        _pair,
    ),
    "function_tag": (
        r"<function=(?P<function>[^<>\s]+)>|<function\s+name=\"(?P<function_name>[^\"]+)\"\s*>",
        _function_tag,
    ),
    "invoke_tag": (
        r"(?:<｜tool_call_begin｜>\s*function\s*<｜tool_sep｜>\s*)?<(?P<space>[^\s<>/]*?)invoke\s+name=\"(?P<invoke>[^\"]+)\"\s*>",
        _invoke,
    ),
}
_OPENING = re.compile("|".join(f"(?P<{name}>{pattern})" for name, (pattern, _) in _READERS.items()))


def _reader(match: re.Match[str]) -> Reader:
    return next(reader for name, (_, reader) in _READERS.items() if match[name] is not None)
