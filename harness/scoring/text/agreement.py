"""Does a text say something against texts that are known to be right?

Clauses that share their content words are compared: where one denies and the other does not, where a number,
a day, a month or a name differs, or one says "before" and the other "after", they contradict each other.
Clauses without a counterpart say something else, which is no contradiction.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Sequence
from dataclasses import dataclass

from harness.scoring.text.clauses import Clause, clauses, opening
from harness.scoring.text.number_words import NUMBER_WORDS

__all__ = ["Contradiction", "find_contradiction", "number_of"]

LEAST_ALIKE = 0.6
"""Jaccard similarity of content words from which two clauses speak of the same thing."""

_STOP_WORDS = """
    a an the of to for in on at by with from and or as is are was were be been being am do does did
    have has had i you we he she it they me us him her them my your our his its their this that
    these those there here then than so too also will would shall please just very really still
    already us s not no yes can could may might must should need needs ought dare
"""
_STOP = frozenset(_STOP_WORDS.split())
_OPPOSITES: tuple[tuple[str, str], ...] = (
    ("before", "after"),
    ("always", "never"),
    ("least", "most"),
    ("more", "less"),
    ("more", "fewer"),
    ("above", "below"),
    ("over", "under"),
    ("all", "none"),
    ("every", "no"),
    ("both", "neither"),
    ("first", "last"),
    ("early", "late"),
    ("earlier", "later"),
    ("increase", "decrease"),
    ("increases", "decreases"),
    ("raise", "lower"),
    ("raises", "lowers"),
    ("higher", "lower"),
    ("high", "low"),
    ("open", "closed"),
    ("hot", "cold"),
    ("warm", "cool"),
    ("left", "right"),
    ("with", "without"),
    ("accept", "reject"),
    ("accepted", "rejected"),
    ("cheaper", "dearer"),
    ("immediately", "later"),
    ("harmless", "harmful"),
    ("today", "tomorrow"),
    ("tomorrow", "yesterday"),
    ("today", "yesterday"),
    ("must", "may"),
    ("start", "stop"),
    ("up", "down"),
    ("win", "lose"),
)
_POSITIVE = {  # a word that denies, and what it denies
    "impossible": "possible",
    "unable": "able",
    "unsafe": "safe",
    "dangerous": "safe",
    "forbidden": "allowed",
    "prohibited": "allowed",
    "incorrect": "correct",
    "inaccurate": "accurate",
    "untrue": "true",
    "false": "true",
    "unnecessary": "necessary",
    "unavailable": "available",
    "excluded": "included",
}
_SIDES = frozenset(pair for a, b in _OPPOSITES for pair in ((a, b), (b, a)))
_OPPOSED = frozenset(word for pair in _SIDES for word in pair)
_PAIR = {word: f"{pair[0]}/{pair[1]}" for pair in reversed(_OPPOSITES) for word in pair}
_DAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
_MONTHS = (
    *("january", "february", "march", "april", "may", "june", "july"),
    *("august", "september", "october", "november", "december"),
)
_DATES = frozenset((*_DAYS, *_MONTHS)) - {"may", "march"}
_NUMBERS = {word: str(value) for word, value in NUMBER_WORDS.items() if word != "one"}  # often a pronoun
_DIGITS = re.compile(r"\d+(?:[.,:]\d+)*%?")
_CAPITAL = re.compile(r"(?<=\w[ ,] )?\b[A-Z]\w+(?:['-]\w+)*")


@dataclass(frozen=True)
class Contradiction:
    """What a text says against another.

    Attributes:
        said: The clause of the text.
        against: The clause that it contradicts.
        why: What differs, in a few words.
    """

    said: str
    against: str
    why: str


@dataclass(frozen=True)
class _Claim:
    """A clause as it is compared."""

    clause: Clause
    content: frozenset[str]
    numbers: frozenset[str]
    dates: frozenset[str]
    opposed: frozenset[str]
    names: frozenset[str]


def find_contradiction(text: str, references: Sequence[str], given: str = "") -> Contradiction | None:
    """Return the first clause of a text that contradicts the references, or None.

    Args:
        text: The answer, in English.
        references: Texts that are right, in different wordings; a clause that agrees with any of them stands.
        given: What was asked; a number that it holds is no invention.
    """
    openings = {opening(reference) for reference in references} - {None}
    said = opening(text)
    if said and len(openings) == 1 and said not in openings:
        return Contradiction(said, openings.pop() or "", "the answer opens with the opposite")
    known = tuple(claim for reference in references for claim in _claims(reference))
    free_numbers = frozenset(number for claim in (*known, *_claims(given)) for number in claim.numbers)
    for claim in _claims(text):
        if (problem := _against(claim, known, free_numbers)) is not None:
            return problem
    return None


def number_of(word: str) -> str | None:
    """Return a number word or literal in one spelling (`4,50` as `4.5`, `seven` as `7`), or None."""
    if word in _NUMBERS:
        return _NUMBERS[word]
    if not _DIGITS.fullmatch(word):
        return None
    bare = word.rstrip("%")
    if ":" in bare:
        return bare
    if re.fullmatch(r"\d{1,3}(?:,\d{3})+(?:\.\d+)?", bare):
        bare = bare.replace(",", "")
    elif re.fullmatch(r"\d{1,3}(?:\.\d{3})+(?:,\d+)?", bare):
        bare = bare.replace(".", "")
    bare = bare.replace(",", ".")
    if bare.count(".") == 1:
        bare = bare.rstrip("0").rstrip(".")
    return bare


@functools.lru_cache(maxsize=4096)
def _claims(text: str) -> tuple[_Claim, ...]:
    return tuple(map(_claim, clauses(text)))


def _claim(clause: Clause) -> _Claim:
    numbers = frozenset(value for word in clause.words if (value := number_of(word)) is not None)
    content = frozenset(
        _PAIR.get(word) or _stem(_POSITIVE.get(word, word))
        for word in clause.words
        if word not in _STOP and word not in _DATES and number_of(word) is None
    )
    names = frozenset(_stem(name.casefold()) for name in _CAPITAL.findall(clause.text[1:]))
    return _Claim(
        clause,
        content - {"not", "no", "never", "unless"},
        numbers,
        frozenset(clause.words) & _DATES,
        frozenset(clause.words) & _OPPOSED,
        names,
    )


def _against(claim: _Claim, known: Sequence[_Claim], free_numbers: frozenset[str]) -> Contradiction | None:
    """Compare a claim with those that speak of the same thing; it stands when it agrees with one of them."""
    differences = []
    for other in known:
        alike = _alike(claim, other)
        if alike < LEAST_ALIKE:
            continue
        why = _difference(claim, other, free_numbers, alike)
        if why is None:
            return None
        differences.append((alike, Contradiction(claim.clause.text, other.clause.text, why)))
    return max(differences, key=lambda pair: pair[0], default=(0, None))[1]


def _alike(claim: _Claim, other: _Claim) -> float:
    left, right = claim.content, other.content
    if not left and not right:
        bare = bool(claim.numbers or claim.dates) and bool(other.numbers or other.dates)
        return 1.0 if bare or claim.clause.words == other.clause.words else 0.0
    swapped = left ^ right
    if len(swapped) == 2 and len(left - right) == 1 and swapped <= claim.names | other.names:
        return 1.0 if left & right or claim.numbers == other.numbers else 0.0
    return len(left & right) / len(left | right)


def _difference(claim: _Claim, other: _Claim, free_numbers: frozenset[str], alike: float) -> str | None:
    """Return what makes two claims of the same thing contradict each other, or None."""
    if claim.clause.denied != other.clause.denied:
        return "one denies it" if claim.content else None
    if claim.numbers and other.numbers:
        if not claim.numbers & other.numbers:
            return f"{', '.join(sorted(claim.numbers))} instead of {', '.join(sorted(other.numbers))}"
        if invented := claim.numbers - free_numbers:
            return f"{', '.join(sorted(invented))} is in no accepted answer"
    if claim.dates and other.dates and not claim.dates & other.dates:
        return f"{', '.join(sorted(claim.dates))} instead of {', '.join(sorted(other.dates))}"
    for left, right in _SIDES:
        if left in claim.opposed - other.opposed and right in other.opposed - claim.opposed:
            return f"{left} instead of {right}"
    left_only, right_only = claim.content - other.content, other.content - claim.content
    if len(left_only) == len(right_only) == 1 and left_only <= claim.names and right_only <= other.names:
        return f"{next(iter(left_only))} instead of {next(iter(right_only))}"
    return None


def _stem(word: str) -> str:
    """Return a word without the endings that English inflects it by; crude, and alike for both sides."""
    for ending in ("ies", "ing", "ed", "es", "s"):
        if word.endswith(ending) and len(word) - len(ending) >= 3:
            return word[: -len(ending)].rstrip("e")
    return word.rstrip("e") if len(word) > 3 else word
