"""Where a thought ends and the answer begins, in every family's delimiters."""

from __future__ import annotations

import time

import pytest

from harness.cases import Case, Message, Outcome, Response
from harness.scoring import score, without_thought
from harness.scoring.text.thought import answer_of, ends_in_thought

PAIRS = [
    ("<think>", "</think>"),
    ("<thinking>", "</thinking>"),
    ("<thought>", "</thought>"),
    ("<reasoning>", "</reasoning>"),
    ("<seed:think>", "</seed:think>"),
    ("<mm:think>", "</mm:think>"),
    ("[THINK]", "[/THINK]"),
    ("◁think▷", "◁/think▷"),
    ("<|START_THINKING|>", "<|END_THINKING|>"),
    ("<|channel>thought\n", "<channel|>"),
]
ANALYSIS = "<|channel|>analysis<|message|>Four? Five?"
FINAL = "<|start|>assistant<|channel|>final<|message|>Four"


@pytest.mark.parametrize(("start", "end"), PAIRS)
def test_the_answer_stands_behind_the_thought(start: str, end: str) -> None:
    assert without_thought(f"{start}Five?{end}\n\nFour") == "Four"
    assert without_thought(f"Five?{end}Four") == "Four"
    assert without_thought(f"{start}a{start}b{end}Five?{end}Four") == "Four"
    assert without_thought(f"{start}{end}Four") == "Four"
    assert without_thought(f"{start}Five") == ""
    assert without_thought(f"The mark `{end}` ends it.") == f"The mark `{end}` ends it."
    assert without_thought(f"It is {start}Five?{end} Four") == f"It is {start}Five?{end} Four"
    assert without_thought(f"{start}Its end is `{end}`. Five?{end}Four") == "Four"
    assert ends_in_thought(f"<|im_start|>assistant\n{start}\n")
    assert answer_of(Response("Five", prompt=f"Q: {start}")) == ""
    assert answer_of(Response(f"Five{end}Four", prompt=f"Q: {start}")) == "Four"


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        (f"{ANALYSIS}<|end|>{FINAL}<|return|>", "Four"),
        (f"Five<|end|>{FINAL}", "Four"),
        (ANALYSIS, ""),
        ("<|channel|>commentary<|message|>Four", "Four"),
        (f"<|channel|>commentary to=assistant{ANALYSIS}<|end|>{FINAL}", "Four"),
        ("analysisFour? Five?assistantfinalFour", "Four"),
        ("analysisWe need four", ""),
        ("analysis of the final figures", "analysis of the final figures"),
        ("Hm.\n[BEGIN FINAL RESPONSE]\nFour", "Four"),
        ('<think>He says "five"</think>"Four"', '"Four"'),
        ('Write "</think>" at its end.', 'Write "</think>" at its end.'),
        ("```\nFive</think>\n```\nFour", "```\nFive</think>\n```\nFour"),
        ("<think>a </thinking> b</think>Four", "Four"),
        ("<think>a</think>A </think> more.", "A </think> more."),
    ],
)
def test_channels_quotes_and_mixtures(text: str, answer: str) -> None:
    assert without_thought(text) == answer


@pytest.mark.parametrize(
    "mark", [" ", "<", "<think>", "</think>", '"</think>"', "<|message|>", "<|channel|>", "analysis", "to=a "]
)
def test_one_mark_again_and_again_takes_no_time(mark: str) -> None:
    repeated = mark * (20_000 // len(mark))
    began = time.process_time()  # of this process: others may keep the machine busy
    for text in (repeated, f"<think>{repeated}", f"{repeated}<|message|>{repeated}", f"analysis{repeated}"):
        without_thought(text)
    assert time.process_time() - began < 5


def test_calls_stay_where_they_are_behind_a_thought() -> None:
    call = (
        '<|start|>assistant<|channel|>commentary to=functions.f <|constrain|>json<|message|>{"a": 1}<|call|>'
    )
    assert without_thought(f"{ANALYSIS}<|end|>{call}") == call


def test_a_thought_that_the_prompt_began_is_not_scored() -> None:
    case = Case("c", (Message("user", "?"),), checks=({"type": "contains", "value": "Five"},))
    cut = score(case, Response("Five? Or", "length", prompt="<|im_start|>assistant\n<think>\n"))
    assert (cut.outcome, cut.explanation) == (
        Outcome.INVALID,
        "a thought without an answer: it was cut off",
    )
    ended = Response("<think>Five", detail="the stop string '---' may have ended it")
    assert score(case, ended).explanation == (
        "a thought without an answer: the stop string '---' may have ended it"
    )
