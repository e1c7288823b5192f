"""What the `number` check reads of short answers in many spellings, and what it must not read."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from harness.cases import Case, Message, Outcome, Response
from harness.files.read_json import read_jsonl
from harness.scoring import score

PROBES = [row for _, row in read_jsonl(Path(__file__).parent / "probes" / "numbers.jsonl")]


def _outcome(text: str, value: float, **options: Any) -> Outcome:
    check = {"type": "number", "value": value, **options}
    return score(Case("c", (Message("user", "How many?"),), checks=(check,)), Response(text)).outcome


@pytest.mark.parametrize("probe", PROBES, ids=lambda probe: repr(probe["text"])[:40])
def test_a_number_is_read_as_it_is_meant(probe: dict[str, Any]) -> None:
    passed = _outcome(probe["text"], probe["value"], **probe["options"]) is Outcome.PASSED
    assert passed is probe["correct"]


@pytest.mark.parametrize(
    "text",
    [
        *("5 or 6", "between 4 and 6", "It is not 6.", "at most 6", "x = ±6", "3,6", "10.0.0.6", "1/2/6"),
        *("0.\\overline{6}", "The answer is 6. Wait, no, it is 7.", "\\boxed{x+6}"),
        *("\\boxed{5 \\text{ or } 6}", "two three", "9" * 400),
    ],
)
def test_what_is_not_certain_is_invalid(text: str) -> None:
    assert _outcome(text, 6) is Outcome.INVALID


def test_a_question_that_the_answer_asks_itself_is_not_its_answer() -> None:
    text = "2 * 9 = 18\n#### 18\n\nQuestion: 6 cars of 7 seats?\nAnswer: 6 * 7 = 42\n#### 42"
    assert _outcome(text, 18, after="####") is Outcome.PASSED
    assert _outcome(text, 42, after="####") is Outcome.MISSED


@pytest.mark.parametrize(("take", "value"), [("first", 4), ("last", 6)])
def test_a_case_says_which_marked_answer_counts(take: str, value: int) -> None:
    text = "A: 4\nA: 5\nA: 6"
    assert _outcome(text, value, after="A:", take=take) is Outcome.PASSED
    assert _outcome(text, value, pattern=r"A: (\d)", take=take) is Outcome.PASSED


def test_a_third_equals_what_json_made_of_it() -> None:
    assert _outcome("1/3", 1 / 3) is Outcome.PASSED
    assert _outcome("1/3", 0.333) is Outcome.MISSED
    assert _outcome("0.33333333333333333334", 1 / 3) is Outcome.MISSED
