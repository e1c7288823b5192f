"""Single fields of a JSON value, named by path."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from harness.files.json_schema import short
from harness.scoring.text.json_text import difference
from harness.scoring.text.normal_text import normalise

__all__ = ["Path", "compare_fields", "parse_path"]

Path = tuple["str | int", ...]
_STEP = re.compile(r'\[(?P<index>[0-9]{1,6})\]|\["(?P<quoted>[^"]*)"\]|\.?(?P<key>[^.\[\]]+)')
_MISSING = object()


def parse_path(path: str) -> Path:
    """Return the steps of a path such as `items[0].sku` or `["a.b"].c`.

    Raises:
        ValueError: It is none.
    """
    steps: list[str | int] = []
    place = 0
    while place < len(path):
        step = _STEP.match(path, place)
        if step is None or (place == 0 and path.startswith(".")):
            raise ValueError(f"{path!r} is no path: expected one such as  items[0].sku")
        if step["index"] is not None:
            steps.append(int(step["index"]))
        else:
            steps.append(step["key"] if step["quoted"] is None else step["quoted"])
        place = step.end()
    return tuple(steps)


def compare_fields(
    value: Any,
    expected: Mapping[str, tuple[Path, Any]],
    present: Mapping[str, Path],
    *,
    tolerance: float = 0.0,
    normalize: Sequence[str] = (),
) -> list[str]:
    """Return what is wrong with the named fields of a value, one phrase for each field that is.

    Args:
        value: The JSON value.
        expected: Name → path and value of the fields that must have a value.
        present: Name → path of those that must be there.
        tolerance: How far numbers may differ.
        normalize: How texts are spelled before they are compared, see `normalise`.
    """
    wrong = []
    for name, (path, wanted) in expected.items():
        found = _at(value, path)
        if found is _MISSING:
            wrong.append(f"{name} is missing")
        elif not _equal(wanted, found, tolerance, normalize):
            wrong.append(f"{name} is {short(found)}, expected {short(wanted)}")
    wrong += [f"{name} is missing" for name, path in present.items() if _at(value, path) is _MISSING]
    return wrong


def _at(value: Any, path: Path) -> Any:
    for step in path:
        if isinstance(value, list) and isinstance(step, int):
            value = value[step] if step < len(value) else _MISSING
        elif isinstance(value, dict) and isinstance(step, str):
            value = value.get(step, _MISSING)
        else:
            return _MISSING
    return value


def _equal(wanted: Any, found: Any, tolerance: float, normalize: Sequence[str]) -> bool:
    if isinstance(wanted, str) and isinstance(found, str):
        plain = normalise(wanted, normalize)
        return plain == normalise(found, normalize) and (bool(plain) or wanted.strip() == found.strip())
    if _is_number(wanted) and _is_number(found):
        return bool(abs(wanted - found) <= tolerance)
    return difference(wanted, found) is None


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)
