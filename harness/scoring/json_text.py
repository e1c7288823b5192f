"""Find the JSON in a model's answer, and compare JSON values."""

from __future__ import annotations

from typing import Any

from harness.json_schema import short
from harness.scoring.fences import fenced_blocks
from harness.strict_json import InvalidJsonError, loads

__all__ = ["difference", "extract_json"]


def extract_json(text: str, *, strict: bool = False) -> Any:
    """Return the JSON value that an answer consists of.

    Args:
        text: The answer: JSON alone or, unless `strict`, prose around exactly one fenced code block.
        strict: Whether the whole answer must be JSON.

    Raises:
        InvalidJsonError: There is none, or several blocks that could be meant.
    """
    text = text.strip()
    try:
        return loads(text)
    except InvalidJsonError:
        if strict or "```" not in text:
            raise
    blocks = [block.content for block in fenced_blocks(text) if block.closed]
    if len(blocks) != 1:
        raise InvalidJsonError(
            f"expected JSON or one fenced block of it, found {len(blocks)} finished blocks"
        )
    return loads(blocks[0].strip())


def difference(
    expected: Any, found: Any, *, ignore_order: bool = False, extra_keys: bool = False, place: str = ""
) -> str | None:
    """Return the first difference between two JSON values as a phrase, or None if they are equal.

    Numbers are equal by value (1 equals 1.0); a boolean never equals a number.

    Args:
        expected: The reference.
        found: What is compared with it.
        ignore_order: Compare arrays as multisets.
        extra_keys: Let objects hold keys that the reference does not name.
        place: Where the two values lie, such as `items[2].sku`.
    """
    options = {"ignore_order": ignore_order, "extra_keys": extra_keys}
    at = place or "the value"
    if isinstance(expected, dict) and isinstance(found, dict):
        for key, item in expected.items():
            inside = f"{place}.{key}" if place else key
            if key not in found:
                return f"{inside} is missing"
            if (phrase := difference(item, found[key], place=inside, **options)) is not None:
                return phrase
        unknown = [key for key in found if key not in expected]
        return f"{at} has the unexpected key {short(unknown[0])}" if unknown and not extra_keys else None
    if isinstance(expected, list) and isinstance(found, list):
        if len(expected) != len(found):
            return f"{at} has {len(found)} items, expected {len(expected)}"
        if ignore_order:
            unmatched = _unmatched(expected, found, extra_keys)
            return None if unmatched is None else f"{at} lacks {short(expected[unmatched])}"
        for index, (item, other) in enumerate(zip(expected, found, strict=True)):
            if (phrase := difference(item, other, place=f"{place}[{index}]", **options)) is not None:
                return phrase
        return None
    if isinstance(expected, bool) is isinstance(found, bool) and expected == found:
        return None
    return f"{at} is {short(found)}, expected {short(expected)}"


def _unmatched(expected: list[Any], found: list[Any], extra_keys: bool) -> int | None:
    """Return the index of an expected item that no perfect matching can serve, or None.

    Augmenting paths (Kuhn 1955), because an item with fewer keys may fit several partners.
    """
    owner: dict[int, int] = {}

    def place(item: int, tried: set[int]) -> bool:
        for other in range(len(found)):
            if other in tried:
                continue
            if difference(expected[item], found[other], ignore_order=True, extra_keys=extra_keys) is None:
                tried.add(other)
                if other not in owner or place(owner[other], tried):
                    owner[other] = item
                    return True
        return False

    return next((item for item in range(len(expected)) if not place(item, set())), None)
