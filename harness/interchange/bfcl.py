"""The Berkeley Function-Calling Leaderboard: questions with functions, and the calls that answer them.

Source: Patil et al., https://github.com/ShishirPatil/gorilla (`bfcl_eval/data`). The acceptable calls stand
in each row (`possible_answer`), or where they are published: in a file of the same name in
`possible_answer/` beside it. Read are the single-turn Python categories, parallel calls and irrelevance
among them.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from harness.errors import GoldenSetError
from harness.interchange.format import Format, Row, as_id, input_of, jsonl_rows
from harness.scoring.checks.tool_calls_check import expected_from_bfcl

__all__ = ["BFCL"]

_ANSWERS = "possible_answer"
_TYPES = {
    "dict": "object", "object": "object", "float": "number", "number": "number", "tuple": "array",
    "array": "array", "list": "array", "integer": "integer", "string": "string", "boolean": "boolean",
    "null": "null",
}  # fmt: skip
_ANYTHING = "any"
_NO_CALL = "None of the functions can do that."


def _read(path: Path, plain_names: bool = False) -> Iterator[Row]:
    """Yield a case for each question.

    Args:
        path: The file.
        plain_names: Whether to write `math_hypot` for `math.hypot`, which the APIs of OpenAI and Anthropic
            refuse.
    """
    beside = _published_answers(path)
    for line, item in jsonl_rows(path):
        identity = as_id(item.get("id"), f"bfcl-{line:04d}")
        category = str(item.get("category") or identity.rpartition("_")[0])
        row: Row = {"id": identity, **_asked(item.get("question"), path, line)}
        functions = item.get("function")
        if not isinstance(functions, list) or not all(isinstance(one, Mapping) for one in functions):
            raise GoldenSetError("function must be a list of functions", path=path, line=line)
        row["tools"] = [_tool(one, plain_names, path, line) for one in functions]
        answer = item.get(_ANSWERS, beside.get(str(item.get("id"))))
        if answer is None and "irrelevance" in category:
            answer = []
        calls = _calls(answer, plain_names, path, line)
        row["checks"] = [{"type": "tool_calls", "calls": calls}]
        row["tags"] = [f"category:{category}"] if category else []
        accepted = json.dumps([_first_call(call) for call in calls], ensure_ascii=False)
        wrong = json.dumps([{"name": f"{_some_name(row)}_x", "arguments": {}}])
        row["accepts"] = [accepted if calls else _NO_CALL]
        row["rejects"] = [_NO_CALL, wrong] if calls else [wrong]
        yield row


def _published_answers(path: Path) -> dict[str, Any]:
    """Return id → acceptable calls from the file of answers; empty where there is none."""
    file = path.parent / _ANSWERS / path.name
    if not file.is_file():
        return {}
    return {str(item.get("id")): item.get("ground_truth") for _, item in jsonl_rows(file)}


def _asked(question: Any, path: Path, line: int) -> Row:
    turns = question if isinstance(question, list) else None
    if not turns or not isinstance(turns[0], list):
        raise GoldenSetError(
            "question must be a list of turns, each a list of messages", path=path, line=line
        )
    if len(turns) > 1:
        raise GoldenSetError(
            f"has {len(turns)} turns; read are the categories of one turn", path=path, line=line
        )
    row = input_of(turns[0], path, line)
    messages = row["messages"]
    plain = len(messages) == 1 and messages[0]["role"] == "user"
    return {"input": messages[0]["content"]} if plain else row


def _tool(function: Mapping[str, Any], plain_names: bool, path: Path, line: int) -> Row:
    name, parameters = function.get("name"), function.get("json_schema", function.get("parameters"))
    if not isinstance(name, str) or not name or not isinstance(parameters, Mapping):
        raise GoldenSetError("a function needs a name and parameters", path=path, line=line)
    about: Row = {"name": _name(name, plain_names)}
    if isinstance(function.get("description"), str):
        about["description"] = function["description"]
    about["parameters"] = _schema(parameters, f"{name}: parameters", path, line)
    return {"type": "function", "function": about}


def _schema(published: Mapping[str, Any], where: str, path: Path, line: int) -> Row:
    """Return JSON Schema for BFCL's own notation, which names Python's types; JSON Schema stays as it is."""
    schema = {key: value for key, value in published.items() if key not in ("$schema", "optional")}
    kind = schema.get("type")
    if kind == _ANYTHING:
        del schema["type"]
    elif kind is not None:
        if kind not in _TYPES:
            known = ", ".join([*_TYPES, _ANYTHING])
            raise GoldenSetError(f"{where}: type {kind!r} is not read; known: {known}", path=path, line=line)
        schema["type"] = _TYPES[kind]
    properties = schema.get("properties")
    if isinstance(properties, Mapping):
        schema["properties"] = {
            name: _schema(inner, f"{where}.{name}", path, line) if isinstance(inner, Mapping) else inner
            for name, inner in properties.items()
        }
    for key in ("items", "additionalProperties"):
        if isinstance(schema.get(key), Mapping):
            schema[key] = _schema(schema[key], f"{where}.{key}", path, line)
    return schema


def _calls(answer: Any, plain_names: bool, path: Path, line: int) -> list[Row]:
    if answer is None:
        raise GoldenSetError(
            f"has no {_ANSWERS}: put the published {_ANSWERS}/{path.name} beside the file",
            path=path,
            line=line,
        )
    try:
        calls = expected_from_bfcl(answer)
    except (AttributeError, TypeError):
        shape = "[{function: {parameter: [acceptable values]}}]"
        raise GoldenSetError(f"{_ANSWERS} must be {shape}", path=path, line=line) from None
    return [call | {"name": _name(call["name"], plain_names)} for call in calls]


def _first_call(call: Mapping[str, Any]) -> Row:
    """Return the call with the first acceptable value of each parameter; "" stands for leaving it out."""
    given = {name: [v for v in values if v != ""] for name, values in call["arguments"].items()}
    arguments = {name: _first(values[0]) for name, values in given.items() if values}
    return {"name": call["name"], "arguments": arguments}


def _first(value: Any) -> Any:
    """Within an object each key has a list of acceptable values, too."""
    if isinstance(value, Mapping):
        kept = {
            key: [v for v in values if v != ""] if isinstance(values, list) else [values]
            for key, values in value.items()
        }
        return {key: _first(values[0]) for key, values in kept.items() if values}
    if isinstance(value, list):
        return [_first(inner) for inner in value]
    return value


def _some_name(row: Row) -> str:
    return str(row["tools"][0]["function"]["name"]) if row["tools"] else "function"


def _name(name: str, plain: bool) -> str:
    return name.replace(".", "_") if plain else name


BFCL = Format(
    "bfcl",
    "Berkeley Function-Calling Leaderboard, JSON Lines",
    (".json", ".jsonl"),
    _read,
    options=("plain_names",),
    licence="Apache-2.0",
    sampling={"max_tokens": 512},
)
