"""Which option or label an answer concludes with, in many wordings, and which it only mentions."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.cases import Case, Message, Outcome, Response
from harness.files.read_json import read_jsonl
from harness.scoring import score
from harness.scoring.checks.choice_letter import find_choice

PROBES = [row for _, row in read_jsonl(Path(__file__).parent / "probes" / "letters.jsonl")]
UNREAD = {"Not A, B.", "A ✗ B ✓ C ✗", "The answer would be A.  No answer fits though, not A."}
"""Probes that are not read as they are meant."""


@pytest.mark.parametrize("probe", PROBES, ids=lambda probe: repr(probe["text"])[:40])
def test_the_letter_that_an_answer_concludes_with(probe: dict[str, str]) -> None:
    found = find_choice(probe["text"], probe["choices"])
    letter = "none" if isinstance(found, str) else found[0]
    assert (letter == probe["letter"]) is (probe["text"] not in UNREAD)


@pytest.mark.parametrize(
    ("text", "passes"),
    [
        ("This is clearly spam.", True),
        ("It is not ham, it is spam.", True),
        ("这是spam。", True),
        ("This isn't really spam.", False),
        ("I don't think it is spam.", False),
        ("There is no sign of spam here.", False),
        ("It is anything but spam.", False),
        ("non-spam", False),
        ("这不是spam。", False),
        ("Spam? Hardly.", False),
    ],
)
def test_a_label_that_is_denied_is_not_given(text: str, passes: bool) -> None:
    check = {"type": "label", "value": "spam", "labels": ["spam", "ham"], "mention": True}
    outcome = score(Case("c", (Message("user", "?"),), checks=(check,)), Response(text)).outcome
    assert (outcome is Outcome.PASSED) is passes
    assert passes or outcome is Outcome.INVALID


def test_the_label_before_a_next_question_is_the_answer() -> None:
    check = {"type": "label", "value": "spam", "labels": ["spam", "ham"], "after": "Label:"}
    case = Case("c", (Message("user", "?"),), checks=(check,))
    assert score(case, Response("Label: spam\n\nText: hi\nLabel: ham")).outcome is Outcome.PASSED
