r"""Which number of a text is its answer: the marked one, or else the last.

A mark is `\boxed{…}`, `#### …`, `<answer>…</answer>`, an `answer` field of JSON, "final answer: …", and "the
answer is …" with the number right behind it. A mark that holds no number, or two, has no answer; so has a
last number that is one of two ("5 or 6"), a bound ("at most 5") or denied ("not 5").
"""

from __future__ import annotations

import re
from decimal import Decimal
from typing import NamedTuple

from harness.scoring.text.number_text import Quantity, find_quantities, value_of
from harness.scoring.text.number_value import evaluate
from harness.scoring.text.number_words import find_number_words

__all__ = ["NumberAnswer", "answered_number", "number_in"]


class NumberAnswer(NamedTuple):
    """The number that a text gives.

    Attributes:
        value: Its value.
        end: Where it ends.
        marked: Whether the text marks it as its answer.
    """

    value: Decimal
    end: int
    marked: bool


_BOXED = re.compile(r"\\f?boxed\s*\{")
_THOUGHT = re.compile(r"<think(?:ing)?>.*?(?:</think(?:ing)?>|\Z)", re.DOTALL)
_STRONG = re.compile(
    r"####|<answer>|[\"']answer[\"']\s*:"
    r"|\bfinal\s+(?:answer|result)[*_\"']*(?:\s+is\b|\s*[:=])",
    re.IGNORECASE,
)
_WEAK = re.compile(
    r"\b(?:answer|ans|antwort|respuesta|réponse|risposta|resposta|ответ)[*_\"']*"
    r"(?:\s+(?:is|was|would be|must be|ist|es|est|è|é)\b|\s*[:=])|(?:答案|答え|정답)\s*(?:是|为|は|은|:)",
    re.IGNORECASE,
)
_FILLER = re.compile(
    r"(?:[\s*_~≈`(\[{\"':>]|\$(?![0-9.])|\$(?=[0-9\\][^$]*\$)"
    r"|\b(?:therefore|thus|simply|just|about|approximately|exactly|roughly|equal to|that|so|is)\b"
    r"|[a-zA-Z]\w{0,12}\s*=)*"
)
_RETRACTED = re.compile(
    r"\b(?:wait|actually|correction|sorry|oops|mistake|scratch that|hmm|rather|no)\b[^0-9]{0,60}[0-9]",
    re.IGNORECASE,
)
_DENIED = re.compile(
    r"(?:\b(?:not|never|neither|rather than|instead of|unlike)|n't)\s*"
    r"(?:(?:be|equal to|the answer|simply|just|exactly|about|is|really)\s*)*[$*_(\s]*\Z",
    re.IGNORECASE,
)
_ONE_OF_TWO = re.compile(
    r"(?:\bor|\bnor|\boder|\bou|\bor about)\s*[$*_~(]*\s*\Z|(?:±|\+/-|\+-)\s*\Z", re.IGNORECASE
)
_BOUND = re.compile(
    r"(?:\b(?:more|less|fewer|greater|larger|smaller|higher|lower) than|\bat (?:least|most)|\bup to"
    r"|\w\s+[<>]=?|[≤≥])\s*[$*_(]*\s*\Z",
    re.IGNORECASE,
)
_BETWEEN = re.compile(r"\bbetween\b[^.;\n]{1,40}\band\s*[$*_(]*\s*\Z", re.IGNORECASE)
_OPERATOR = re.compile(r"\s*(?P<sign>[-+*/×÷·]|x(?=\s*[0-9$]))\s*(?:[$*_(]\s*)*\Z")
_EQUALS = re.compile(r"[^=\n]{0,30}?[=≈]\s*[^0-9=\n.]{0,12}\Z")
_SAYS = re.compile(
    r"(?:\b(?:is|are|was|were|equals|makes|total of|gives|answer|result|has|have|takes?)|=|:|\A)\s*"
    r"(?:(?:about|approximately|exactly|roughly|now|only|just|a total of)\s*)*[*_\"']*\Z",
    re.IGNORECASE,
)
_UNIT = re.compile(
    r"[ \u00a0]?(?:[%°€£¥$]|[a-zA-Zµμ°%][\w/·^²³{}-]*\.?)?"
    r"(?:[ \u00a0][a-zA-Z][\w/^²³-]*){0,2}[ \u00a0]?[.!]?\Z"
)


def answered_number(text: str, locale: str = "en") -> NumberAnswer | str:
    """Return the number that a text gives as its answer, or say why it gives none.

    Args:
        text: As `plain_numbers` gives it.
        locale: Of `LOCALES`.
    """
    text = _THOUGHT.sub(" ", text)
    if boxes := list(_BOXED.finditer(text)):
        return _boxed(text, boxes[-1].end(), locale)
    quantities = sorted(
        (*find_quantities(text, locale), *find_number_words(text)), key=lambda quantity: quantity.start
    )
    strong, weak = list(_STRONG.finditer(text)), list(_WEAK.finditer(text))
    for marks in (strong, weak):
        for mark in reversed(marks):
            answer = _marked(text, mark, quantities, strong=marks is strong)
            if answer is not None:
                return answer
    return _last(text, quantities, locale)


def number_in(text: str, start: int, end: int, locale: str = "en") -> NumberAnswer | str:
    """Return the number that a part of a text gives: its first, or what a calculation there comes to."""
    part = text[start:end]
    digits = list(find_quantities(part, locale))
    quantities = digits or list(find_number_words(part))
    if not quantities:
        return "no number"
    answer = _calculated(part, quantities, 0)
    if isinstance(answer, str):
        return answer
    return NumberAnswer(answer.value, start + answer.end, True)


def _boxed(text: str, start: int, locale: str) -> NumberAnswer | str:
    depth, end = 1, start
    while end < len(text) and depth:
        depth += {"{": 1, "}": -1}.get(text[end], 0)
        end += 1
    content = text[start : end - 1].strip() if depth == 0 else ""
    result = " ".join(re.split(r"[=≈]", content)[-1].split())
    bare = re.sub(r"[\s$€£¥]*(.*?)[\s$%°]*\Z", r"\1", result, flags=re.DOTALL).rstrip(".")
    value = (
        value_of(bare, locale)
        if not re.search(r"[0-9]\s?,\s?[0-9]{1,2}(?![0-9])", bare) or locale in ("de", "fr")
        else None
    )
    if value is None:
        found = [*find_quantities(result, locale)] or [*find_number_words(result)]
        whole = len(found) == 1 and not re.search(
            r"[-+*/×^±≤<>]|\bor\b|\bnot\b", result[: found[0].start] + result[found[0].end :].split("^")[0]
        )
        unit = whole and (_UNIT.match(result[found[0].end :]) or not result[found[0].end :].strip())
        if not (whole and unit and not re.search(r"[a-zA-Z]\s*\Z", result[: found[0].start])):
            return "the boxed answer is no number"
        value = found[0].value
    return NumberAnswer(value, end, True) if value is not None else "the boxed answer is no number"


def _marked(
    text: str, mark: re.Match[str], quantities: list[Quantity], *, strong: bool
) -> NumberAnswer | str | None:
    """Return the number behind a mark; None where the mark does not decide."""
    filler = _FILLER.match(text, mark.end())
    start = mark.end() if filler is None else filler.end()
    index = next((index for index, one in enumerate(quantities) if one.end > start), None)
    if strong and mark.group().startswith(("####", "<")):
        line_end = min(
            (place for place in (text.find("\n", start), text.find("<", start)) if place >= 0),
            default=len(text),
        )
        if index is not None and quantities[index].start >= line_end:
            index = None
    if index is None:
        return f"no number behind {mark.group().strip()!r}" if strong else None
    near = quantities[index].start <= start + (40 if strong else 0)
    between = text[start : quantities[index].start]
    if not near or (strong and re.search(r"[.!?]\s|\n\s*\n", between)):
        return None
    if _DENIED.search(between):
        return f"the answer is said not to be {text[quantities[index].start : quantities[index].end]}"
    line_end = text.find("\n", quantities[index].start)
    line = text[: len(text) if line_end < 0 else line_end]
    answer = _calculated(line, [one for one in quantities if one.end <= len(line)], index)
    if isinstance(answer, str):
        return answer
    if not strong and re.search(r"[=≈]", text[quantities[index].end : answer.end]) and mark.start() < 3:
        return None  # "Answer: 48 / 2 = 24 in May. Then …" begins to reason
    if _RETRACTED.search(text, answer.end):
        return "the answer is taken back"
    return NumberAnswer(answer.value, answer.end, True)


def _calculated(text: str, quantities: list[Quantity], index: int) -> NumberAnswer | str:
    """Return the quantity at an index, or what the calculation that begins with it comes to."""
    current, operands = quantities[index], 1
    equation = False
    for following in quantities[index + 1 :]:
        between = text[current.end : following.start]
        signed = text[following.start : following.start + 1] in "-+"
        if _EQUALS.fullmatch(between):
            current, equation, operands = following, True, 1
        elif _OPERATOR.fullmatch(between) or (signed and not between.strip()):
            current, operands = following, operands + 1
        elif re.fullmatch(r"[^.;\n=]{0,20}?(?:\bor\b|±|\+/-)\s*[$*_~(]*", between):
            return "two numbers are given as the answer"
        else:
            break
    shown = text[quantities[index].start : current.end]
    if operands > 1:
        value = evaluate(shown.rpartition("=")[2].replace("$", ""))
        if value is None or equation or ("-" in shown[1:] and " - " not in shown):
            return f"no result of {shown[:40]!r}"
        return NumberAnswer(value, current.end, True)
    if current.value is None:
        return f"{text[current.start : current.end][:40]!r} has no certain value"
    return NumberAnswer(current.value, current.end, True)


def _last(text: str, quantities: list[Quantity], locale: str) -> NumberAnswer | str:
    digits = list(find_quantities(text, locale))
    words = list(find_number_words(text))
    chosen = _last_that_holds(text, digits)
    if not digits:
        if len(words) > 1:
            words = [one for one in words if _SAYS.search(text[: one.start])][-1:] or words
        if len(words) == 1:
            is_one = text[words[0].start : words[0].end].casefold() in ("one", "zero")
            alone = not re.sub(r"[\W_]|\b(?:only|just)\b", "", text[: words[0].start] + text[words[0].end :])
            if not is_one or alone or _SAYS.search(text[: words[0].start]):
                chosen = _last_that_holds(text, words)
    else:
        later = [
            one
            for one in words
            if one.start > digits[-1].end
            and _SAYS.search(text[: one.start])
            and not re.match(r"\s*of\b", text[one.end :])
        ]
        if later and (isinstance(chosen, str) or later[-1].value != chosen.value):
            chosen = _last_that_holds(text, later[-1:])
    return chosen


def _last_that_holds(text: str, quantities: list[Quantity]) -> NumberAnswer | str:
    denied = None
    for one in reversed(quantities):
        before = text[max(0, one.start - 60) : one.start]
        shown = text[one.start : one.end][:40]
        if _DENIED.search(before):
            denied = shown
            continue
        if one.value is None:
            return f"{shown!r} has no certain value"
        if _ONE_OF_TWO.search(before) or _BETWEEN.search(before):
            return f"{shown} is one of several numbers that are given"
        if _BOUND.search(before):
            return f"{shown} is a bound, not a value"
        return NumberAnswer(one.value, one.end, False)
    return "no number in the answer" if denied is None else f"the answer is said not to be {denied}"
