"""Plain values as JSON, from a process that is not trusted to one that is.

What arrives is made of the receiver's own types only: an object of the sender whose `__eq__` always says yes
does not survive the journey, which is the point. Subclasses arrive as their plain base (a `Counter` as a
dict); iterators as iterators over their first items.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterable, Iterator
from typing import Any

__all__ = ["MAX_ITEMS", "ValueProblem", "decode_value", "encode_value"]

MAX_ITEMS = 10_000
"""How many items of an iterator are taken."""
_EMPTY: dict[Any, Any] = {}
_SETS = (type(_EMPTY.keys()), type(_EMPTY.items()))
_ITERATORS = (Iterator, type(_EMPTY.values()))
_SEQUENCES: dict[Any, str] = {list: "l", tuple: "t", set: "s", frozenset: "z"}
_EXTRA: dict[
    tuple[str, str], Any
] = {  # how values of further types are written: any text that their type's constructor or parser reads
    ("decimal", "Decimal"): str,
    ("fractions", "Fraction"): str,
    ("datetime", "date"): lambda value: value.isoformat(),
    ("datetime", "datetime"): lambda value: value.isoformat(),
    ("datetime", "time"): lambda value: value.isoformat(),
}


class ValueProblem(Exception):  # noqa: N818  (a problem of a value, which the caller words)
    """A value is not plain."""


def encode_value(value: Any) -> str:
    """Return a plain value as JSON text.

    Raises:
        ValueProblem: It is not plain, or nested too deeply.
    """
    try:
        return json.dumps(_encode(value), separators=(",", ":"))
    except RecursionError:
        raise ValueProblem("a value that is nested too deeply") from None


def decode_value(text: str) -> Any:
    """Return the value that `encode` wrote.

    Raises:
        ValueProblem: It was not written by `encode`.
    """
    try:
        return _decode(json.loads(text))
    except (ValueError, TypeError, LookupError, AttributeError, RecursionError, StopIteration) as problem:
        raise ValueProblem(f"what came back is no value: {type(problem).__name__}") from None


def _encode(value: Any) -> Any:
    if value is None or value is True or value is False:
        return value
    kind = type(value)
    if isinstance(value, str):
        return str.__str__(value) if kind is str else "".join(map(str, str.__iter__(value)))
    if isinstance(value, int):
        return {"i": hex(int.__index__(value))}
    if isinstance(value, float):
        return {"f": float.hex(value)}
    if isinstance(value, complex):
        return {"c": [value.real.hex(), value.imag.hex()]}
    if isinstance(value, (bytes, bytearray)):
        return {"b" if isinstance(value, bytes) else "y": bytes(value).hex()}
    if isinstance(value, dict):
        return {"d": [[_encode(key), _encode(item)] for key, item in dict.items(value)]}
    for base, tag in _SEQUENCES.items():
        if isinstance(value, base):
            return {tag: [_encode(item) for item in base.__iter__(value)]}
    if kind is range:
        return {"r": [value.start, value.stop, value.step]}
    if (kind.__module__, kind.__name__) in _EXTRA:
        written = _EXTRA[kind.__module__, kind.__name__](value)
        return {"x": [kind.__module__, kind.__name__, written]}
    if isinstance(value, _SETS):
        return {"s": [_encode(item) for item in value]}
    if isinstance(value, _ITERATORS):
        taken = list(itertools.islice(value, MAX_ITEMS))
        return {"e": [_encode(item) for item in taken]}
    raise ValueProblem(f"a {kind.__name__}, which is no plain value")


def _decode(data: Any) -> Any:
    if data is None or isinstance(data, (bool, str)):
        return data
    ((tag, content),) = data.items()
    if tag in _DECODERS:
        return _DECODERS[tag](content)
    items = [_decode(item) for item in content]
    if tag == "e":
        return iter(items)
    return next(base for base, own in _SEQUENCES.items() if own == tag)(items)


def _pairs(content: Iterable[Any]) -> dict[Any, Any]:
    return {_decode(key): _decode(item) for key, item in content}


def _extra(content: list[str]) -> Any:
    module, name, written = content
    if (module, name) not in _EXTRA:
        raise ValueError(name)
    kind = getattr(__import__(module), name)
    return kind.fromisoformat(written) if module == "datetime" else kind(written)


_DECODERS: dict[str, Any] = {
    "i": lambda content: int(content, 16),
    "f": float.fromhex,
    "c": lambda content: complex(*map(float.fromhex, content)),
    "b": bytes.fromhex,
    "y": bytearray.fromhex,
    "d": _pairs,
    "r": lambda content: range(*content),
    "x": _extra,
}
