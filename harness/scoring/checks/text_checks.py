"""Checks of the whole answer: equality, ends and length."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from harness.cases import Case, Response, Score
from harness.scoring.check_type import Example, Scorer, declare_check
from harness.scoring.checks.parameters import FLAG, NORMALIZE, TEXT, TEXTS
from harness.scoring.text.normal_text import normalise, quoted

__all__ = ["allow_empty", "ends_with", "equals", "max_length", "min_length", "one_of", "starts_with"]

_LENGTHS: dict[str, Callable[[str], int]] = {
    "characters": lambda text: len(text.strip()),
    "words": lambda text: len(text.split()),
    "lines": lambda text: sum(1 for line in text.splitlines() if line.strip()),
}
_COUNTS: Mapping[str, Any] = {unit: {"type": "integer", "minimum": 1} for unit in _LENGTHS}


@declare_check(
    "equals",
    parameters={"value": {"type": "string"}, "normalize": NORMALIZE},
    target="value",
    allows_empty=lambda parameters, response: not str(parameters["value"]).strip(),
    examples=(
        Example({"value": "Paris"}, (" Paris\n",), ("paris", "Paris.", "It is Paris")),
        Example(
            {
                "value": "the Eiffel Tower",
                "normalize": ["articles", "casefold", "nfkc", "punctuation", "whitespace"],
            },
            ("Eiffel tower.", "The Ｅｉﬀｅｌ  Tower!"),
            ("Eiffel", "a tower"),
        ),
    ),
)
def equals(value: str, normalize: Sequence[str] = ("strip",)) -> Scorer:
    """The whole answer is `value`, both normalised."""
    return one_of([value], normalize)


@declare_check(
    "one_of",
    parameters={"values": TEXTS, "normalize": NORMALIZE},
    target="values",
    examples=(
        Example({"values": ["yes", "no"]}, ("yes", " no "), ("maybe", "yes or no")),
        Example({"values": ["Yes", "No"], "normalize": ["casefold", "punctuation"]}, ("yes.",), ("maybe",)),
    ),
)
def one_of(values: Sequence[str], normalize: Sequence[str] = ("strip",)) -> Scorer:
    """The whole answer is one of `values`, all normalised."""
    wanted = {normalise(value, normalize) for value in values}
    if "" in wanted and all(value.strip() for value in values):
        raise ValueError("nothing is left of a value after `normalize`, so that other answers would equal it")

    def scorer(case: Case, response: Response) -> Score:
        answer = normalise(response.text, normalize)
        if answer in wanted:
            return Score.passed(answer)
        expected = " or ".join(map(quoted, values))
        return Score.missed(f"expected {expected}, found {quoted(answer)}", answer)

    return scorer


@declare_check(
    "starts_with",
    parameters={"value": TEXT, "ignore_case": FLAG},
    examples=(
        Example({"value": "Subject:"}, ("\nSubject: Your order",), ("Re: Subject: x",)),
        Example({"value": "Subject:", "ignore_case": True}, ("SUBJECT: x",), ("Re: x",)),
    ),
)
def starts_with(value: str, ignore_case: bool = False) -> Scorer:
    """The answer, leading whitespace aside, starts with `value`."""
    return _end("starts", value, ignore_case, str.startswith)


@declare_check(
    "ends_with",
    parameters={"value": TEXT, "ignore_case": FLAG},
    examples=(
        Example({"value": "Kind regards"}, ("Done. Kind regards\n",), ("Kind regards, Ann",)),
        Example({"value": "Regards", "ignore_case": True}, ("Kind regards",), ("Regards, Ann",)),
    ),
)
def ends_with(value: str, ignore_case: bool = False) -> Scorer:
    """The answer, trailing whitespace aside, ends with `value`."""
    return _end("ends", value, ignore_case, str.endswith)


@declare_check(
    "max_length",
    parameters=_COUNTS,
    some=True,
    examples=(
        Example({"words": 3}, ("one two three",), ("one two three four",)),
        Example({"characters": 5}, ("one",), ("one two",)),
        Example({"lines": 1}, ("one",), ("one\ntwo",)),
    ),
)
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


@declare_check(
    "min_length",
    parameters=_COUNTS,
    some=True,
    examples=(
        Example({"lines": 2}, ("one\ntwo",), ("one\n\n",)),
        Example({"characters": 5}, ("one two",), ("one",)),
        Example({"words": 2}, ("one two",), ("onetwothree",)),
    ),
)
def min_length(**limits: int) -> Scorer:
    """The answer has at least so many characters, words or lines."""

    def scorer(case: Case, response: Response) -> Score:
        for unit, limit in limits.items():
            found = _LENGTHS[unit](response.text)
            if found < limit:
                return Score.missed(f"{found} {unit}, at least {limit} are needed")
        return Score.passed()

    return scorer


@declare_check(
    "allow_empty",
    allows_empty=lambda parameters, response: True,
    examples=(Example({}, ("", "anything"), ()),),
)
def allow_empty() -> Scorer:
    """Any answer, an empty one too: switches off the rule that an empty answer is invalid."""
    return lambda case, response: Score.passed()


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
        return Score.missed(f"{verb} with {quoted(shown)}, not with {quoted(value)}")

    return scorer
