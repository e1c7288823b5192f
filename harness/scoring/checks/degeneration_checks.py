"""Degeneration: loops, answers that never end, other scripts.

How often each of them happens is also shown beside every verdict, whatever a case checks.
"""

from __future__ import annotations

from harness.cases import Case, Response, Score
from harness.scoring.check_type import Example, Scorer, declare_check
from harness.scoring.text.degeneration import SCRIPT_NAMES, find_loop, main_script

__all__ = ["ends_by_itself", "no_loop", "script"]


@declare_check(
    "no_loop",
    examples=(
        Example(
            {},
            ("It is a long way, and then it is a short one.", "| a | b |\n|---|---|\n" + "-" * 200),
            (
                "Yes. " * 40,
                "Well. " + "I am not sure about it, but " * 9,
                "".join(f"{n}. I am happy to help you with that today.\n" for n in range(40)),
                "很好。" * 40,
            ),
        ),
    ),
)
def no_loop() -> Scorer:
    """The answer does not repeat itself over and over.

    It does where it ends in one phrase at least four times over 60 characters or more, or where more than
    half of its runs of eight words have been there before.
    """

    def scorer(case: Case, response: Response) -> Score:
        loop = find_loop(response.text)
        return Score.passed() if loop is None else Score.missed(f"repeats {loop!r}", loop)

    return scorer


@declare_check(
    "ends_by_itself",
    examples=(Example({}, ("Yes.", Response("Yes.", "stop")), (Response("Yes, and then", "length"),)),),
)
def ends_by_itself() -> Scorer:
    """The answer ends by itself, not at max_tokens."""

    def scorer(case: Case, response: Response) -> Score:
        return Score.missed("cut off at max_tokens") if response.truncated else Score.passed()

    return scorer


@declare_check(
    "script",
    parameters={
        "value": {
            "type": "string",
            "enum": ["question", *SCRIPT_NAMES],
        }
    },
    examples=(
        Example({"value": "Cyrillic"}, ("Это можно.",), ("That works.", "这可以。")),
        Example({"value": "Japanese"}, ("それは可能です。",), ("这可以做到。",)),
    ),
)
def script(value: str = "question") -> Scorer:
    """Most letters of the answer are of the writing system `value`: that of the `question`, or one by name.

    Han beside kana is Japanese; code blocks do not count. An answer without letters passes.
    """

    def scorer(case: Case, response: Response) -> Score:
        asked = case.turns[-1] if case.turns else case.input
        wanted = main_script(asked) if value == "question" else value
        found = main_script(response.text)
        if wanted is None or found is None or found == wanted:
            return Score.passed(found)
        return Score.missed(f"written in {found}, expected {wanted}", found)

    return scorer
