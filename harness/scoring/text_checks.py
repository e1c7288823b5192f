"""Checks that compare the answer's text with given words: equality, containment, ends and length."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from harness.cases import Case, Response, Score
from harness.scoring.check_type import CheckType, Scorer

__all__ = ["TEXT_CHECKS", "normalise"]

_STEPS: dict[str, Callable[[str], str]] = {
    "strip": str.strip,
    "casefold": str.casefold,
    "whitespace": lambda text: " ".join(text.split()),
    "punctuation": lambda text: "".join(
        character for character in text if not unicodedata.category(character).startswith("P")
    ),
}


def normalise(text: str, steps: Sequence[str] = ()) -> str:
    """Return the text in Unicode's composed form (NFC) after the given steps.

    Args:
        text: Any text.
        steps: Of `strip` (ends), `casefold`, `whitespace` (each run becomes one space, ends stripped) and
            `punctuation` (removed). They are applied so that their order does not matter.
    """
    if not text.isascii():
        text = unicodedata.normalize("NFC", text)
    for step in ("casefold", "punctuation", "whitespace", "strip"):
        if step in steps:
            text = _STEPS[step](text)
    return text


def equals(value: str, normalize: Sequence[str] = ("strip",)) -> Scorer:
    """The whole answer is `value`, both normalised."""
    return one_of([value], normalize)


def one_of(values: Sequence[str], normalize: Sequence[str] = ("strip",)) -> Scorer:
    """The whole answer is one of `values`, all normalised."""
    wanted = {normalise(value, normalize) for value in values}
    expected = " or ".join(_quote(value) for value in values)

    def scorer(case: Case, response: Response) -> Score:
        answer = normalise(response.text, normalize)
        if answer in wanted:
            return Score.passed(answer)
        return Score.missed(f"expected {expected}, found {_quote(answer)}", answer)

    return scorer


def contains(value: str, ignore_case: bool = False, whole_words: bool = False) -> Scorer:
    """The answer contains `value`."""
    return contains_all([value], ignore_case, whole_words)


def contains_all(values: Sequence[str], ignore_case: bool = False, whole_words: bool = False) -> Scorer:
    """The answer contains each of `values`."""
    finders = _finders(values, ignore_case, whole_words)

    def scorer(case: Case, response: Response) -> Score:
        text = normalise(response.text)
        missing = [value for value, finder in finders.items() if not finder(text)]
        if not missing:
            return Score.passed()
        return Score.missed(f"does not contain {' nor '.join(map(_quote, missing))}")

    return scorer


def contains_any(values: Sequence[str], ignore_case: bool = False, whole_words: bool = False) -> Scorer:
    """The answer contains at least one of `values`."""
    finders = _finders(values, ignore_case, whole_words)

    def scorer(case: Case, response: Response) -> Score:
        text = normalise(response.text)
        for value, finder in finders.items():
            if finder(text):
                return Score.passed(value)
        return Score.missed(f"contains none of {', '.join(map(_quote, values))}")

    return scorer


def not_contains(values: Sequence[str], ignore_case: bool = False, whole_words: bool = False) -> Scorer:
    """The answer contains none of `values`."""
    finders = _finders(values, ignore_case, whole_words)

    def scorer(case: Case, response: Response) -> Score:
        text = normalise(response.text)
        found = [value for value, finder in finders.items() if finder(text)]
        return Score.missed(f"contains {' and '.join(map(_quote, found))}") if found else Score.passed()

    return scorer


def starts_with(value: str, ignore_case: bool = False) -> Scorer:
    """The answer, leading whitespace aside, starts with `value`."""
    return _end("starts", value, ignore_case, str.startswith)


def ends_with(value: str, ignore_case: bool = False) -> Scorer:
    """The answer, trailing whitespace aside, ends with `value`."""
    return _end("ends", value, ignore_case, str.endswith)


def max_length(**limits: int) -> Scorer:
    """The answer has at most so many characters, words or lines; an answer that was cut has no length."""

    def scorer(case: Case, response: Response) -> Score:
        for unit, limit in limits.items():
            found = _LENGTHS[unit](response.text)
            if found > limit:
                return Score.missed(f"{found} {unit}, at most {limit} are allowed")
        if response.truncated:
            return Score.invalid("the answer was cut off, so its length is not known")
        return Score.passed()

    return scorer


def min_length(**limits: int) -> Scorer:
    """The answer has at least so many characters, words or lines."""

    def scorer(case: Case, response: Response) -> Score:
        for unit, limit in limits.items():
            found = _LENGTHS[unit](response.text)
            if found < limit:
                return Score.missed(f"{found} {unit}, at least {limit} are needed")
        return Score.passed()

    return scorer


def allow_empty() -> Scorer:
    """Any answer, an empty one too: switches off the rule that an empty answer is invalid."""
    return lambda case, response: Score.passed()


_LENGTHS: dict[str, Callable[[str], int]] = {
    "characters": lambda text: len(text.strip()),
    "words": lambda text: len(text.split()),
    "lines": lambda text: sum(1 for line in text.splitlines() if line.strip()),
}


def _finders(
    values: Sequence[str], ignore_case: bool, whole_words: bool
) -> dict[str, Callable[[str], object]]:
    """Return for each value a function that is true for texts that hold it."""
    if not ignore_case and not whole_words:
        return {value: _holder(normalise(value)) for value in values}
    boundary = (r"(?<!\w)", r"(?!\w)") if whole_words else ("", "")
    flags = re.IGNORECASE if ignore_case else 0
    return {
        value: re.compile(boundary[0] + re.escape(normalise(value)) + boundary[1], flags).search
        for value in values
    }


def _holder(wanted: str) -> Callable[[str], bool]:
    return lambda text: wanted in text


def _end(verb: str, value: str, ignore_case: bool, holds: Callable[[str, str], bool]) -> Scorer:
    steps = ("strip", "casefold") if ignore_case else ("strip",)
    wanted = normalise(value, steps[1:])

    def scorer(case: Case, response: Response) -> Score:
        text = normalise(response.text, steps)
        if holds(text, wanted.strip()):
            return Score.passed()
        if verb == "ends" and response.truncated:
            return Score.invalid("the answer was cut off before its end")
        shown = text[: len(value) + 20] if verb == "starts" else text[-len(value) - 20 :]
        return Score.missed(f"{verb} with {_quote(shown)}, not with {_quote(value)}")

    return scorer


def _quote(text: str, limit: int = 60) -> str:
    return repr(text if len(text) <= limit else text[: limit - 1] + "…")


_TEXT: Mapping[str, Any] = {"type": "string", "minLength": 1}
_TEXTS: Mapping[str, Any] = {"type": "array", "minItems": 1, "uniqueItems": True, "items": _TEXT}
_FLAG: Mapping[str, Any] = {"type": "boolean"}
_NORMALIZE: Mapping[str, Any] = {
    "type": "array",
    "uniqueItems": True,
    "items": {"type": "string", "enum": sorted(_STEPS)},
}
_FIND: Mapping[str, Any] = {"ignore_case": _FLAG, "whole_words": _FLAG}
_COUNTS: Mapping[str, Any] = {unit: {"type": "integer", "minimum": 1} for unit in _LENGTHS}

TEXT_CHECKS = (
    CheckType("allow_empty", allow_empty, allows_empty=lambda parameters, response: True),
    CheckType("contains", contains, {"value": _TEXT, **_FIND}, ("value",), target="value"),
    CheckType("contains_all", contains_all, {"values": _TEXTS, **_FIND}, ("values",)),
    CheckType("contains_any", contains_any, {"values": _TEXTS, **_FIND}, ("values",)),
    CheckType("ends_with", ends_with, {"value": _TEXT, "ignore_case": _FLAG}, ("value",)),
    CheckType(
        "equals",
        equals,
        {"value": {"type": "string"}, "normalize": _NORMALIZE},
        ("value",),
        target="value",
        allows_empty=lambda parameters, response: not str(parameters["value"]).strip(),
    ),
    CheckType("max_length", max_length, _COUNTS, some=True),
    CheckType("min_length", min_length, _COUNTS, some=True),
    CheckType("not_contains", not_contains, {"values": _TEXTS, **_FIND}, ("values",)),
    CheckType("one_of", one_of, {"values": _TEXTS, "normalize": _NORMALIZE}, ("values",), target="values"),
    CheckType("starts_with", starts_with, {"value": _TEXT, "ignore_case": _FLAG}, ("value",)),
)
