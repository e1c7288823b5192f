"""The `instruction` check: the 25 verifiable instructions of IFEval, strict and loose.

Source: Zhou et al., "Instruction-Following Evaluation for Large Language Models", arXiv:2311.07911 (2023).
The tests compare every kind with the implementation that lm-eval ships, where it is installed.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from harness.cases import Case, Response, Score
from harness.files.json_schema import violations
from harness.registry import did_you_mean
from harness.scoring.check_type import Example, Scorer, declare_check
from harness.scoring.checks.instruction_kind import InstructionKind
from harness.scoring.checks.instruction_layout import LAYOUT_INSTRUCTIONS
from harness.scoring.checks.instruction_words import WORD_INSTRUCTIONS
from harness.scoring.checks.parameters import FLAG

__all__ = ["INSTRUCTIONS", "follows", "instruction", "loose_forms"]

INSTRUCTIONS: Mapping[str, InstructionKind] = {
    kind.id: kind for kind in (*LAYOUT_INSTRUCTIONS, *WORD_INSTRUCTIONS)
}
"""The kinds by id."""


def _example(id: str, accepts: str, rejects: str, **arguments: Any) -> Example:
    return Example({"id": id, "arguments": arguments}, (accepts,), (rejects,))


@declare_check(
    "instruction",
    parameters={
        "id": {"type": "string", "enum": sorted(INSTRUCTIONS)},
        "arguments": {"type": "object"},
        "loose": FLAG,
    },
    examples=(
        _example("keywords:existence", "Sun and rain.", "Only sun.", keywords=["sun", "rain"]),
        _example("keywords:frequency", "a go, a go", "a go", keyword="go", frequency=2, relation="at least"),
        _example("keywords:forbidden_words", "Fine day.", "Bad day.", forbidden_words=["bad"]),
        _example(
            "keywords:letter_frequency",
            "Zaz",
            "abc",
            letter="z",
            let_frequency=2,
            let_relation="at least",
        ),
        _example(
            "language:response_language",
            "Das ist ein ganzer Satz über das Wetter in Berlin.",
            "This is a whole sentence about the weather in Berlin.",
            language="de",
        ),
        _example("length_constraints:number_words", "one two", "1 2 3", num_words=3, relation="less than"),
        _example(
            "length_constraints:number_sentences",
            "Dr. No came. He left!",
            "Dr. No came and left.",
            num_sentences=2,
            relation="at least",
        ),
        _example("length_constraints:number_paragraphs", "a\n***\nb", "a\n\nb", num_paragraphs=2),
        _example(
            "length_constraints:nth_paragraph_first_word",
            "Hello.\n\n'Well', he said.",
            "Hello.\n\nOh well.",
            num_paragraphs=2,
            nth_paragraph=2,
            first_word="well",
        ),
        _example("detectable_content:number_placeholders", "Dear [name]", "Dear Ann", num_placeholders=1),
        _example("detectable_content:postscript", "Bye.\nP.S. More.", "Bye.", postscript_marker="P.S."),
        _example("detectable_format:number_bullet_lists", "* a\n* b", "* a\n- b\n- c", num_bullets=2),
        _example("detectable_format:constrained_response", "My answer is no.", "No."),
        _example("detectable_format:number_highlighted_sections", "*a* **b**", "a **", num_highlights=2),
        _example(
            "detectable_format:multiple_sections",
            "SECTION 1\na\nSECTION 2\nb",
            "SECTION 1\na",
            section_spliter="SECTION",
            num_sections=2,
        ),
        _example("detectable_format:json_format", '```json\n{"a": 1}\n```', "a: 1"),
        _example("detectable_format:title", "<<Ode to joy>>\nO friends", "<< >>\nO friends"),
        _example("combination:two_responses", "one\n******\ntwo", "one\n******\none"),
        _example("combination:repeat_prompt", "Why? Because.", "Because.", prompt_to_repeat="Why?"),
        _example("startend:end_checker", "So be it. The end.", "The end. Or not.", end_phrase="the end."),
        _example("startend:quotation", '"All of it."', '"A part" of it.'),
        _example(
            "change_case:capital_word_frequency",
            "WOW, a WELL-KNOWN thing",
            "Wow",
            capital_frequency=2,
            capital_relation="at least",
        ),
        _example(
            "change_case:english_capital",
            "THIS IS A WHOLE SENTENCE ABOUT THE WEATHER.",
            "This is a whole sentence about the weather.",
        ),
        _example(
            "change_case:english_lowercase",
            "this is a whole sentence about the weather.",
            "This is a whole sentence about the weather.",
        ),
        _example("punctuation:no_comma", "Well then.", "Well, then."),
        Example(
            {"id": "startend:quotation", "loose": True},
            ('Sure:\n"All of it."', '**"All."**'),
            ("All of it.",),
        ),
    ),
)
def instruction(id: str, arguments: Mapping[str, Any] | None = None, loose: bool = False) -> Scorer:
    """The answer follows an instruction that a program can verify: `id` is one of IFEval's 25, such as
    `keywords:existence`, with its `arguments` (those that are null do not count). `loose` also accepts it
    without its first line, its last line, or its asterisks. Kinds about language need py3langid.
    """  # noqa: D205  (one paragraph is the documentation of the check)
    kind = INSTRUCTIONS.get(id)
    if kind is None:
        raise ValueError(f"id: unknown instruction {id!r}{did_you_mean(id, list(INSTRUCTIONS))}")
    given = {name: value for name, value in (arguments or {}).items() if value is not None}
    if problems := violations(kind.schema, given):
        raise ValueError(f"arguments of {id}: {'; '.join(problems)}")
    kind.ready(given)

    def scorer(case: Case, response: Response) -> Score:
        if not follows(kind, given, response.text, loose=loose):
            return Score.missed(f"does not follow {id}{_said(given)}")
        if response.truncated and not kind.final(given):
            return Score.invalid(f"the answer was cut off, so {id} is not known")
        return Score.passed()

    return scorer


def follows(kind: InstructionKind, arguments: Mapping[str, Any], text: str, *, loose: bool = False) -> bool:
    """Whether a text follows an instruction; a blank text follows none."""
    forms = loose_forms(text) if loose else iter((text,))
    return any(form.strip() and kind.follows(form, **arguments) for form in forms)


def loose_forms(text: str) -> Iterator[str]:
    """Yield the text, and what is left without its first, last, or both outer lines; each without asterisks.

    Models announce an answer, close it politely, and set it in bold; the loose score forgives that.
    """
    lines = text.split("\n")
    for form in (text, *("\n".join(part).strip() for part in (lines[1:], lines[:-1], lines[1:-1]))):
        yield form
        yield form.replace("*", "")


def _said(arguments: Mapping[str, Any]) -> str:
    shown = ", ".join(f"{name}={value!r}" for name, value in arguments.items())
    return f" ({shown if len(shown) <= 120 else shown[:119] + '…'})" if shown else ""
