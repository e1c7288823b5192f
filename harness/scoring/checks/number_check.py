"""The `number` check: find the number that an answer gives, and compare it."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from typing import Any

from harness.cases import Case, Response, Score
from harness.scoring.check_type import Example, Scorer, declare_check
from harness.scoring.checks.parameters import FLAG, MARKER, TAKE
from harness.scoring.checks.regex_check import PATTERN, compile_pattern, first_match, last_match
from harness.scoring.text.number_answer import NumberAnswer, answered_number, number_in
from harness.scoring.text.number_text import (
    LOCALES,
    find_quantities,
    last_number,
    parse_number,
    plain_numbers,
)
from harness.scoring.text.run_on import before_next_question

__all__ = ["number"]

_CURRENCY = re.compile(r"[A-Z]{3}")
_Finder = Callable[[str], "NumberAnswer | str"]

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
        "take": TAKE,
        "only": FLAG,
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
        Example(
            {"value": 18, "after": "####", "take": "first"},
            ("#### 18\n#### 19",),
            ("#### 19\n#### 18",),
        ),
        Example({"value": 0.75, "only": True}, ("3/4", "**0.75**"), ("It is 3/4.", "3/4 of it", "0.7")),
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
    take: str = "last",
    only: bool = False,
) -> Scorer:
    r"""The number that the answer gives differs from `value` by at most `tolerance`, or by
    `relative_tolerance` times `value`. It is the marked one (`\boxed{}`, `####`, "the answer is"), or else
    the last; with `after`, the first behind the last occurrence of that marker (`take`: or the `first`);
    with `pattern`, the first in the group of its last match; with `unit` (one, several spellings, or spelling
    → factor), the last one that carries it, missed where none does. Fractions, powers, LaTeX, words and
    digits of all scripts are read. With `only`, an answer with anything but the number is missed. An
    answer without a number that is certain ("5 or 6"), or cut off before its end, is invalid.
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
    find = _finder(after, compiled, None if unit is None else _factors(unit), locale, take)

    def scorer(case: Case, response: Response) -> Score:
        text = plain_numbers(response.text, locale)
        answer = find(text)
        if isinstance(answer, str):
            if unit is not None and (bare := last_number(text, locale)) and not response.truncated:
                return Score.missed(f"{answer}: {bare[0]} has none", str(bare[0]))
            cut = ": the answer was cut off" if response.truncated else ""
            return Score.invalid(answer + cut)
        given, shown = answer.value, _shown(answer.value)
        unfinished = not answer.marked or not text[answer.end :].strip()
        if response.truncated and unfinished:
            return Score.invalid(f"the answer was cut off after {shown}, which may not be its result", shown)
        if only and parse_number(text.strip().strip("*_`$."), locale) is None:
            return Score.missed("the answer is more than the number", shown)
        if abs(given - wanted) <= max(allowed, _rounding(given, wanted)):
            return Score.passed(shown)
        margin = f" ± {float(allowed):g}" if allowed else ""
        return Score.missed(f"expected {wanted}{margin}, found {shown}", shown)

    return scorer


def _finder(
    after: str | None, pattern: Any, factors: Mapping[str, Decimal] | None, locale: str, take: str
) -> _Finder:
    """Return the function that finds the number and the offset where it ends, or says what is missing."""
    if factors is not None:
        return lambda text: _with_unit(text, factors, locale)
    if pattern is not None:
        return lambda text: _in_pattern(text, pattern, locale, take)
    if after is not None:
        marker = plain_numbers(after, locale)
        return lambda text: _behind(text, marker, locale, take)
    return lambda text: answered_number(text, locale)


def _in_pattern(text: str, pattern: Any, locale: str, take: str) -> NumberAnswer | str:
    match = (first_match if take == "first" else last_match)(pattern, text)
    if match is None or match.group(1) is None:
        return "no match of the pattern in the answer"
    answer = number_in(text, match.start(1), match.end(1), locale)
    return f"{answer} in {match.group(1)[:40]!r}" if isinstance(answer, str) else answer


def _behind(text: str, marker: str, locale: str, take: str) -> NumberAnswer | str:
    text = before_next_question(text, marker)
    start = text.find(marker) if take == "first" else text.rfind(marker)
    if start < 0:
        return f"no {marker!r} in the answer"
    end = text.find(
        "\n",
        start + len(marker) + (len(text[start + len(marker) :]) - len(text[start + len(marker) :].lstrip())),
    )
    answer = number_in(text, start + len(marker), len(text) if end < 0 else end, locale)
    return f"{answer} after {marker!r}" if isinstance(answer, str) else answer


def _with_unit(text: str, factors: Mapping[str, Decimal], locale: str) -> NumberAnswer | str:
    """Find the last number with a unit behind it, or with a sign or code such as € or EUR before it."""
    result: NumberAnswer | None = None
    longest = sorted(factors, key=len, reverse=True)
    for quantity in find_quantities(text, locale):
        for unit in longest:
            bare = _unit_end(text, quantity.bare_end, unit)
            end = bare or _unit_end(text, quantity.end, unit)
            value = quantity.bare if bare else quantity.value
            inside = unit in text[quantity.start : quantity.bare_end]
            if value is not None and (end or inside or _is_before(text, quantity.start, unit)):
                result = NumberAnswer(value * factors[unit], end or quantity.end, False)
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


def _shown(value: Decimal) -> str:
    """Return how a number is shown: as it was written, or in plain digits where it was calculated."""
    plain = format(value, "f")
    return plain if len(plain) <= 30 else f"{value:.15g}"


def _rounding(given: Decimal, wanted: Decimal) -> Decimal:
    """Return how far a calculated number (1/3, √2) may lie from a `value` that JSON rounded to 16 digits."""
    if len(given.as_tuple().digits) < 25 or len(wanted.as_tuple().digits) < 15:
        return Decimal(0)
    return abs(wanted) * Decimal("1e-15")
