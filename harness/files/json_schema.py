"""Check values against JSON Schema: quickly when they are right, in plain words when they are not.

`jsonschema` takes 100 ms to import and about 200 µs for a golden case. Nearly every value is right, so a
schema is first compiled to a chain of plain predicates that say *yes* or *not sure*; only what is not sure
reaches `jsonschema`, which alone decides that something is wrong and what.
"""

from __future__ import annotations

import difflib
import functools
import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from importlib.resources import files
from typing import Any

__all__ = ["compile_predicate", "describe_violation", "packaged_schema", "short", "violations"]

Predicate = Callable[[Any], bool]

_OF_AN_OBJECT = {"type", "properties", "required", "additionalProperties"}
_ANNOTATIONS = {"$schema", "$id", "$defs", "$comment", "title", "description", "default", "examples"}
_TYPES: dict[str, Predicate] = {
    "string": lambda value: isinstance(value, str),
    "object": lambda value: isinstance(value, dict),
    "array": lambda value: isinstance(value, list),
    "boolean": lambda value: isinstance(value, bool),
    "null": lambda value: value is None,
    "integer": lambda value: isinstance(value, int) and not isinstance(value, bool),
    "number": lambda value: isinstance(value, (int, float)) and not isinstance(value, bool),
}


@functools.cache
def packaged_schema(name: str) -> Mapping[str, Any]:
    """Return `harness/schemas/<name>.json`."""
    schema: Mapping[str, Any] = json.loads(
        files("harness").joinpath(f"schemas/{name}.json").read_text("utf-8")
    )
    return schema


def compile_predicate(schema: Mapping[str, Any]) -> Predicate:
    """Return a function that is true only for values that the schema accepts.

    False means *not sure*: ask `violations`. A schema with a keyword that is not known here compiles to a
    function that is never sure.
    """
    try:
        return _compile(schema, schema)
    except _Unknown:
        return lambda value: False


def violations(schema: Mapping[str, Any], value: Any) -> list[str]:
    """Return what is wrong with a value, one phrase a violation, in the order of the places; [] if nothing.

    The value must come from JSON; the schema is one of ours (trusted).
    """
    from jsonschema import Draft202012Validator

    errors = list(Draft202012Validator(schema).iter_errors(value))
    errors.sort(key=lambda error: [str(step) for step in error.absolute_path])
    return [phrase for error in errors for phrase in describe_violation(error)]


def describe_violation(error: Any) -> Iterator[str]:
    """Yield one phrase for each thing that a `jsonschema.ValidationError` complains of, place first."""
    place = ""
    for step in error.absolute_path:
        place += f"[{step}]" if isinstance(step, int) else f".{step}" if place else str(step)
    prefix = f"{place}: " if place else ""
    keyword, found, expected = error.validator, error.instance, error.validator_value
    if keyword == "additionalProperties" and expected is False:
        known = list(error.schema.get("properties", {}))
        for name in [name for name in found if name not in known]:
            yield f"{prefix}unknown field {short(name)}{_instead(name, known)}"
    elif keyword == "required":
        for name in [name for name in expected if name not in found]:
            # `jsonschema` reports each missing name as an error of its own
            if error.message.startswith(repr(name)):
                yield f"{prefix}{name!r} is missing"
    elif keyword == "type":
        wanted = " or ".join([expected] if isinstance(expected, str) else expected)
        yield f"{prefix}expected {wanted}, found {short(found)}"
    elif keyword in ("enum", "const"):
        allowed = expected if keyword == "enum" else [expected]
        near = _instead(found, [word for word in allowed if isinstance(word, str)])
        yield f"{prefix}expected {' or '.join(map(short, allowed))}, found {short(found)}{near}"
    elif keyword == "pattern":
        wanted = error.schema.get("description", f"text that matches {expected}")
        yield f"{prefix}expected {wanted}, found {short(found)}"
    elif keyword in ("minItems", "minLength", "minProperties") and expected == 1:
        yield f"{prefix}is empty"
    elif keyword in ("minItems", "maxItems", "minLength", "maxLength"):
        sign = "at least" if keyword.startswith("min") else "at most"
        unit = "items" if keyword.endswith("Items") else "characters"
        yield f"{prefix}expected {sign} {expected} {unit}, found {len(found)}"
    elif keyword == "uniqueItems":
        yield f"{prefix}holds the same item twice"
    else:
        yield f"{prefix}{error.message if len(error.message) <= 160 else error.message[:159] + '…'}"


def short(value: object, limit: int = 60) -> str:
    """Return a value as JSON on one line, cut to `limit` characters."""
    text = json.dumps(value, ensure_ascii=False, default=repr)
    return text if len(text) <= limit else text[: limit - 1] + "…"


_ALIASES = {
    "prompt": "input",
    "question": "input",
    "instruction": "input",
    "expected": "target",
    "answer": "target",
    "ideal": "target",
    "reference": "target",
    "license": "licence",
    "group": "cluster",
    "critical": "must_pass",
}


def _instead(word: object, known: Sequence[str]) -> str:
    """Return ` (did you mean "x"?)` for the nearest known word or its usual other name."""
    if not isinstance(word, str):
        return ""
    near = difflib.get_close_matches(word, known, n=1) or [
        alias for name, alias in _ALIASES.items() if name == word.lower() and alias in known
    ]
    return f" (did you mean {short(near[0])}?)" if near else ""


class _Unknown(Exception):  # noqa: N818  (a signal between two functions, not an error)
    """A keyword that the quick path does not know."""


def _compile(schema: Mapping[str, Any] | bool, root: Mapping[str, Any]) -> Predicate:
    if isinstance(schema, bool):
        return lambda value: schema
    keywords = schema.keys() - _ANNOTATIONS
    if not schema.get("minProperties"):
        keywords -= {"minProperties"}
    if schema.get("type") == "object" and "properties" in keywords and keywords <= _OF_AN_OBJECT:
        return _object(schema, root)
    parts = [
        _KEYWORDS[keyword](schema, root) if keyword in _KEYWORDS else _raise(keyword)
        for keyword in schema
        if keyword in keywords
    ]
    if not parts:
        return lambda value: True
    if len(parts) == 1:
        return parts[0]
    if len(parts) == 2:
        first, second = parts
        return lambda value: first(value) and second(value)

    def accepts(value: Any) -> bool:
        for part in parts:  # noqa: SIM110 - `all` takes twice as long, and a set has thousands of cases
            if not part(value):
                return False
        return True

    return accepts


def _object(schema: Mapping[str, Any], root: Mapping[str, Any]) -> Predicate:
    """Compile what nearly every object's schema consists of to one function, not one for each keyword."""
    parts = {name: _compile(part, root) for name, part in schema["properties"].items()}
    others = schema.get("additionalProperties", True)
    if not isinstance(others, bool):
        raise _Unknown("additionalProperties")
    required = tuple(schema.get("required", ()))

    def accepts(value: Any) -> bool:
        if not isinstance(value, dict):
            return False
        for name in required:
            if name not in value:
                return False
        for name, item in value.items():
            if name not in parts:
                if not others:
                    return False
            elif not parts[name](item):
                return False
        return True

    return accepts


def _raise(keyword: str) -> Predicate:
    raise _Unknown(keyword)


def _type(schema: Mapping[str, Any], root: Mapping[str, Any]) -> Predicate:
    wanted = schema["type"]
    if isinstance(wanted, str):
        return _TYPES[wanted]
    kinds = [_TYPES[name] for name in wanted]
    return lambda value: any(kind(value) for kind in kinds)


def _ref(schema: Mapping[str, Any], root: Mapping[str, Any]) -> Predicate:
    where = schema["$ref"]
    prefix = "#/$defs/"
    if not where.startswith(prefix) or where[len(prefix) :] not in root["$defs"]:
        raise _Unknown("$ref")
    return _compile(root["$defs"][where[len(prefix) :]], root)


def _properties(schema: Mapping[str, Any], root: Mapping[str, Any]) -> Predicate:
    parts = {name: _compile(part, root) for name, part in schema["properties"].items()}

    def accepts(value: Any) -> bool:
        if not isinstance(value, dict):
            return True
        for name, item in value.items():  # noqa: SIM110 - as above
            if name in parts and not parts[name](item):
                return False
        return True

    return accepts


def _additional(schema: Mapping[str, Any], root: Mapping[str, Any]) -> Predicate:
    if schema["additionalProperties"] is not False or "patternProperties" in schema:
        raise _Unknown("additionalProperties")
    known = frozenset(schema.get("properties", ()))
    return lambda value: not isinstance(value, dict) or known.issuperset(value)


def _items(schema: Mapping[str, Any], root: Mapping[str, Any]) -> Predicate:
    part = _compile(schema["items"], root)

    def accepts(value: Any) -> bool:
        if isinstance(value, list):
            for item in value:
                if not part(item):
                    return False
        return True

    return accepts


def _pattern(schema: Mapping[str, Any], root: Mapping[str, Any]) -> Predicate:
    search = re.compile(schema["pattern"]).search
    return lambda value: not isinstance(value, str) or search(value) is not None


def _unique(schema: Mapping[str, Any], root: Mapping[str, Any]) -> Predicate:
    def accepts(value: Any) -> bool:
        if not isinstance(value, list) or len(value) < 2:
            return True
        return all(isinstance(item, str) for item in value) and len(set(value)) == len(value)

    return accepts


def _enum(schema: Mapping[str, Any], root: Mapping[str, Any]) -> Predicate:
    allowed = schema["enum"]
    if not all(isinstance(item, str) for item in allowed):
        raise _Unknown("enum")
    return lambda value: isinstance(value, str) and value in allowed


def _bound(keyword: str, kind: str, holds: Callable[[Any, Any], bool]) -> Callable[..., Predicate]:
    """Return the compiler of a keyword that compares a number, a length or a count with a bound."""
    applies = _TYPES[kind]

    def compile_bound(schema: Mapping[str, Any], root: Mapping[str, Any]) -> Predicate:
        bound = schema[keyword]
        return lambda value: not applies(value) or holds(value, bound)

    return compile_bound


_KEYWORDS: dict[str, Callable[..., Predicate]] = {
    "$ref": _ref,
    "additionalProperties": _additional,
    "enum": _enum,
    "exclusiveMinimum": _bound("exclusiveMinimum", "number", lambda value, bound: value > bound),
    "items": _items,
    "maxItems": _bound("maxItems", "array", lambda value, bound: len(value) <= bound),
    "maxLength": _bound("maxLength", "string", lambda value, bound: len(value) <= bound),
    "maximum": _bound("maximum", "number", lambda value, bound: value <= bound),
    "minItems": _bound("minItems", "array", lambda value, bound: len(value) >= bound),
    "minLength": _bound("minLength", "string", lambda value, bound: len(value) >= bound),
    "minProperties": _bound("minProperties", "object", lambda value, bound: len(value) >= bound),
    "minimum": _bound("minimum", "number", lambda value, bound: value >= bound),
    "pattern": _pattern,
    "properties": _properties,
    "required": _bound("required", "object", lambda value, names: all(name in value for name in names)),
    "type": _type,
    "uniqueItems": _unique,
}
