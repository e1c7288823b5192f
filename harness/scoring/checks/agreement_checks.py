"""Nothing against what is right, and not just the question back: `agrees` and `own_words`."""

from __future__ import annotations

from collections.abc import Sequence

from harness.cases import Case, Response, Score
from harness.scoring.check_type import Example, Scorer, declare_check
from harness.scoring.checks.parameters import TEXTS
from harness.scoring.text.agreement import find_contradiction
from harness.scoring.text.clauses import plain_words
from harness.scoring.text.normal_text import quoted

__all__ = ["agrees", "own_words"]

_LEAST_WORDS = 4


@declare_check(
    "agrees",
    parameters={"references": TEXTS},
    examples=(
        Example(
            {
                "references": [
                    "Returns are accepted within 30 days of delivery.",
                    "No, a worn dress is not taken back.",
                ]
            },
            accepts=(
                "We accept returns up to 30 days after delivery.",
                "No: what was worn is not taken back.",
                "Please ask us again.",
            ),
            rejects=(
                "Returns are accepted within 61 days of delivery.",
                "Returns are not accepted within 30 days of delivery.",
                "Yes, a worn dress is taken back.",
            ),
        ),
    ),
)
def agrees(references: Sequence[str] = ()) -> Scorer:
    """The answer says nothing against the `references` (default: the case's `accepts`): English, by rules.

    Clauses with the same content words must agree in yes or no, in "not", in numbers, days, months and
    names, and in words that have an opposite. A clause that no reference speaks of is let pass: this screens
    contradictions, and another check asks for what must be said.
    """

    def scorer(case: Case, response: Response) -> Score:
        known = references or case.accepts
        given = "\n".join(message.content for message in case.messages)
        contradiction = find_contradiction(response.text, tuple(known), given)
        if contradiction is None:
            return Score.passed()
        return Score.missed(
            f"{quoted(contradiction.said)} contradicts {quoted(contradiction.against)}: {contradiction.why}"
        )

    return scorer


@declare_check(
    "own_words",
    examples=(
        Example(
            {},
            accepts=("It opens at nine.", "You asked when the shop opens: at nine."),
            rejects=("When does the shop open?", "I can't say. When does the shop open?"),
            question="When does the shop open?",
        ),
    ),
)
def own_words() -> Scorer:
    """The answer does not hold a message of the conversation in whole (of four words and more): no echo."""

    def scorer(case: Case, response: Response) -> Score:
        answer = f" {' '.join(plain_words(response.text))} "
        for message in case.messages:
            words = plain_words(message.content)
            if len(words) >= _LEAST_WORDS and f" {' '.join(words)} " in answer:
                return Score.missed(f"repeats the {message.role}'s message")
        return Score.passed()

    return scorer
