"""Find the JSON in a model's answer, and compare JSON values."""

from __future__ import annotations

import re
from typing import Any

from harness.files.json_schema import short
from harness.files.read_json import InvalidJsonError, loads
from harness.scoring.text.fences import fenced_blocks
from harness.scoring.text.normal_text import normalise

__all__ = ["FORMS", "difference", "extract_json", "find_json"]

FORMS = ("strict", "fenced", "embedded")
"""Where JSON is looked for, strictest first: each accepts what those before it accept."""
_BRACKET = re.compile(r"[\[{]")
_TOKEN = re.compile(r'"[^"\\]*(?:\\.[^"\\]*)*"|[\[\]{}]', re.DOTALL)
_MAX_READINGS = 8


def extract_json(text: str, *, strict: bool = False, form: str | None = None) -> Any:
    """Return the JSON value that an answer consists of.

    Args:
        text: The answer.
        strict: Short for `form="strict"`.
        form: The loosest form that is accepted, of `FORMS`; `fenced` when None.

    Raises:
        InvalidJsonError: There is none, or several that could be meant.
    """
    return find_json(text, form=form or ("strict" if strict else "fenced"))[0]


def find_json(text: str, *, form: str = "embedded") -> tuple[Any, str]:
    """Return the JSON value of an answer, and the strictest form that it has.

    Args:
        text: The answer.
        form: The loosest form that is accepted: `strict` (nothing but JSON), `fenced` (in the only finished
            fenced block, or the only one marked `json`) or `embedded` (the only object or array in prose).

    Raises:
        InvalidJsonError: There is none in these forms, or several that could be meant.
    """
    text = text.strip()
    try:
        return loads(text), "strict"
    except InvalidJsonError as problem:
        whole = problem
    if form == "strict":
        raise whole
    if "```" in text or "~~~" in text:
        finished = [block for block in fenced_blocks(text) if block.closed]
        named = [block for block in finished if block.language == "json"]
        blocks = [block.content for block in named or finished]
        if len(blocks) == 1:
            return loads(blocks[0].strip()), "fenced"
        if form == "fenced" or blocks:
            raise InvalidJsonError(
                f"expected JSON or one fenced block of it, found {len(blocks)} finished blocks"
            )
    if form == "fenced":
        raise whole
    values = _embedded(text)
    if len(values) != 1:
        found = f"{len(values)} values that could be meant" if values else "no finished object or array"
        raise InvalidJsonError(f"expected JSON somewhere in the answer, found {found}")
    return values[0], "embedded"


def _embedded(text: str) -> list[Any]:
    """Return the outermost objects and arrays in prose; an array must hold more than a number or a word.

    Each bracket is tried until the whole text was read `_MAX_READINGS` times: prose that opens many brackets
    and closes none ends soon.
    """
    values: list[Any] = []
    place, read = 0, 0
    while (start := _BRACKET.search(text, place)) is not None and read <= _MAX_READINGS * len(text):
        end = _closing(text, start.start())
        read += (len(text) if end is None else end) - start.start()
        try:
            value = loads(text[start.start() : end]) if end is not None else None
        except InvalidJsonError:
            value = None
        if isinstance(value, dict) or (isinstance(value, list) and _is_data(value)):
            values.append(value)
            place = end or len(text)
        else:
            place = start.end()
    return values


def _is_data(value: list[Any]) -> bool:
    """Whether an array in prose is one: `[1]` is rather a footnote."""
    return len(value) != 1 or isinstance(value[0], (dict, list, str))


def _closing(text: str, start: int) -> int | None:
    """Return where the bracket at `start` is closed, strings skipped; None where it is not."""
    depth = 0
    for token in _TOKEN.finditer(text, start):
        if token.group() in "[{":
            depth += 1
        elif token.group() in "]}":
            depth -= 1
            if depth == 0:
                return token.end()
    return None


def difference(
    expected: Any, found: Any, *, ignore_order: bool = False, extra_keys: bool = False, place: str = ""
) -> str | None:
    """Return the first difference between two JSON values as a phrase, or None if they are equal.

    Numbers are equal by value (1 equals 1.0); a boolean never equals a number. Texts and keys are compared in
    Unicode's composed form, as the checks of text do.

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
        expected, found = _with_composed_keys(expected), _with_composed_keys(found)
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
    if isinstance(expected, str) and isinstance(found, str) and normalise(expected) == normalise(found):
        return None
    if isinstance(expected, bool) is isinstance(found, bool) and expected == found:
        return None
    return f"{at} is {short(found)}, expected {short(expected)}"


def _with_composed_keys(value: dict[str, Any]) -> dict[str, Any]:
    """Return an object with its keys in the composed form, or as it is where two of them would become one."""
    composed = {normalise(key): item for key, item in value.items()}
    return composed if len(composed) == len(value) else value


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
