"""A value with its unit, and steps in their order: `amount` and `in_order`."""

from __future__ import annotations

import re
from collections.abc import Sequence

from harness.cases import Case, Response, Score
from harness.scoring.check_type import Example, Scorer, declare_check
from harness.scoring.checks.parameters import FLAG, TEXTS
from harness.scoring.text.agreement import number_of
from harness.scoring.text.clauses import clauses, spelled_out
from harness.scoring.text.normal_text import quoted
from harness.scoring.text.phrases import phrase_pattern

__all__ = ["amount", "in_order"]

_NUMBERS = {"type": "array", "minItems": 1, "items": {"type": "number"}}
_TOKEN = re.compile(r"\d+(?:[.,:]\d+)*|[^\W\d_]+(?:-[^\W\d_]+)*|[€$£%]")
_SYMBOLS = {"€": "euros", "$": "dollars", "£": "pounds", "%": "percent"}
_RANGE = re.compile(r"(?<=\d)\s*[-–—]\s*(?=\d)")
_SYMBOL_FIRST = re.compile(r"([€$£])\s*(\d(?:[\d.,]*\d)?)")
_REACH = 3


@declare_check(
    "amount",
    parameters={"values": _NUMBERS, "unit": TEXTS, "beside": _NUMBERS, "unit_needed": FLAG},
    examples=(
        Example(
            {"values": [3, 7], "unit": ["business days|working days"]},
            accepts=(
                "It takes 3 to 7 business days.",
                "Three to seven working days.",
                "3-7 business days, so not within 2 hours.",
            ),
            rejects=("3 to 7 weeks.", "2 to 5 business days.", "Between 3 business days and never."),
        ),
        Example(
            {"values": [4.5], "unit": ["euro*"], "beside": [0]},
            accepts=(
                "It costs 4,50 €.",
                "EUR is not written out: 4.50 euros.",
                "4.50 euros; 0 euros when faulty.",
            ),
            rejects=(
                "4.50 dollars.",
                "It costs 9.50 euros.",
                "4.50 euros, or 9.50 euros.",
                "It's free.",
                "4.50",
            ),
        ),
        Example(
            {"values": [4], "unit": ["euro*"], "unit_needed": False},
            ("4", "4 euros"),
            ("5", "4 euros, 5 euros"),
        ),
    ),
)
def amount(
    values: Sequence[float], unit: Sequence[str], beside: Sequence[float] = (), unit_needed: bool = True
) -> Scorer:
    """The answer gives the `values` (two of a range) with a `unit`, and no other number with that unit.

    Units are phrases (`euro*` any word that begins so, `a|b` one of two; €, $, £ and % are read as euros,
    dollars, pounds, percent). Numbers are literals or English words, with a point or a comma. Numbers of the
    question and those in `beside` may stand there as well. Without `unit_needed` (default true) a bare number
    will do.
    """
    wanted = {_spelled(value) for value in values}
    tolerated = wanted | {_spelled(value) for value in beside}

    def scorer(case: Case, response: Response) -> Score:
        asked = {number for text in _said_before(case) for number in _numbers(text)}
        with_unit: set[str] = set()
        for clause in clauses(response.text):
            with_unit |= _with_unit(clause.text, unit)
        bare = set() if unit_needed else set(_numbers(response.text))
        if other := (with_unit or bare) - tolerated - asked:
            return Score.missed(f"says {', '.join(sorted(other))} {unit[0]}")
        if missing := wanted - with_unit - bare:
            return Score.missed(f"does not say {', '.join(sorted(missing))} {unit[0]}")
        return Score.passed(", ".join(sorted(wanted)))

    return scorer


@declare_check(
    "in_order",
    parameters={"steps": TEXTS},
    examples=(
        Example(
            {"steps": ["switch* it off|turn* off", "unplug*", "call*"]},
            accepts=(
                "Switch it off, unplug it, then call us.",
                "1. Turn off the oven. 2. Unplug it. 3. Call.",
            ),
            rejects=("Unplug it, switch it off, call.", "Switch it off and call us.", "Call."),
        ),
    ),
)
def in_order(steps: Sequence[str]) -> Scorer:
    """The answer names the `steps` (phrases as in `says_yes`) in this order, each at its first mention."""

    def scorer(case: Case, response: Response) -> Score:
        text = spelled_out(response.text)
        before = -1
        for step in steps:
            match = phrase_pattern(step).search(text)
            if match is None:
                return Score.missed(f"does not name {quoted(step)}")
            if match.start() < before:
                return Score.missed(f"names {quoted(step)} too early")
            before = match.start()
        return Score.passed()

    return scorer


def _said_before(case: Case) -> list[str]:
    return [message.content for message in case.messages if message.role == "user"]


def _tokens(text: str) -> list[str]:
    return [_SYMBOLS.get(token, token).casefold() for token in _TOKEN.findall(text)]


def _numbers(text: str) -> list[str]:
    return [value for token in _tokens(text) if (value := _number(token)) is not None]


def _number(word: str) -> str | None:
    return "1" if word == "one" else number_of(word)


def _with_unit(text: str, unit: Sequence[str]) -> set[str]:
    """Return the numbers that have the unit: `4 euros`, `€ 4`, and both of `3 to 7 days`."""
    tokens = _tokens(_SYMBOL_FIRST.sub(r"\2 \1", _RANGE.sub(" to ", text)))
    joined = " ".join(tokens)
    starts, place = [], 0
    for token in tokens:
        starts.append(place)
        place += len(token) + 1
    numbers: set[str] = set()
    for match in (match for name in unit for match in phrase_pattern(name).finditer(joined)):
        index = starts.index(match.start()) if match.start() in starts else 0
        near = next(
            (i for i in range(index - 1, max(index - 1 - _REACH, -1), -1) if _number(tokens[i])), None
        )
        if near is None or (value := _number(tokens[near])) is None:
            continue
        numbers.add(value)
        if near >= 2 and tokens[near - 1] in ("to", "and", "or") and (first := _number(tokens[near - 2])):
            numbers.add(first)
    return numbers


def _spelled(value: float) -> str:
    return f"{value:g}" if value < 1e6 else str(int(value))
