"""Plain values as JSON text that any file and terminal can hold; `strict_json` reads what others wrote."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from harness.errors import HarnessError

__all__ = ["dump", "encodable", "json_line"]

_SPELL = json.JSONEncoder(allow_nan=False).encode
_SURROGATE = re.compile(r"\\ud[89a-f]")


def encodable(value: Any) -> Any:
    r"""Return plain JSON values with every unpaired surrogate spelled out, as in `\udcff`.

    A model can emit half of a UTF-16 pair, and no file or terminal can hold it.
    """
    if isinstance(value, str):
        try:
            value.encode("utf-8")
        except UnicodeEncodeError:
            return value.encode("utf-8", "backslashreplace").decode("utf-8")
        return value
    if isinstance(value, Mapping):
        return {encodable(str(key)): encodable(inner) for key, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return [encodable(inner) for inner in value]
    return value


def json_line(value: Any) -> str:
    """Return JSON values on one line, in ASCII, their text made encodable.

    Raises:
        HarnessError: A number is not finite, or a value is none of JSON's.
    """
    try:
        text = _SPELL(value)
        if _SURROGATE.search(text):  # rare, and looking at every string first would take longer than the rest
            text = _SPELL(encodable(value))
    except (TypeError, ValueError) as problem:
        raise HarnessError(f"the run record cannot be written as JSON: {problem}") from None
    return text


def dump(data: Mapping[str, Any]) -> str:
    """Serialise plain JSON values over several lines, for files that people open.

    Raises:
        HarnessError: A number is not finite, or a value is none of JSON's.
    """
    try:
        return json.dumps(data, allow_nan=False, indent=1)
    except (TypeError, ValueError) as problem:
        raise HarnessError(f"the run record cannot be written as JSON: {problem}") from None
