"""Calls whose arguments stand one by one between tags, as text: their types are those of the schema.

Strings taken from the tool parsers of vLLM and llama.cpp: `<function=…>` with `<parameter=…>` (Qwen3-Coder,
Seed-OSS), `<invoke name="…">` with `<parameter name="…">` (MiniMax, DeepSeek's DSML, Step), a name with
`<arg_key>` and `<arg_value>` (GLM), and `call:name{key:value}` (Gemma).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from harness.cases import ToolCall
from harness.files.read_json import InvalidJsonError, loads
from harness.scoring.text.call_json import MalformedCallError, named_call
from harness.scoring.text.call_python import python_literal

__all__ = ["Schemas", "argument_keys_call", "braces_call", "function_tag_call", "invoke_call"]

Schemas = Mapping[str, Mapping[str, Any]]
"""The JSON Schema of each offered function's parameters, by the function's name."""

_PARAMETER_EQUALS = re.compile(r"<parameter=(?P<key>[^<>\n]+)>(?P<value>.*?)</parameter>", re.DOTALL)
_PARAMETER_NAME = re.compile(
    r"<(?P<space>[^\s<>/]*?)(?:parameter|arg|param)\s+name=\"(?P<key>[^\"]+)\""
    r"(?:\s+string=\"(?P<text>true|false)\")?\s*>(?P<value>.*?)"
    r"</(?P=space)(?:parameter|arg|param)>",
    re.DOTALL,
)
_ARG_KEY = re.compile(r"<arg_key>(?P<key>.*?)</arg_key>\s*<arg_value>(?P<value>.*?)</arg_value>", re.DOTALL)
_STRING = '<|"|>'
_ESCAPE = "<escape>"
_BARE = re.compile(r"[^,\[\]{}]*")
_KEY = re.compile(r"(?:<\|\"\|>(?P<quoted>.*?)<\|\"\|>\s*|(?P<bare>[^:,{}\[\]]+)):\s*", re.DOTALL)
_MAX_DEPTH = 32
_JSON_TYPES: dict[type, set[str]] = {
    bool: {"boolean"},
    int: {"integer", "number"},
    float: {"number"},
    list: {"array"},
    dict: {"object"},
    type(None): {"null"},
}


def function_tag_call(name: str, body: str, schemas: Schemas) -> ToolCall:
    """Return the call of `<function=NAME>BODY</function>`: parameters in tags, or one JSON object."""
    if body.strip().startswith("{"):
        return named_call(name, body.strip())
    return _tagged_call(name, body, _PARAMETER_EQUALS, schemas)


def invoke_call(name: str, body: str, schemas: Schemas) -> ToolCall:
    """Return the call of `<invoke name="NAME">BODY</invoke>`."""
    return _tagged_call(name, body, _PARAMETER_NAME, schemas)


def argument_keys_call(body: str, schemas: Schemas) -> ToolCall:
    """Return the call of a name with `<arg_key>` and `<arg_value>` behind it, or without any."""
    name, mark, rest = body.partition("<arg_key>")
    return _tagged_call(name.strip(), mark + rest, _ARG_KEY, schemas)


def _tagged_call(name: str, body: str, pattern: re.Pattern[str], schemas: Schemas) -> ToolCall:
    arguments: dict[str, Any] = {}
    end = 0
    for match in pattern.finditer(body):
        _refuse_words(name, body[end : match.start()])
        end = match.end()
        key = match["key"].strip()
        if key in arguments:
            raise MalformedCallError(f"{name!r} is given the parameter {key!r} twice")
        parts = match.groupdict()
        value = parts["value"].removeprefix("\n").removesuffix("\n")
        schema = _schema_of(schemas, name, key)
        arguments[key] = value if parts.get("text") == "true" else typed_value(value, schema)
    _refuse_words(name, body[end:])
    return named_call(name, arguments)


def _refuse_words(name: str, text: str) -> None:
    if text.strip():
        raise MalformedCallError(
            f"in the call to {name!r} stands {text.strip()[:40]!r}, which is no parameter"
        )


def _schema_of(schemas: Schemas, name: str, key: str) -> Any:
    properties = schemas.get(name, {}).get("properties")
    return properties.get(key) if isinstance(properties, Mapping) else None


def typed_value(text: str, schema: Any) -> Any:
    """Return what a text stands for where its parameter has this schema.

    A string is the text itself, whatever it looks like; where another type is allowed beside it, what is JSON
    of that type is that. Another type is read as JSON, or else as a Python
    literal (`True`, `None`, quotes of one stroke); what is neither stays text, and so has the wrong type.
    Without a type, JSON is read as such and anything else is text.
    """
    kinds = _kinds(schema)
    stripped = text.strip()
    if "string" in kinds:
        return _other_than_text(stripped, text, kinds)
    for read in _readers(kinds):
        try:
            return read(stripped)
        except (InvalidJsonError, MalformedCallError):
            continue
    return text


def _other_than_text(stripped: str, text: str, kinds: set[str]) -> Any:
    if kinds == {"string"}:
        return text
    if "null" in kinds and stripped in ("null", "None"):
        return None
    try:
        value = loads(stripped)
    except InvalidJsonError:
        return text
    return value if not isinstance(value, str) and _JSON_TYPES[type(value)] & kinds else text


def _readers(kinds: set[str]) -> tuple[Callable[[str], Any], ...]:
    return (loads, python_literal) if kinds else (loads,)


def _kinds(schema: Any) -> set[str]:
    """Return the types that a schema allows; an empty set where it does not say."""
    if not isinstance(schema, Mapping):
        return set()
    declared = schema.get("type")
    kinds = {declared} if isinstance(declared, str) else set(declared or ())
    for word in ("anyOf", "oneOf"):
        for part in schema.get(word) or ():
            kinds |= _kinds(part)
    if not kinds and isinstance(schema.get("enum"), list):
        kinds = {"string"} if all(isinstance(value, str) for value in schema["enum"]) else set()
    return {str(kind) for kind in kinds}


# --- call:name{key:value} ------------------------------------------------------------------------------


def braces_call(body: str, schemas: Schemas) -> ToolCall:
    """Return the call of Gemma's `call:NAME{key:value,…}`: texts between `<|"|>` or `<escape>`, keys bare.

    Raises:
        MalformedCallError: It is cut off, or something else.
    """
    match = re.fullmatch(r"\s*call:(?P<name>[\w.\-]+)\s*(?P<braces>\{.*\})\s*", body, re.DOTALL)
    if match is None:
        raise MalformedCallError(f"no call in {body[:40]!r}")
    escaped = _ESCAPE in match["braces"]
    text = match["braces"].replace(_ESCAPE, _STRING)
    value, end = _braced(text, 0, 0)
    if text[end:].strip():
        raise MalformedCallError(f"{text[end:][:40]!r} stands behind the call to {match['name']!r}")
    if escaped:  # FunctionGemma writes every value as a text
        value = {
            key: typed_value(item, _schema_of(schemas, match["name"], key)) if isinstance(item, str) else item
            for key, item in value.items()
        }
    return named_call(match["name"], value)


def _braced(text: str, start: int, depth: int) -> tuple[Any, int]:
    """Return the value that begins at `start`, and where it ends."""
    if depth > _MAX_DEPTH:
        raise MalformedCallError(f"an argument nested more than {_MAX_DEPTH} levels deep")
    if text.startswith(_STRING, start):
        end = text.find(_STRING, start + len(_STRING))
        if end < 0:
            raise MalformedCallError("a text argument that does not end")
        return text[start + len(_STRING) : end], end + len(_STRING)
    if text.startswith("{", start):
        return _braced_object(text, start + 1, depth + 1)
    if text.startswith("[", start):
        return _braced_array(text, start + 1, depth + 1)
    match = _BARE.match(text, start)
    bare = match.group().strip() if match else ""
    try:
        return loads(bare), start + len(match.group() if match else "")
    except InvalidJsonError:
        raise MalformedCallError(f"an argument {bare[:40]!r} that is neither quoted nor a number") from None


def _braced_object(text: str, at: int, depth: int) -> tuple[dict[str, Any], int]:
    value: dict[str, Any] = {}
    at = _after_blanks(text, at)
    while not text.startswith("}", at):
        key = _KEY.match(text, at)
        if key is None:
            raise MalformedCallError(f"no argument begins at {text[at : at + 40]!r}")
        name = key["quoted"] if key["quoted"] is not None else key["bare"].strip()
        if name in value:
            raise MalformedCallError(f"the argument {name!r} is given twice")
        value[name], at = _braced(text, key.end(), depth)
        at = _after_comma(text, at, "}")
    return value, at + 1


def _braced_array(text: str, at: int, depth: int) -> tuple[list[Any], int]:
    items: list[Any] = []
    at = _after_blanks(text, at)
    while not text.startswith("]", at):
        item, at = _braced(text, at, depth)
        items.append(item)
        at = _after_comma(text, at, "]")
    return items, at + 1


def _after_comma(text: str, at: int, end: str) -> int:
    at = _after_blanks(text, at)
    if text.startswith(",", at):
        return _after_blanks(text, at + 1)
    if not text.startswith(end, at):
        raise MalformedCallError("arguments that do not end")
    return at


def _after_blanks(text: str, at: int) -> int:
    while at < len(text) and text[at].isspace():
        at += 1
    return at
