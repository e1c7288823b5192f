"""JSON Schemas of parameters that several checks share."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

__all__ = ["COUNT", "FLAG", "MARKER", "NORMALIZE", "SHARE", "TAKE", "TEXT", "TEXTS"]

COUNT: Mapping[str, Any] = {"type": "integer", "minimum": 0}
FLAG: Mapping[str, Any] = {"type": "boolean"}
MARKER: Mapping[str, Any] = {"type": "string", "minLength": 1}
NORMALIZE: Mapping[str, Any] = {
    "type": "array",
    "uniqueItems": True,
    "items": {
        "type": "string",
        "enum": ["articles", "casefold", "nfkc", "punctuation", "strip", "whitespace"],
    },
}
SHARE: Mapping[str, Any] = {"type": "number", "exclusiveMinimum": 0, "maximum": 1}
TAKE: Mapping[str, Any] = {"type": "string", "enum": ["first", "last"]}
TEXT: Mapping[str, Any] = {"type": "string", "minLength": 1}
TEXTS: Mapping[str, Any] = {"type": "array", "minItems": 1, "uniqueItems": True, "items": TEXT}
