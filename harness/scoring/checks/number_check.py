"""The `number` check: find the number that an answer gives, and compare it."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from typing import Any

from harness.cases import Case, Response, Score
from harness.scoring.check_type import Example, Scorer, declare_check
from harness.scoring.checks.parameters import MARKER
from harness.scoring.checks.regex_check import PATTERN, compile_pattern, last_match
from harness.scoring.text.number_text import (
    LOCALES,
    FoundNumber,
    last_number,
    number_pattern,
    parse_number,
    value_of,
)

__all__ = ["number"]

_FULL_WIDTH = {code: code - 0xFF01 + ord("!") for code in range(0xFF01, 0xFF5F)}  # as Japanese types digits
_CURRENCY = re.compile(r"[A-Z]{3}")
_Finder = Callable[[str], "FoundNumber | str"]

_UNIT: Mapping[str, Any] = {
    "type": ["string", "array", "object"],
    "minLength": 1,
    "minItems": 1,
    "minProperties": 1,
    "items": {"type": "string", "minLength": 1},
    "additionalProperties": {"type": "number", "exclusiveMinimum": 0},
    "propertyNames": {"minLength": 1},
}


@declare_check(
    "number",
    parameters={
        "value": {"type": ["number", "string"]},
        "tolerance": {"type": "number", "minimum": 0},
        "relative_tolerance": {"type": "number", "minimum": 0, "exclusiveMaximum": 1},
        "after": MARKER,
        "pattern": PATTERN,
        "unit": _UNIT,
        "locale": {"type": "string", "enum": sorted(LOCALES)},
    },
    target="value",
    examples=(
        Example({"value": 72}, ("48 + 24 = 72.", "**72**"), ("72 = 48 + 24", "about seventy")),
        Example({"value": 18, "after": "####"}, ("2 × 9 #### 18",), ("18", "#### 19")),
        Example({"value": 1234.5, "locale": "de"}, ("1.234,50 €", "1234,5"), ("1,234.50", "1.234")),
        Example({"value": 200, "relative_tolerance": 0.05}, ("191",), ("189", "211")),
        Example(
            {"value": 5, "unit": {"km": 1, "m": 0.001}},
            ("5 km", "It is 5000 m in 2 steps"),
            ("5 miles", "5", "5 m"),
        ),
        Example({"value": 9.8, "tolerance": 0.05}, ("9.83", "9.76 m"), ("9.7", "9.9")),
        Example(
            {"value": 12, "pattern": "sum is ([0-9]+)"},
            ("The sum is 12, of 3 parts.",),
            ("12", "The sum is 3."),
        ),
    ),
)
def number(
    value: float | str,
    tolerance: float = 0,
    relative_tolerance: float = 0,
    after: str | None = None,
    pattern: str | None = None,
    unit: str | Sequence[str] | Mapping[str, float] | None = None,
    locale: str = "en",
) -> Scorer:
    """The number that the answer gives differs from `value` by at most `tolerance`, or by
    `relative_tolerance` times `value`. It is the last number; with `after`, the first behind the last
    occurrence of that marker (`####`, `Answer:`); with `pattern`, the first in the group of its last match;
    with `unit` (one, several spellings, or spelling → factor), the last one that carries it, missed where
    none does. An answer without a number, or cut off before its end, is invalid.
    """  # noqa: D205  (one paragraph is the documentation of the check)
    wanted = parse_number(str(value))
    if wanted is None:
        raise ValueError(f"value: {value!r} is not a number")
    if sum(way is not None for way in (after, pattern, unit)) > 1:
        raise ValueError("give one of `after`, `pattern` and `unit`: each says which number counts")
    compiled = None if pattern is None else compile_pattern(pattern)
    if compiled is not None and compiled.groups != 1:
        raise ValueError(
            f"pattern: needs exactly one group, around the number; {pattern!r} has {compiled.groups}"
        )
    allowed = max(Decimal(str(tolerance)), abs(wanted) * Decimal(str(relative_tolerance)))
    find = _finder(after, compiled, None if unit is None else _factors(unit), locale)

    def scorer(case: Case, response: Response) -> Score:
        text = response.text.translate(_FULL_WIDTH)
        found = find(text)
        if isinstance(found, str):
            if unit is not None and (bare := last_number(text, locale)) and not response.truncated:
                return Score.missed(f"{found}: {bare[0]} has none", str(bare[0]))
            cut = ": the answer was cut off" if response.truncated else ""
            return Score.invalid(found + cut)
        given, end = found
        unfinished = (after is None and compiled is None) or not text[end:].strip()
        if response.truncated and unfinished:
            return Score.invalid(
                f"the answer was cut off after {given}, which may not be its result", str(given)
            )
        if abs(given - wanted) <= allowed:
            return Score.passed(str(given))
        margin = f" ± {float(allowed):g}" if allowed else ""
        return Score.missed(f"expected {wanted}{margin}, found {given}", str(given))

    return scorer


def _finder(after: str | None, pattern: Any, factors: Mapping[str, Decimal] | None, locale: str) -> _Finder:
    """Return the function that finds the number and the offset where it ends, or says what is missing."""
    if factors is not None:
        return lambda text: _with_unit(text, factors, locale)
    if pattern is not None:
        return lambda text: _in_pattern(text, pattern, locale)
    if after is not None:
        return lambda text: _behind(text, after, locale)
    return lambda text: last_number(text, locale) or "no number in the answer"


def _in_pattern(text: str, pattern: Any, locale: str) -> FoundNumber | str:
    last = last_match(pattern, text)
    if last is None or last.group(1) is None:
        return "no match of the pattern in the answer"
    found = _first(text, last.start(1), last.end(1), locale)
    return f"no number in {last.group(1)[:40]!r}" if found is None else found


def _behind(text: str, marker: str, locale: str) -> FoundNumber | str:
    start = text.rfind(marker)
    if start < 0:
        return f"no {marker!r} in the answer"
    found = _first(text, start + len(marker), len(text), locale)
    return f"no number after {marker!r}" if found is None else found


def _first(text: str, start: int, end: int, locale: str) -> FoundNumber | None:
    found = number_pattern(locale).search(text, start, end)
    value = None if found is None else value_of(found.group(), locale)
    return None if found is None or value is None else (value, found.end())


def _with_unit(text: str, factors: Mapping[str, Decimal], locale: str) -> FoundNumber | str:
    """Find the last number with a unit behind it, or with a sign or code such as € or EUR before it."""
    result: FoundNumber | None = None
    longest = sorted(factors, key=len, reverse=True)
    for match in number_pattern(locale).finditer(text):
        value = value_of(match.group(), locale)
        for unit in longest:
            end = _unit_end(text, match.end(), unit)
            if value is not None and (end or unit in match.group() or _is_before(text, match.start(), unit)):
                result = value * factors[unit], end or match.end()
                break
    return result or f"no number with the unit {' or '.join(factors)} in the answer"


def _unit_end(text: str, start: int, unit: str) -> int | None:
    """Return where the unit right behind a number ends, if it is there: `km/h` and `m^2` are other units."""
    another = r"\w|\^|/[^\W\d]" if unit[-1].isalpha() else r"\w"
    found = re.compile(rf"[\s\u202f-]{{0,2}}{re.escape(unit)}(?!{another})").match(text, start)
    return found.end() if found else None


def _is_before(text: str, end: int, unit: str) -> bool:
    """Whether a sign (€) or a currency's code (EUR) stands right before a number; other units do not."""
    if unit.isalnum() and not _CURRENCY.fullmatch(unit):
        return False
    head = text[max(0, end - len(unit) - 3) : end].rstrip()
    return head.endswith(unit) and not (unit.isalnum() and head[: -len(unit)][-1:].isalnum())


def _factors(unit: str | Sequence[str] | Mapping[str, float]) -> Mapping[str, Decimal]:
    if isinstance(unit, str):
        unit = [unit]
    if isinstance(unit, Mapping):
        return {name: Decimal(str(factor)) for name, factor in unit.items()}
    return dict.fromkeys(unit, Decimal(1))
