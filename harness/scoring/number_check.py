"""The `number` check: find the number that an answer ends with, and compare it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from harness.cases import Case, Response, Score
from harness.scoring.check_type import CheckType, Example, Scorer
from harness.scoring.regex_check import PATTERN, compile_pattern, last_match

__all__ = ["NUMBER_CHECKS", "last_number", "parse_number"]

# A sign counts where no word, digit or closing bracket comes before it: "x-3" and "10-3" are no -3. Digits
# count where no letter, digit or "1." comes before them: "A4" and the 3 of "1.2.3" are no numbers.
_NUMBER = re.compile(
    r"(?:(?<![\w.)\]])[-−+])?"
    r"(?:[$€£¥]\s?)?"
    r"(?<![^\W_])(?<![0-9]\.)"
    r"(?:[0-9]{1,3}(?:,[0-9]{3})+(?![0-9])|[0-9]+)?(?:(?<=[0-9])\.[0-9]+|(?<![0-9.])\.[0-9]+|(?<=[0-9]))"
    r"(?:[eE][-+]?[0-9]{1,3}(?![0-9]))?"
)
_MAX_DIGITS = 300


def parse_number(text: str) -> Decimal | None:
    """Return the number that a text consists of, or None.

    Accepts a sign (also U+2212), a currency sign, commas between thousands, decimals, an exponent and a
    closing per cent sign; `1,234.50` is 1234.5. A fraction such as `3/4` is two numbers.
    """
    text = text.strip().rstrip("%").strip()
    found = _NUMBER.fullmatch(text)
    return _value(found.group()) if found else None


def last_number(text: str) -> tuple[Decimal, int] | None:
    """Return the last number in a text and the offset where it ends, or None where there is none."""
    found = list(_NUMBER.finditer(text))
    if not found:
        return None
    last = found[-1]
    value = _value(last.group())
    return None if value is None else (value, last.end())


def number(
    value: float | str, tolerance: float = 0, after: str | None = None, pattern: str | None = None
) -> Scorer:
    """The number that the answer gives differs from `value` by at most `tolerance`.

    It is the last one in the answer; with `after`, the first one behind the last occurrence of that marker
    (such as `####` or `Answer:`); with `pattern`, the first one in the group of its last match. An answer
    without a number, or cut off before its end, is invalid.
    """
    wanted = parse_number(str(value))
    if wanted is None:
        raise ValueError(f"value: {value!r} is not a number")
    if after is not None and pattern is not None:
        raise ValueError("give `after` or `pattern`, not both")
    compiled = None if pattern is None else compile_pattern(pattern)
    if compiled is not None and compiled.groups != 1:
        raise ValueError(
            f"pattern: needs exactly one group, around the number; {pattern!r} has {compiled.groups}"
        )
    allowed = Decimal(str(tolerance))

    def scorer(case: Case, response: Response) -> Score:
        found = _extract(response.text, after, compiled)
        if isinstance(found, str):
            cut = ": the answer was cut off" if response.truncated else ""
            return Score.invalid(found + cut)
        given, end = found
        unfinished = (after is None and compiled is None) or not response.text[end:].strip()
        if response.truncated and unfinished:
            return Score.invalid(
                f"the answer was cut off after {given}, which may not be its result", str(given)
            )
        if abs(given - wanted) <= allowed:
            return Score.passed(str(given))
        margin = f" ± {tolerance:g}" if tolerance else ""
        return Score.missed(f"expected {wanted}{margin}, found {given}", str(given))

    return scorer


def _extract(text: str, after: str | None, pattern: Any) -> tuple[Decimal, int] | str:
    """Return the number and the offset where it ends, or what is missing."""
    if pattern is not None:
        last = last_match(pattern, text)
        if last is None or last.group(1) is None:
            return "no match of the pattern in the answer"
        found = _NUMBER.search(text, last.start(1), last.end(1))
        value = _value(found.group()) if found else None
        return (
            f"no number in {last.group(1)[:40]!r}" if found is None or value is None else (value, found.end())
        )
    if after is not None:
        start = text.rfind(after)
        if start < 0:
            return f"no {after!r} in the answer"
        found = _NUMBER.search(text, start + len(after))
        value = _value(found.group()) if found else None
        return f"no number after {after!r}" if found is None or value is None else (value, found.end())
    return last_number(text) or "no number in the answer"


def _value(literal: str) -> Decimal | None:
    """Return the value of a matched literal; None for one that is absurdly long."""
    digits = re.sub(r"[,$€£¥\s+]", "", literal).replace("−", "-")
    return Decimal(digits) if len(digits) <= _MAX_DIGITS else None


_NUMERIC: Mapping[str, Any] = {"type": ["number", "string"]}

NUMBER_CHECKS = (
    CheckType(
        "number",
        number,
        {
            "value": _NUMERIC,
            "tolerance": {"type": "number", "minimum": 0},
            "after": {"type": "string", "minLength": 1},
            "pattern": PATTERN,
        },
        ("value",),
        target="value",
        examples=(
            Example({"value": 72}, ("48 + 24 = 72.", "**72**"), ("72 = 48 + 24", "about seventy")),
            Example({"value": 18, "after": "####"}, ("2 × 9 #### 18",), ("18", "#### 19")),
        ),
    ),
)
