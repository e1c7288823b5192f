"""What the clauses of an English text claim: their content words, and whether they affirm or deny.

Rules, not a parser: they read "we can't take it back unless it is faulty" as a denial with an exception, and
do not understand irony. What they cannot tell is left undecided by the checks that use them.
"""

from __future__ import annotations

import functools
import re
from dataclasses import dataclass

from harness.scoring.text.sentences import sentences

__all__ = ["Clause", "clauses", "denies", "opening", "plain_words", "spelled_out"]

_LONGEST = 50_000
_CONTRACTIONS = (
    (re.compile(r"\bcan(?:no|['’]?)t\b", re.IGNORECASE), "can not"),
    (re.compile(r"\bwon['’]t\b", re.IGNORECASE), "will not"),
    (re.compile(r"\bshan['’]t\b", re.IGNORECASE), "shall not"),
    (re.compile(r"\bain['’]t\b", re.IGNORECASE), "is not"),
    (re.compile(r"n['’]t\b", re.IGNORECASE), " not"),
    (re.compile(r"\bit['’]s\b", re.IGNORECASE), "it is"),
    (re.compile(r"\bthat['’]s\b", re.IGNORECASE), "that is"),
    (re.compile(r"['’]ll\b", re.IGNORECASE), " will"),
    (re.compile(r"['’]re\b", re.IGNORECASE), " are"),
    (re.compile(r"['’]ve\b", re.IGNORECASE), " have"),
    (re.compile(r"\bI['’]m\b"), "I am"),
)
_BREAK = re.compile(  # blanks are read from their first one on, or a run of them would take quadratic time
    r"[;\n]+|:(?!\d)|(?<!\d):|(?<!\s)\s+[-–—]+\s+|(?:,|(?<![\s,]))\s+\b(?:but|because|since|although|though|while|"
    r"whereas|yet|however|so that)\b|,\s+|(?<=[.!?])\s+",
    re.IGNORECASE,
)
_DENIALS = frozenset(
    "not no never none nothing nobody neither nor without hardly unable impossible unless forbidden "  # noqa: SIM905 (a table of words)
    "prohibited avoid refuse refuses decline declines unsafe dangerous excluded instead unavailable stop "
    "inaccurate incorrect untrue false unnecessary".split()
)
_NO_DENIAL = re.compile(
    r"\bnot (?:only|just|least|to mention|hesitate)\b|\bno (?:doubt|later than|matter|more than|problem|"
    r"worries)\b"
    r"|\bnever mind\b|\bwithout (?:delay|fail|question|any doubt|waiting)\b|\bnothing (?:but|else than)\b"
    r"|\bwhy not\b|\bor not\b|\bif not\b",
    re.IGNORECASE,
)
_WORD = re.compile(r"[^\W_]+(?:[.,:]\d+)*%?|[€$£%]")
_COURTESY = re.compile(
    r"^(?:\W*(?:hi|hello|dear \w+|hey|well|ok(?:ay)?|thank(?:s| you)[^.!?,:;]*|i am (?:so |very |really "
    r")?sorry[^.!?,:;]*|"
    r"sorry[^.!?,:;]*|we apologi[sz]e[^.!?,:;]*|good question|please note that|actually)\b[.!?,:;]*\s*)+",
    re.IGNORECASE,
)
_YES = re.compile(
    r"\W*(?:yes|yep|yeah|sure|certainly|of course|absolutely|definitely|indeed|correct|right|true|"
    r"gladly|by all means|"
    r"no problem|happy to)\b",
    re.IGNORECASE,
)
_NO = re.compile(
    r"\W*(?:no(?! problem| worries| later)|nope|never|unfortunately|regrettably|sadly|by no means|not "
    r"(?:at all|yet|quite|really|necessarily)|"
    r"certainly not|of course not|absolutely not|definitely not|better not|please (?:do not|never)|do not|"
    r"i am afraid|i am unable|we are unable|that is not|this is not|it is not|false|incorrect|impossible)\b",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class Clause:
    """One clause of a text.

    Attributes:
        text: The clause with its contractions spelled out ("can not").
        words: Its words in lower case, in order.
        denied: Whether it has an odd number of denials, such as "not" or "impossible".
    """

    text: str
    words: tuple[str, ...]
    denied: bool


def spelled_out(text: str) -> str:
    """Return a text with English contractions written as words: `can't` and `cannot` as `can not`."""
    for pattern, written in _CONTRACTIONS:
        text = pattern.sub(written, text)
    return text


@functools.lru_cache(maxsize=4096)
def clauses(text: str) -> tuple[Clause, ...]:
    """Return the clauses of a text, at most its first 50,000 characters.

    A clause ends with its sentence, at a comma, colon, semicolon, dash or line end, and before "but",
    "because", "since", "although" and their like.
    """
    parts = []
    for sentence in sentences(spelled_out(text[:_LONGEST])):
        for part in _BREAK.split(sentence):
            words = plain_words(part)
            if words:
                parts.append(Clause(part.strip(), words, denies(part)))
    return tuple(parts)


def plain_words(text: str) -> tuple[str, ...]:
    """Return the words and numbers of a text in lower case; a decimal or a time is one word."""
    return tuple(word.casefold() for word in _WORD.findall(text))


def denies(text: str) -> bool:
    """Return whether a clause denies: an odd number of words such as "not", "never", "unless"."""
    left = _NO_DENIAL.sub(" ", spelled_out(text))
    return sum(word in _DENIALS for word in plain_words(left)) % 2 == 1


def opening(text: str) -> str | None:
    """Return `yes` or `no` where an answer opens with one of the two, in whichever words; else None.

    A greeting, thanks and an apology before it are left out: "Sorry, no" opens with no.
    """
    bare = _COURTESY.sub("", spelled_out(text[:_LONGEST]).strip())
    if _NO.match(bare):
        return "no"
    return "yes" if _YES.match(bare) else None
