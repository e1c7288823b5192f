"""Is a function call the expected one? The rules of the Berkeley Function-Calling Leaderboard.

A reference lists the acceptable values of each parameter. Names must be equal, parameters that the reference
does not list are wrong, and those it does not call optional must be there. Strings are compared without case,
with one kind of quote, and without blanks and the marks `,.-_` where these only separate or end words; an
integer is accepted for a float and not the reverse; arrays are compared in order. The types are those of the
offered function's schema, if there is one.
Source: Patil et al., ICML 2025 (AST evaluation), and the description of its data. The leaderboard drops these
marks, and `/*^`, everywhere, and so takes 15 for 1.5, 5 for -5 and ab for a/b; here they are kept where they
mean something.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from harness.cases import ToolCall
from harness.files.json_schema import short
from harness.scoring.text.normal_text import normalise

__all__ = ["ExpectedCall", "call_difference", "match_calls"]

_BETWEEN_DIGITS = re.compile(r"(?<=\d)[ ,.\-_]+(?=\d)")
_THOUSANDS = re.compile(r"(?<![\d.,])\d{1,3}(?:,\d{3})+(?![\d,])")
_SEPARATORS = re.compile(
    r"(?<![^\W_])[.\-_](?=\w)"  # begins a word: -5, .5, -rf, .net
    r"|(?<=\de)-(?=\d)"  # 1e-5
    r"|(?<=\w)-(?!\w)"  # ends one: the blood group A-
    r"|(?<=[^\W\d_]{2})\.(?=[^\W\d_]{2})"  # example.com, but not U.S.A.
    r"|(?P<dropped>[ ,.\-_])"
)
_WORD = re.compile(r"\S+")
_OF_ADDRESSES = ("@", "://", "\\")


@dataclass(frozen=True)
class ExpectedCall:
    """A call that an answer should make.

    Attributes:
        name: Name of the function.
        arguments: Parameter → its acceptable values. In an acceptable object, each key holds a list of its
            own acceptable values where the value is a list, and may be left out where that list holds "".
        optional: Parameters that may be left out.
        exact: Compare strings as they are.
    """

    name: str
    arguments: Mapping[str, Sequence[Any]] = field(default_factory=dict)
    optional: frozenset[str] = frozenset()
    exact: bool = False


def call_difference(
    expected: ExpectedCall, call: ToolCall, schema: Mapping[str, Any] | None = None
) -> str | None:
    """Return what is wrong with a call as a phrase, or None.

    Args:
        expected: The reference.
        call: What the model called.
        schema: JSON Schema of the function's parameters, for the types.
    """
    if call.name != expected.name:
        return f"calls {call.name!r}, expected {expected.name!r}"
    declared = (schema or {}).get("properties", {})
    required = set((schema or {}).get("required", ()))
    for name in call.arguments:
        if name not in expected.arguments:
            return f"{expected.name}: unexpected argument {name!r}"
    for name, values in expected.arguments.items():
        if name not in call.arguments:
            if name in expected.optional and name not in required:
                continue
            return f"{expected.name}: the argument {name!r} is missing"
        value, part = call.arguments[name], declared.get(name, {})
        if (phrase := _type_problem(part, value)) is not None:
            return f"{expected.name}: {name} {phrase}"
        if not any(_equal(wanted, value, part, expected.exact) for wanted in values):
            allowed = " or ".join(short(wanted) for wanted in list(values)[:3])
            return f"{expected.name}: {name} is {short(value)}, expected {allowed}"
    return None


def match_calls(
    expected: Sequence[ExpectedCall],
    calls: Sequence[ToolCall],
    schemas: Mapping[str, Mapping[str, Any]],
    *,
    ordered: bool = False,
) -> str | None:
    """Return the first difference between the calls made and those expected, or None if they fit.

    Args:
        expected: The references.
        calls: What the model called, in order.
        schemas: Name → JSON Schema of the parameters, of each offered function.
        ordered: Whether the order of the calls matters.
    """
    if len(calls) != len(expected):
        made = ", ".join(repr(call.name) for call in calls[:5]) or "none"
        return f"{len(calls)} calls ({made}), expected {len(expected)}"
    for call in calls:
        if schemas and call.name not in schemas:
            return f"calls {call.name!r}, which was not offered"
    differences = [
        [call_difference(wanted, call, schemas.get(call.name)) for call in calls] for wanted in expected
    ]
    if ordered:
        return next((row[index] for index, row in enumerate(differences) if row[index] is not None), None)
    owner: dict[int, int] = {}
    for index in range(len(expected)):
        if not _place(index, differences, owner, set()):
            wanted = expected[index]
            near = [
                row for call, row in zip(calls, differences[index], strict=True) if call.name == wanted.name
            ]
            return next((phrase for phrase in near if phrase), f"no call fits {wanted.name!r}")
    return None


def _place(
    index: int, differences: Sequence[Sequence[str | None]], owner: dict[int, int], tried: set[int]
) -> bool:
    """Give a reference a call of its own, moving others aside (Kuhn 1955)."""
    for other, phrase in enumerate(differences[index]):
        if phrase is None and other not in tried:
            tried.add(other)
            if other not in owner or _place(owner[other], differences, owner, tried):
                owner[other] = index
                return True
    return False


def _type_problem(schema: Any, value: Any) -> str | None:
    """Return how a value's type differs from the declared one; nothing is converted.

    Stricter than JSON Schema in one point: 4.0 is no integer.
    """
    if not isinstance(schema, Mapping):
        return None
    declared = schema.get("type")
    kinds = [declared] if isinstance(declared, str) else list(declared or ())
    if kinds and not any(_is(kind, value) for kind in kinds):
        return f"is {short(value)}, expected {' or '.join(kinds)}"
    if isinstance(value, list) and isinstance(schema.get("items"), Mapping):
        for index, item in enumerate(value):
            if (phrase := _type_problem(schema["items"], item)) is not None:
                return f"[{index}] {phrase}"
    if isinstance(value, dict) and isinstance(schema.get("properties"), Mapping):
        for name, item in value.items():
            if (phrase := _type_problem(schema["properties"].get(name), item)) is not None:
                return f".{name} {phrase}"
    return None


def _is(kind: str, value: Any) -> bool:
    if kind in ("integer", "number") and isinstance(value, bool):
        return False
    types = {
        "integer": (int,),
        "number": (int, float),
        "string": (str,),
        "boolean": (bool,),
        "array": (list, tuple),
        "object": (dict,),
        "null": (type(None),),
    }
    return isinstance(value, types.get(kind, (object,)))


def _equal(wanted: Any, value: Any, schema: Any, exact: bool) -> bool:
    """Whether a value is the wanted one, up to how strings are spelled."""
    if isinstance(wanted, str) or isinstance(value, str):
        if not (isinstance(wanted, str) and isinstance(value, str)):
            return False
        return normalise(wanted) == normalise(value) if exact else _spelled(wanted) == _spelled(value)
    if isinstance(wanted, bool) or isinstance(value, bool):
        return wanted is value
    if isinstance(wanted, (int, float)) and isinstance(value, (int, float)):
        if isinstance(wanted, int) and isinstance(value, float) and not _allows_float(schema):
            return False
        return math.isclose(wanted, value, rel_tol=1e-12, abs_tol=0.0)
    items = schema.get("items") if isinstance(schema, Mapping) else None
    if isinstance(wanted, (list, tuple)) and isinstance(value, (list, tuple)):
        return len(wanted) == len(value) and all(
            _equal(one, other, items, exact) for one, other in zip(wanted, value, strict=True)
        )
    if isinstance(wanted, Mapping) and isinstance(value, Mapping):
        return _equal_objects(wanted, value, schema, exact)
    return wanted is None and value is None


def _equal_objects(wanted: Mapping[str, Any], value: Mapping[str, Any], schema: Any, exact: bool) -> bool:
    parts = schema.get("properties", {}) if isinstance(schema, Mapping) else {}
    if not value.keys() <= wanted.keys():
        return False
    for name, allowed in wanted.items():
        choices = allowed if isinstance(allowed, list) else [allowed]
        if name not in value:
            if isinstance(allowed, list) and "" in allowed:
                continue
            return False
        part = parts.get(name) if isinstance(parts, Mapping) else None
        if not any(_equal(choice, value[name], part, exact) for choice in choices):
            return False
    return True


def _allows_float(schema: Any) -> bool:
    return isinstance(schema, Mapping) and "number" in (schema.get("type") or ())


def _spelled(text: str) -> str:
    """Return a text without case, and without the blanks and marks that only separate its words.

    Marks between digits, at the beginning of a word and within an address mean something and stay; commas
    between thousands do not. A text of nothing else stays as it is.
    """
    text = normalise(text, ("casefold", "whitespace")).replace("'", '"')
    text = _THOUSANDS.sub(lambda match: match.group().replace(",", ""), text)
    kept: list[str] = []
    at = 0
    for word in _WORD.finditer(text):
        if not any(mark in word.group() for mark in _OF_ADDRESSES):
            continue
        kept += (_unseparated(text[at : word.start()]), word.group())
        at = word.end()
    kept.append(_unseparated(text[at:]))
    return "".join(kept) or text


def _unseparated(text: str) -> str:
    parts: list[str] = []
    at = 0
    for run in _BETWEEN_DIGITS.finditer(text):
        parts += (_without_separators(text, at, run.start()), run.group().replace(" ", "") or " ")
        at = run.end()
    parts.append(_without_separators(text, at, len(text)))
    return "".join(parts)


def _without_separators(text: str, start: int, end: int) -> str:
    return "".join(
        piece
        for index, piece in enumerate(text[start:end], start)
        if (mark := _SEPARATORS.match(text, index)) is None or mark["dropped"] is None
    )
