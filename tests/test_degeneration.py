from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.cases import Case, Message, Response
from harness.scoring import score
from harness.scoring.text.degeneration import (
    distinct_n,
    find_loop,
    form_of,
    main_script,
    opening_of,
    self_bleu,
)

PROSE = (
    "The harbour was quiet when the ferry came in. Two men on the pier took its ropes, and a child waved. "
    "Nobody had expected the fog to lift so early, least of all the captain, who had slept badly. By noon "
    "the market was open, and the price of herring had gone up again, as it does whenever the wind turns."
)


@pytest.mark.parametrize(
    "text",
    [
        "No. " * 20,
        "No.." * 15,  # as short as a loop can be
        PROSE + " and so on" * 10,
        PROSE + "\n" + "I am a model.\n" * 12 + "I am a",
        "\n".join(f"{n}) The answer to question {n} is that it depends on the data." for n in range(20)),
        "哈" * 100,
        "שלום עולם " * 20,
        "\ud800" * 3 + "ab" * 100,
    ],
)
def test_loops_are_found(text: str) -> None:
    assert find_loop(text) is not None


@pytest.mark.parametrize(
    "text",
    [
        "",
        PROSE,
        "ha ha ha",
        "no, no, no, no!",
        "=" * 500,
        "| a | b |\n|---|---|\n" + "".join(f"| {n} | {n * n} |\n" for n in range(9)),
        "for i in range(3):\n    for j in range(3):\n        print(i, j)\n",
        "\n".join(f"{n} | {n * 7} | {n * n} | {n + 3} | {2 * n}" for n in range(30)),
        "Row, row, row your boat, gently down the stream. " * 2,
    ],
)
def test_repetition_that_people_write_is_no_loop(text: str) -> None:
    assert find_loop(text) is None


@given(st.text())
def test_any_text_is_read(text: str) -> None:
    find_loop(text)
    main_script(text)
    form_of(text)
    opening_of(text)
    distinct_n([text])


@pytest.mark.parametrize("text", ["ab" * 500_000, "x y " * 300_000, "a" * 999_999, "a b" + "c " * 500_000])
def test_long_texts_take_linear_time(text: str) -> None:
    started = time.perf_counter()
    assert find_loop(text) is not None
    main_script(text)
    assert time.perf_counter() - started < 5


@pytest.mark.parametrize(
    ("text", "script"),
    [
        ("That works.", "Latin"),
        ("Да, можно: use `x`.", "Cyrillic"),
        ("これは漢字です。", "Japanese"),
        ("这可以。", "Han"),
        ("مرحبا (hello)", "Arabic"),
        ("```python\nprint('x')\n```\nГотово", "Cyrillic"),
        ("123 !?", None),
        ("", None),
    ],
)
def test_the_script_of_a_text(text: str, script: str | None) -> None:
    assert main_script(text) == script


def test_an_answer_in_another_script_than_its_question_is_missed() -> None:
    case = Case("c", (Message("user", "Wie geht es dir?"),), checks=({"type": "script"},))
    assert str(score(case, Response("Gut, danke.")).outcome) == "passed"
    assert score(case, Response("我很好。")).explanation == "script: written in Han, expected Latin"


def test_an_answer_that_was_cut_off_does_not_end_by_itself() -> None:
    case = Case("c", (Message("user", "?"),), checks=({"type": "ends_by_itself"},))
    assert str(score(case, Response("Yes", finish_reason="length")).outcome) == "missed"
    assert str(score(case, Response("Yes")).outcome) == "passed"


def test_distinct_n_is_the_share_of_runs_that_differ() -> None:
    assert distinct_n(["a b a b a"], 2) == 0.5
    assert distinct_n(["a b", "c d"], 2) == 1.0
    assert distinct_n(["", "a"], 2) is None


def test_self_bleu_is_how_far_each_text_is_made_of_the_others() -> None:
    pytest.importorskip("sacrebleu")
    same, other = "the cat sat on the mat", "a dog ran through our garden"
    assert self_bleu([same] * 3) == pytest.approx(1.0)
    assert self_bleu([same, other]) == pytest.approx(0.0, abs=0.05)
    mixed = self_bleu([same, same, other])
    assert mixed is not None
    assert 0.6 < mixed < 0.7  # two of three are there word for word
    assert self_bleu([same]) is None
    assert self_bleu(["", ""]) == 0.0
