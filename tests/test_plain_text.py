"""What counts as the same text however it was typed, and what never does."""

from __future__ import annotations

from typing import Any

import pytest

from harness.cases import Case, Message, Outcome, Response
from harness.scoring import score
from harness.scoring.text.normal_text import normalise


def _outcome(text: str, **check: Any) -> Outcome:
    return score(Case("c", (Message("user", "?"),), checks=(check,)), Response(text)).outcome


@pytest.mark.parametrize(
    ("text", "typed"),
    [
        ("30\u00a0days", "30 days"),
        ("3\u20117", "3-7"),
        ("\u22125", "-5"),
        ("it\u2019s", "it's"),
        ("a\u200bb", "ab"),
    ],
)
def test_typography_is_read_as_typed(text: str, typed: str) -> None:
    assert normalise(text) == typed


@pytest.mark.parametrize(
    ("one", "other"),
    [("-5", "5"), ("3.14", "314"), ("C#", "C"), ("5%", "5"), ("3-7", "37"), ("10:30", "1030"), ("The", "A")],
)
def test_normalising_merges_nothing_that_differs(one: str, other: str) -> None:
    steps = ("punctuation", "casefold", "articles", "whitespace")
    assert normalise(one, steps) != normalise(other, steps)
    assert _outcome(other, type="equals", value=one, normalize=list(steps)) is Outcome.MISSED


@pytest.mark.parametrize(
    "text", ["สวัสดีครับ", "退款需要三到七个工作日", "возврат за семь дней", "أيام سبعة", "सात दिन लगते हैं"]
)
@pytest.mark.parametrize("kind", ["rouge", "bleu", "token_f1"])
def test_a_text_of_any_script_is_like_itself(kind: str, text: str) -> None:
    assert _outcome(text, type=kind, value=text, at_least=0.99) is Outcome.PASSED
    assert _outcome("Something else.", type=kind, value=text, at_least=0.1) is Outcome.MISSED


def test_two_letters_have_no_certain_language() -> None:
    assert _outcome("No", type="language", value="de") is Outcome.INVALID
