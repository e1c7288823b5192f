"""Grounding: does the answer state facts that its question does not contain?

Facts are those that can be compared: numbers, dates, identifiers, URLs and, in English, names. What cannot be
compared, such as a claim in plain words, needs a judge.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from typing import Any

from harness.cases import Case, Response, Score
from harness.scoring.check_type import Example, Scorer, declare_check
from harness.scoring.checks.graded import graded
from harness.scoring.checks.parameters import SHARE, TEXT, TEXTS
from harness.scoring.text.facts import KINDS, Fact, find_facts, number_words, spelled
from harness.scoring.text.normal_text import quoted

__all__ = ["grounded", "no_hallucination_markers"]

_BY_DEFAULT = tuple(kind for kind in KINDS if kind != "names")
_MOST_PAIRS = 200  # numbers of a source whose pairs are tried
_MARKERS = re.compile(
    r"\[(?:your|insert|company|customer|recipient|name|date|link|address|phone|amount|order)\b[^\]\n]{0,40}\]"
    r"|\{\{[^}\n]{1,40}\}\}|<(?:insert|your|name|date)\b[^>\n]{0,40}>"
    r"|\bas an? (?:AI|large) (?:language )?model\b|\bas of my (?:last|latest|knowledge|most recent)\b"
    r"|\bmy (?:knowledge|training) (?:cut-?off|data)\b|\blorem ipsum\b|\bexample\.(?:com|org|net)\b"
    r"|\b(?:XXX+|TBD|TODO)\b|\b555-\d{4}\b|\b(?:123-?456-?7890|john\.?doe|jane\.?doe)\b",
    re.IGNORECASE,
)

_KIND_LIST: Mapping[str, Any] = {
    "type": "array",
    "minItems": 1,
    "uniqueItems": True,
    "items": {"type": "string", "enum": list(KINDS)},
}
_WAYS: Mapping[str, Any] = {
    "type": "array",
    "uniqueItems": True,
    "items": {"type": "string", "enum": ["sum", "difference", "product", "quotient"]},
}
_SOURCE = "Order A-17 of 14 March 2026: two lamps at 1,250.50 € and 99 €. Ask Maria Lopez, help@shop.test."


@declare_check(
    "grounded",
    parameters={"source": TEXT, "kinds": _KIND_LIST, "allow": TEXTS, "derived": _WAYS, "at_least": SHARE},
    examples=(
        Example(
            {"source": _SOURCE},
            accepts=(
                "Order a-17 (2026-03-14) cost 1.250,50 euros, for 2 lamps.",
                "1. Write to help@shop.test.\n2. Wait.",
                "No facts here.",
            ),
            rejects=(
                "Order A-18 is on its way.",
                "It was ordered on 15 March.",
                "It cost 1,349.50 €.",
                "See https://shop.test/returns for more.",
            ),
        ),
        Example(
            {"source": _SOURCE, "derived": ["sum"]},
            accepts=("Together 1,349.50 €.",),
            rejects=("Together 1,348.50 €.",),
        ),
        Example(
            {"source": _SOURCE, "kinds": ["names"]},
            accepts=("Please ask Maria Lopez.", "You can ask Mrs Lopez."),
            rejects=("Please ask Peter Lopez.", "It comes from our store in Berlin."),
        ),
        Example(
            {"source": _SOURCE, "at_least": 0.5},
            accepts=("Order A-17 arrives in 5 days.",),
            rejects=("Order A-18 arrives in 5 days.",),
        ),
        Example(
            {"source": _SOURCE, "allow": ["0800 123 45"]},
            accepts=("Call 0800 123 45.",),
            rejects=("Call 0800 123 46.",),
        ),
    ),
)
def grounded(
    source: str | None = None,
    kinds: Sequence[str] = _BY_DEFAULT,
    allow: Sequence[str] = (),
    derived: Sequence[str] = (),
    at_least: float = 1.0,
) -> Scorer:
    """The answer's facts, of the `kinds`, stand in the conversation, in `source` or in `allow`.

    The score is the share that does; an answer without facts passes. Spellings may differ (`1,234.50` and
    `1.234,50 €`, `14 March` and `2026-03-14`). With `derived`, a number may also be the `sum`, `difference`,
    `product` or `quotient` of two numbers of the source (to two decimals), or the sum of them all.
    """

    def scorer(case: Case, response: Response) -> Score:
        messages = [message.content for message in case.messages]
        text = "\n".join([*messages, *case.turns, *allow, *([] if source is None else [source])])
        known = _known(text, derived)
        words = {word.casefold() for word in re.findall(r"\w+", text)}
        facts = find_facts(response.text, tuple(kinds))
        invented = [fact for fact in facts if not _stands(fact, known, words)]
        if not invented:
            return Score.passed(explanation=f"{len(facts)} facts, all in the source" if facts else None)
        names = dict.fromkeys(f"{quoted(fact.text)} ({fact.kind})" for fact in invented)
        said = f"not in the source: {', '.join(itertools.islice(names, 5))}"
        share = 1 - len(invented) / len(facts)
        return graded(share, at_least, "grounded", detail=said)

    return scorer


@declare_check(
    "no_hallucination_markers",
    parameters={"extra": TEXTS},
    examples=(
        Example(
            {"extra": ["our premium team"]},
            accepts=("Dear Maria, your parcel is on its way.",),
            rejects=(
                "Best regards,\n[Your Name]",
                "As of my last update, the shop is open.",
                "Write to support@example.com.",
                "Our premium team will call you.",
            ),
        ),
    ),
)
def no_hallucination_markers(extra: Sequence[str] = ()) -> Scorer:
    """The answer holds no words that stand where a fact is missing.

    Placeholders (`[Your Name]`, `{{date}}`, `example.com`), filler ("as of my knowledge cutoff", "as an AI
    language model") and the `extra` phrases.
    """
    own = [phrase.casefold() for phrase in extra]

    def scorer(case: Case, response: Response) -> Score:
        found = _MARKERS.search(response.text)
        phrase = found.group() if found else None
        text = response.text.casefold()
        phrase = phrase or next((one for one in own if one in text), None)
        if phrase is None:
            return Score.passed()
        if phrase.casefold() in "\n".join(message.content for message in case.messages).casefold():
            return Score.passed(phrase, f"{quoted(phrase)} is the question's own")
        return Score.missed(f"holds {quoted(phrase)}", phrase)

    return scorer


def _known(text: str, derived: Sequence[str]) -> set[tuple[str, str]]:
    known = {(fact.kind, key) for fact in find_facts(text) for key in fact.keys}
    known |= {("dates", f"*{key[4:]}") for kind, key in known if kind == "dates" and key[0] != "*"}
    known |= {("numbers", key[:4]) for kind, key in known if kind == "dates" and key[0] != "*"}
    known |= {("numbers", key) for key in number_words(text)}
    numbers = sorted({Decimal(key) for kind, key in known if kind == "numbers"})[:_MOST_PAIRS]
    return known | {("numbers", spelled(value)) for value in _derived(numbers, derived)}


def _derived(numbers: Sequence[Decimal], ways: Sequence[str]) -> Iterable[Decimal]:
    if "sum" in ways and numbers:
        yield sum(numbers, Decimal(0))
    for one, two in itertools.combinations_with_replacement(numbers, 2) if ways else ():
        if "sum" in ways:
            yield one + two
        if "difference" in ways:
            yield abs(two - one)
        if "product" in ways and one.adjusted() + two.adjusted() < 50:
            yield from _rounded(one * two)
        if "quotient" in ways:
            for top, bottom in ((one, two), (two, one)):
                if bottom and abs(top.adjusted() - bottom.adjusted()) < 50:
                    yield from _rounded(top / bottom)


def _rounded(value: Decimal) -> Iterable[Decimal]:
    yield value
    for places in ("1", "0.1", "0.01"):
        if value.adjusted() < 20:
            yield value.quantize(Decimal(places))


def _stands(fact: Fact, known: set[tuple[str, str]], words: set[str]) -> bool:
    if fact.kind == "names":
        return all(word in words for word in re.findall(r"\w+", fact.text.casefold()) if len(word) > 1)
    return any((fact.kind, key) in known for key in fact.keys)
