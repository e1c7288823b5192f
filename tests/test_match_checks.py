"""Choices, lists and numbers with units: what is found in an answer, and what is not."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.cases import Case, Message, Outcome, Response
from harness.scoring import find_choice, score, scorers
from harness.scoring.checks.list_check import list_items

CASE = Case("c", (Message("user", "?"),))


# --- choices ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "letter"),
    [
        ("B", "B"),
        ("b.", "B"),
        ("(B)", "B"),
        ("Option B", "B"),
        ("**B**", "B"),
        ("The answer is B because it fits.", "B"),
        ("The correct answer is (b).", "B"),
        ("Answer: B", "B"),
        ("ANSWER - B", "B"),
        ("I choose B.", "B"),
        ("B is correct.", "B"),
        ("Option B seems the best.", "B"),
        ("B) Paris", "B"),
        ("B. Paris\nIt lies on the Seine.", "B"),
        ("It cannot be A, so it is B.", "B"),
        ("It is not A and cannot be C: D", "D"),
        ("A is wrong. The answer is B.", "B"),
        ("I first thought of A. Final answer: B", "B"),
        ("Final answer: B. (I also looked at C.)", "B"),
        (r"So we get \boxed{B}", "B"),
        (r"\boxed{\text{B}} rather than C", "B"),
        ("The answer is not A but B", "B"),
        ("Rather than A, I would say B.", "B"),
        ("Ｂ", "B"),
        ("The answer, I believe, is C", "C"),
        ("Answer: I think D", "D"),
        ("A", "A"),
        ("A.", "A"),
        ("The answer is A.", "A"),
        ("The answer is A, a large dog.", "A"),
        ("Answer: A\nParis is the capital.", "A"),
        ("A\n\nParis is the capital of France.", "A"),
        ("A is correct.", "A"),
        ("A because it is the capital.", "A"),
        ("A - Paris", "A"),
        ("A is wrong, so B.", "B"),
        ("A and C are both wrong, so B.", "B"),
        ("C can't be right: B", "B"),
        ("B) Paris\n\nA) is wrong, for Rome is in Italy.", "B"),
        ("A dog is an animal. B", "B"),
    ],
)
def test_the_option_that_an_answer_settles_on(text: str, letter: str) -> None:
    found = find_choice(text)
    assert isinstance(found, tuple), found
    assert found[0] == letter


@pytest.mark.parametrize(
    "text",
    [
        "",
        "Paris",
        "A dog is an animal.",
        "The answer is a dog.",
        "I am not sure.",
        "It is in a box",
        "not B",
        "The answer is not B.",
        "A or B",
        "A, B",
        "Either A or B is right.",
        "(A) or (B)",
        "The answer is A. The answer is B.",
        "Both A and C are correct.",
        "vitamin C3",
        "B-flat",
        "E",
    ],
)
def test_no_option_or_two_are_none(text: str) -> None:
    assert isinstance(find_choice(text), str)
    assert scorers.choice_letter(value="B")(CASE, Response(text)).outcome is Outcome.INVALID


def test_only_the_letters_that_are_offered_count() -> None:
    assert find_choice("E", "ABCDE") == ("E", True)
    assert find_choice("**D**, no: **B**", "AB") == ("B", False)
    assert find_choice("The answer is I.", "HIJ") == ("I", True)


@given(st.text() | st.text(alphabet="ABCDab ().:,*\\boxed{}answer is not or\n"))
def test_any_text_has_a_choice_or_none(text: str) -> None:
    found = find_choice(text)
    assert isinstance(found, str) or found[0] in "ABCD"


# --- lists -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "items"),
    [
        ("", []),
        ("red", ["red"]),
        ("red and blue", ["red", "blue"]),
        ("red, green, and blue.", ["red", "green", "blue"]),
        ("red, green & blue", ["red", "green", "blue"]),
        ("rot, grün und blau", ["rot", "grün", "blau"]),
        ("salt and pepper; oil", ["salt and pepper", "oil"]),
        ("- red\n- green", ["red", "green"]),
        ("Here:\n\n1. red\n2) green\n(3) blue\n\nDone.", ["red", "green", "blue"]),
        ("a) red\nb) green", ["red", "green"]),
        ("* **red**\n* green", ["red", "green"]),
        ("red\ngreen", ["red", "green"]),
        ('["red", 2, "a, b"]', ["red", "2", "a, b"]),
        ('```json\n["red"]\n```', ["red"]),
    ],
)
def test_the_items_of_a_list(text: str, items: list[str]) -> None:
    assert list_items(text) == items


def test_a_list_stands_behind_its_marker_between_its_separators() -> None:
    assert list_items("x, y. List: a, b", after="List:") == ["a", "b"]
    assert list_items("List: x\nList: a, b", after="List:") == ["a", "b"]
    assert list_items("a, b", after="List:") == []
    assert list_items("a, b | c", separator="|") == ["a, b", "c"]


@pytest.mark.parametrize(
    ("values", "text", "options", "outcome"),
    [
        (["a", "b"], "b, a", {}, "passed"),
        (["a", "b"], "b, a", {"ordered": True}, "missed"),
        (["A"], "a", {}, "passed"),
        (["A"], "a", {"normalize": []}, "missed"),
        (["a", "b"], "", {}, "invalid"),
        (["a", "b", "c"], "a, b", {"partial": True, "at_least": 0.8}, "passed"),
        (["a", "b", "c"], "b, a", {"partial": True, "at_least": 0.8, "ordered": True}, "missed"),
    ],
)
def test_lists_are_compared_item_by_item(
    values: list[str], text: str, options: dict[str, object], outcome: str
) -> None:
    check = {"type": "list", "values": values, **options}
    case = Case("c", (Message("user", "?"),), checks=(check,))
    assert str(score(case, Response(text)).outcome) == outcome


def test_values_that_become_the_same_are_refused() -> None:
    with pytest.raises(ValueError, match="two of them are the same after `normalize`"):
        scorers.list(values=["A", "a"])
    scorers.list(values=["a", "a"])


# --- numbers with units ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("unit", "text", "outcome"),
    [
        ("€", "5 €", "passed"),
        ("€", "€5", "passed"),
        ("€", "€4, then €5, for 3 people", "passed"),
        ("€", "5", "missed"),
        ("€", "$5", "missed"),
        ("€", "€6", "missed"),
        ("km", "5 km in 2 hours", "passed"),
        ("km", "5km", "passed"),
        ("km", "km 5", "missed"),
        ("km", "5 kmh", "missed"),
        (["EUR", "€"], "5 EUR", "passed"),
        ({"km": 1, "m": 0.001}, "5000 m", "passed"),
        ({"km": 1, "m": 0.001}, "5000 km", "missed"),
        ("km", "5 km/h", "missed"),
        ("m", "5 m^2", "missed"),
        ("km", "5 km / 3 miles", "passed"),
        ("EUR", "EUR 5", "passed"),
        ("EUR", "NEUR 5", "missed"),
    ],
)
def test_a_number_needs_its_unit(unit: object, text: str, outcome: str) -> None:
    check = {"type": "number", "value": 5, "unit": unit}
    case = Case("c", (Message("user", "?"),), checks=(check,))
    assert str(score(case, Response(text)).outcome) == outcome


@pytest.mark.parametrize(
    ("locale", "text", "value"),
    [
        ("en", "1,234.5", 1234.5),
        ("de", "1.234,5", 1234.5),
        ("fr", "1\u202f234,5", 1234.5),
        ("ch", "1'234.5", 1234.5),
        ("in", "12,34,567", 1234567),
        ("en", "12,34,567", None),
        ("en", r"\boxed{1{,}234}", 1234),
        ("en", r"1\,234\,567", 1234567),
        ("de", r"1{.}234,5", 1234.5),
        ("en", "答えは１２３４です", 1234),
        ("en", "答案是72", 72),
        ("en", "温度是-5度", -5),
        ("en", "the A4 paper", None),
        ("en", "It was –5 °C.", -5),
        ("en", "pages 3–5", 5),
    ],
)
def test_numbers_are_spelled_as_in_their_country(locale: str, text: str, value: float | None) -> None:
    found = scorers.number(value=1 if value is None else value, locale=locale)(CASE, Response(text)).outcome
    assert (found is Outcome.PASSED) is (value is not None)
