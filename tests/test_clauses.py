from __future__ import annotations

import pytest

from harness.scoring.text.agreement import find_contradiction, number_of
from harness.scoring.text.clauses import clauses, denies, opening, spelled_out

RULES = (
    "I'm sorry, that is not possible: returns are accepted within 30 days of delivery.",
    "Unfortunately items marked FINAL are not taken back unless they are faulty.",
    "Please write to Ms Arndt before Friday.",
)


@pytest.mark.parametrize(
    ("text", "denied"),
    [
        ("We can't take it back.", True),
        ("It is impossible.", True),
        ("It is not impossible.", False),
        ("Not only socks are taken back.", False),
        ("It is not taken back unless it is faulty.", False),
        ("Call without delay.", False),
        ("There's no problem.", False),
        ("It is free.", False),
    ],
)
def test_a_clause_denies_by_an_odd_number_of_denials(text: str, denied: bool) -> None:
    assert denies(text) is denied


@pytest.mark.parametrize(
    ("text", "stance"),
    [
        ("Sorry, no.", "no"),
        ("Hello, unfortunately we can't.", "no"),
        ("Thanks for asking! Yes, it is.", "yes"),
        ("Of course.", "yes"),
        ("No problem, send it.", "yes"),
        ("We will see.", None),
        ("Know that it is free.", None),
    ],
)
def test_the_opening_of_an_answer_says_yes_or_no(text: str, stance: str | None) -> None:
    assert opening(text) == stance


def test_clauses_end_where_another_claim_begins() -> None:
    assert [clause.text for clause in clauses("It's free, but slow; call us because we know.")] == [
        "it is free",
        "slow",
        "call us",
        "we know.",
    ]
    assert spelled_out("I can't, won't and cannot") == "I can not, will not and can not"


@pytest.mark.parametrize(
    "wrong",
    [
        "I'm sorry, that is possible: returns are accepted within 30 days of delivery.",
        "That is not possible: returns are accepted within 61 days of delivery.",
        "Items marked FINAL are taken back unless they are faulty.",
        "Please write to Ms Ottokar before Friday.",
        "Please write to Ms Arndt after Friday.",
        "Please write to Ms Arndt before Sunday.",
        "Please do not write to Ms Arndt before Friday.",
        "Yes, of course.",
    ],
)
def test_a_contradiction_is_found(wrong: str) -> None:
    assert find_contradiction(wrong, RULES) is not None


@pytest.mark.parametrize(
    "right",
    [
        "Returns are accepted up to 30 days after delivery, so that isn't possible any more.",
        "Items marked FINAL are taken back only if they are faulty.",
        "Ms Arndt can help: write to her before Friday.",
        "Sorry, that is impossible.",
        "Unfortunately not: you are ten days too late.",
    ],
)
def test_another_wording_is_no_contradiction(right: str) -> None:
    assert find_contradiction(right, RULES) is None


def test_numbers_have_one_spelling() -> None:
    spelled = {"4,50": "4.5", "4.50": "4.5", "1,000": "1000", "1.000": "1000", "seven": "7", "14:00": "14:00"}
    assert {word: number_of(word) for word in spelled} == spelled
    assert number_of("one") is None
