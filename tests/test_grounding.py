from __future__ import annotations

import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.cases import Case, Message, Outcome, Response
from harness.scoring import score
from harness.scoring.text.facts import KINDS, find_facts

SOURCE = (
    "Invoice INV-2041 of 3 May 2026: 12 chairs at 49.90 EUR, 10 % off. "
    "Ask Dr. Anna Weber, www.chairs.test/help."
)


def outcome(answer: str, **check: Any) -> Outcome:
    case = Case(
        "c",
        (Message("system", "Be brief."), Message("user", SOURCE)),
        checks=({"type": "grounded", **check},),
    )
    return score(case, Response(answer)).outcome


@pytest.mark.parametrize(
    ("text", "kind", "keys"),
    [
        ("1,234.50 €", "numbers", {"1234.5"}),
        ("1.234,50 €", "numbers", {"1234.5"}),
        ("1.234", "numbers", {"1.234", "1234"}),
        ("1 234", "numbers", {"1234"}),
        ("2.5 million", "numbers", {"2500000"}),
        ("007", "numbers", {"7"}),
        ("a 30-day limit", "numbers", {"30"}),
        ("10-business-day wait", "numbers", {"10"}),
        ("€12.50/month", "numbers", {"12.5"}),
        ("14 March 2026", "dates", {"2026-03-14"}),
        ("March 14th", "dates", {"*-03-14"}),
        ("14.03.26", "dates", {"2026-03-14"}),
        ("03/04/2026", "dates", {"2026-03-04", "2026-04-03"}),
        ("ORD-17b/3", "identifiers", {"ord-17b/3"}),
        ("https://www.Shop.test/a/.", "urls", {"shop.test/a"}),
        ("a.b@shop.test", "urls", {"a.b@shop.test"}),
        ("we met Anna Weber there", "names", {"anna weber"}),
    ],
)
def test_facts_are_spelled_alike(text: str, kind: str, keys: set[str]) -> None:
    (fact,) = find_facts(text)
    assert (fact.kind, fact.keys) == (kind, keys)


@pytest.mark.parametrize(
    "text",
    ["1. First\n2. Second", "I think so. You may.", "on Monday"],
)
def test_what_is_no_fact(text: str) -> None:
    assert find_facts(text) == []


@pytest.mark.parametrize(
    "answer",
    [
        "Invoice inv-2041 (May 3) is for twelve chairs: 12 at 49,90 EUR with 10% off.",
        "See https://chairs.test/help.",
        "You ordered chairs.",
        "The invoice is of May 2026.",
    ],
)
def test_facts_of_the_conversation_are_grounded(answer: str) -> None:
    assert outcome(answer) is Outcome.PASSED


@pytest.mark.parametrize(
    "answer",
    [
        "Invoice INV-2042.",
        "On 4 May.",
        "On 3 May 2025.",
        "The invoice is of May 2025.",
        "13 chairs.",
        "See chairs.test/faq.",
        "It is 598.80 EUR.",
    ],
)
def test_invented_facts_are_not(answer: str) -> None:
    assert outcome(answer) is Outcome.MISSED


def test_derived_numbers_are_allowed_where_the_case_says_so() -> None:
    assert outcome("It is 598.80 EUR.", derived=["product"]) is Outcome.PASSED
    assert outcome("It is 598.70 EUR.", derived=["product"]) is Outcome.MISSED
    assert outcome("13 chairs.", allow=["13"]) is Outcome.PASSED
    assert outcome("Ask Dr. Anna Weber about Paul Klee.", kinds=["names"]) is Outcome.MISSED


def test_the_share_is_kept() -> None:
    check = {"type": "grounded", "at_least": 0.5}
    found = score(Case("c", (Message("user", SOURCE),), checks=(check,)), Response("12 chairs at 50 EUR."))
    assert (found.value, found.outcome) == (0.5, Outcome.PASSED)
    assert "'50'" in (found.explanation or "")


def test_a_phrase_of_the_question_is_no_marker() -> None:
    check = ({"type": "no_hallucination_markers"},)
    case = Case("c", (Message("user", "Fill in: Dear [name]"),), checks=check)
    assert score(case, Response("Dear [name]")).outcome is Outcome.PASSED
    assert score(case, Response("Dear [date]")).outcome is Outcome.MISSED


@given(st.text(), st.text())
def test_any_text_is_read(asked: str, answer: str) -> None:
    case = Case("c", (Message("user", asked),), checks=({"type": "grounded", "kinds": list(KINDS)},))
    score(case, Response(answer + "."))
    assert score(case, Response(f"{asked} {asked}.")).outcome is not Outcome.ERROR


@pytest.mark.parametrize(
    "text",
    [
        "9" * 200_000,
        "1,234" * 50_000,
        "A-" * 99_999,
        "A " * 99_999,
        "1-" * 99_999,
        "x@" * 99_999,
        "\ud800\u202e7",
        "\n" * 99_999,
    ],
)
def test_hostile_texts_take_no_time(text: str) -> None:
    started = time.perf_counter()
    find_facts(text)
    assert time.perf_counter() - started < 5
