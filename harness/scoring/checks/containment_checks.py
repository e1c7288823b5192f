"""Checks of what the answer contains: one text, any, all or none of several."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from harness.cases import Case, Response, Score
from harness.scoring.check_type import Example, Scorer, declare_check
from harness.scoring.checks.parameters import FLAG, TEXT, TEXTS
from harness.scoring.text.normal_text import normalise, quoted

__all__ = ["contains", "contains_all", "contains_any", "not_contains"]

_QUOTES = str.maketrans("‘’ʼ“”", "'''\"\"")

_FIND: Mapping[str, Any] = {"ignore_case": FLAG, "whole_words": FLAG}
_MANY: Mapping[str, Any] = {"values": TEXTS, **_FIND}


@declare_check(
    "contains",
    parameters={"value": TEXT, **_FIND},
    target="value",
    examples=(
        Example({"value": "refund"}, ("Your refund is on its way.",), ("Your Refund", "no such word")),
        Example({"value": "no", "whole_words": True, "ignore_case": True}, ("No!",), ("I know",)),
    ),
)
def contains(value: str, ignore_case: bool = False, whole_words: bool = False) -> Scorer:
    """The answer contains `value`; typographic quotes count as plain ones, in the checks below, too."""
    return contains_all([value], ignore_case, whole_words)


@declare_check(
    "contains_all",
    parameters=_MANY,
    examples=(
        Example({"values": ["red", "blue"]}, ("blue and red",), ("red only", "green")),
        Example({"values": ["no", "US"], "ignore_case": True}, ("No, us.",), ("no, we",)),
        Example({"values": ["no", "us"], "whole_words": True}, ("no, us",), ("now, bus",)),
    ),
)
def contains_all(values: Sequence[str], ignore_case: bool = False, whole_words: bool = False) -> Scorer:
    """The answer contains each of `values`."""
    finders = _finders(values, ignore_case, whole_words)

    def scorer(case: Case, response: Response) -> Score:
        text = _spelled(response.text)
        missing = [value for value, finder in finders.items() if not finder(text)]
        if not missing:
            return Score.passed()
        return Score.missed(f"does not contain {' nor '.join(map(quoted, missing))}")

    return scorer


@declare_check(
    "contains_any",
    parameters=_MANY,
    examples=(
        Example({"values": ["yes", "sure"]}, ("sure thing",), ("no",)),
        Example({"values": ["Yes"], "ignore_case": True}, ("yes",), ("no",)),
        Example({"values": ["no"], "whole_words": True}, ("no way",), ("know",)),
    ),
)
def contains_any(values: Sequence[str], ignore_case: bool = False, whole_words: bool = False) -> Scorer:
    """The answer contains at least one of `values`."""
    finders = _finders(values, ignore_case, whole_words)

    def scorer(case: Case, response: Response) -> Score:
        text = _spelled(response.text)
        for value, finder in finders.items():
            if finder(text):
                return Score.passed(value)
        return Score.missed(f"contains none of {', '.join(map(quoted, values))}")

    return scorer


@declare_check(
    "not_contains",
    parameters=_MANY,
    examples=(
        Example({"values": ["guarantee"]}, ("We will try.",), ("We guarantee it.",)),
        Example({"values": ["can't"]}, ("We can.",), ("We can't.", "We can’t.")),
        Example({"values": ["Guarantee"], "ignore_case": True}, ("We try.",), ("We GUARANTEE it.",)),
        Example({"values": ["no"], "whole_words": True}, ("We know.",), ("no",)),
    ),
)
def not_contains(values: Sequence[str], ignore_case: bool = False, whole_words: bool = False) -> Scorer:
    """The answer contains none of `values`."""
    finders = _finders(values, ignore_case, whole_words)

    def scorer(case: Case, response: Response) -> Score:
        text = _spelled(response.text)
        found = [value for value, finder in finders.items() if finder(text)]
        return Score.missed(f"contains {' and '.join(map(quoted, found))}") if found else Score.passed()

    return scorer


def _finders(
    values: Sequence[str], ignore_case: bool, whole_words: bool
) -> dict[str, Callable[[str], object]]:
    """Return for each value a function that is true for texts that hold it."""
    if not ignore_case and not whole_words:
        return {value: _holder(_spelled(value)) for value in values}
    boundary = (r"(?<!\w)", r"(?!\w)") if whole_words else ("", "")
    flags = re.IGNORECASE if ignore_case else 0
    return {
        value: re.compile(boundary[0] + re.escape(_spelled(value)) + boundary[1], flags).search
        for value in values
    }


def _spelled(text: str) -> str:
    """Return a text in NFC with plain quotes: a model's `can’t` contains `can't`."""
    text = normalise(text)
    return text if text.isascii() else text.translate(_QUOTES)


def _holder(wanted: str) -> Callable[[str], bool]:
    return lambda text: wanted in text
