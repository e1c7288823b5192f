"""Signs that a model has lost its way: loops, other scripts, answers that are all alike; in linear time."""

from __future__ import annotations

import functools
import re
import unicodedata
from collections import Counter
from collections.abc import Sequence
from typing import Any

__all__ = [
    "SCRIPT_NAMES",
    "distinct_n",
    "find_loop",
    "form_of",
    "is_wordless",
    "looks_like_json",
    "main_script",
    "opening_of",
    "self_bleu",
    "tokens",
]

_TAIL = 8_000  # characters: loops go on to the end
_SHORTEST_LOOP = 60  # characters that a loop covers at least, and
_FEWEST_ROUNDS = 4  # how often it goes round
_N = 8  # words of the phrases that are counted
_FEWEST_WORDS = 64
_SCRIPTS: tuple[str, ...] = (
    "Latin",
    "Cyrillic",
    "Greek",
    "Arabic",
    "Hebrew",
    "Devanagari",
    "Bengali",
    "Tamil",
    "Telugu",
    "Thai",
)
_SCRIPTS += ("Han", "Hiragana", "Katakana", "Hangul", "Georgian", "Armenian", "Ethiopic", "Khmer", "Gujarati")
_EAST_ASIAN = {"Hiragana": "Japanese", "Katakana": "Japanese"}
SCRIPT_NAMES = tuple(sorted({_EAST_ASIAN.get(name, name) for name in _SCRIPTS}))
"""What `main_script` can tell, beside `other`."""
_FORMS = {
    "code block": re.compile(r"^\s{0,3}(?:```|~~~)", re.MULTILINE),
    "table": re.compile(r"^\s*\|.+\|\s*$\n\s*\|[-:| ]+\|\s*$", re.MULTILINE),
    "heading": re.compile(r"^#{1,6} ", re.MULTILINE),
    "list": re.compile(r"^\s{0,3}(?:[-*•+]|\d{1,3}[.)])\s+\S", re.MULTILINE),
}
_JSON = re.compile(r"\s*[{\[][^a-z]")
_FORM_BEGINS = re.compile(r"^[^\S\n]*(?:[`~|#\-*•+]|\d{1,3}[.)])", re.MULTILINE)
"""What a line of every form but JSON begins with."""
_WORDLESS = re.compile(r"[\x00-@\[-`{-\x7f]*")


def find_loop(text: str) -> str | None:
    """Return what a text repeats over and over, shortened, or None.

    Either the text ends in one phrase, at least 4 times and over at least 60 characters (counted by the
    period of its reversed tail, Knuth, Morris & Pratt 1977), or more than half of its runs of eight words
    have been there before, digits counting as equal. Lines of dashes and the like are no loops.
    """
    if len(text) < _SHORTEST_LOOP:
        return None  # nor are there words enough
    tail = text.rstrip()[-_TAIL:]
    backwards = tail[::-1]
    border = [0] * len(backwards)
    found: tuple[int, int] | None = None
    matched = 0
    for index in range(1, len(backwards)):
        while matched and backwards[index] != backwards[matched]:
            matched = border[matched - 1]
        matched += backwards[index] == backwards[matched]
        border[index] = matched
        length, period = index + 1, index + 1 - matched
        if length >= max(_SHORTEST_LOOP, _FEWEST_ROUNDS * period):
            found = (length, period)
    if found is not None:
        phrase = tail[len(tail) - found[1] :]
        if any(character.isalnum() for character in phrase):
            return phrase.strip()[:80]
    return _repeated_phrase(text)


def _repeated_phrase(text: str) -> str | None:
    words = tokens(re.sub(r"[0-9]+", "0", text[: 25 * _TAIL]))
    if len(words) < _FEWEST_WORDS:
        return None
    runs: Counter[tuple[str, ...]] = Counter(
        run
        for start in range(len(words) - _N + 1)
        if 2 * (run := tuple(words[start : start + _N])).count("0") <= _N  # a table of numbers is no loop
    )
    total = sum(runs.values())
    if 2 * len(runs) >= total:
        return None
    return " ".join(runs.most_common(1)[0][0])[:80]


def tokens(text: str) -> list[str]:
    """Return words in lower case; scripts without blanks between words count each character."""
    found: list[str] = _token().findall(text.lower())
    return found


@functools.cache
def _token() -> Any:
    import regex

    return regex.compile(r"[\p{Han}\p{Hiragana}\p{Katakana}\p{Thai}\p{Khmer}]|[\p{L}\p{M}\p{N}_]+")


def distinct_n(texts: Sequence[str], n: int = 2) -> float | None:
    """Return the share of distinct n-grams among all n-grams of some texts, in (0, 1]; None without any.

    Source: Li et al., NAACL 2016 ("distinct-n").
    """
    runs: Counter[tuple[str, ...]] = Counter()
    for text in texts:
        words = tokens(text)
        runs.update(zip(*(words[start:] for start in range(n)), strict=False))
    return len(runs) / sum(runs.values()) if runs else None


def self_bleu(texts: Sequence[str]) -> float | None:
    """Return the mean BLEU, in [0, 1], of each text against all the others; None with fewer than two.

    Near 1 where all say the same. Source: Zhu et al., SIGIR 2018; BLEU by sacrebleu.

    Raises:
        MissingDependencyError: sacrebleu is not installed.
    """
    from harness.scoring.checks.optional import require

    if len(texts) < 2:
        return None
    require("sacrebleu", "text")
    import sacrebleu

    scores = [
        sacrebleu.sentence_bleu(text, [*texts[:index], *texts[index + 1 :]]).score
        for index, text in enumerate(texts)
    ]
    return min(1.0, sum(scores) / len(scores) / 100)


def main_script(text: str) -> str | None:
    """Return the writing system of most of a text's letters (`Latin`, `Japanese`, …); None without letters.

    Han beside kana is Japanese. Code blocks are left out. A script that is not known here is `other`.
    """
    if is_wordless(text):
        return None
    text = re.sub(r"```.*?(?:```|\Z)", " ", text[: 4 * _TAIL], flags=re.DOTALL)
    counts: Counter[str] = Counter()
    for match in _script().finditer(text):
        kind = str(match.lastgroup)
        counts[_EAST_ASIAN.get(kind, kind)] += len(match.group())
    if not counts:
        return None
    if counts["Japanese"] and counts["Japanese"] * 10 >= counts["Han"]:
        counts["Japanese"] += counts.pop("Han", 0)
    return max(counts, key=lambda kind: counts[kind])


@functools.cache
def _script() -> Any:
    import regex

    known = "|".join(f"(?P<{name}>\\p{{{name}}}+)" for name in _SCRIPTS)
    return regex.compile(rf"{known}|(?P<other>\p{{L}}+)")


def form_of(text: str) -> str:
    """Return the form of an answer: `code block`, `table`, `heading`, `list`, `JSON` or `prose`."""
    if looks_like_json(text):
        return "JSON"
    if _FORM_BEGINS.search(text[:_TAIL]) is None:
        return "prose"
    return next((name for name, pattern in _FORMS.items() if pattern.search(text[:_TAIL])), "prose")


def looks_like_json(text: str) -> bool:
    """Whether the form of an answer is `JSON`."""
    return _JSON.match(text) is not None


def is_wordless(text: str) -> bool:
    """Whether a text is ASCII without a letter, as numbers are: it has neither script nor language."""
    return _WORDLESS.fullmatch(text) is not None


def opening_of(text: str, words: int = 4) -> str | None:
    """Return an answer's first words in lower case, or None where it has fewer."""
    found = tokens(unicodedata.normalize("NFC", text[:400]))[:words]
    return " ".join(found) if len(found) == words else None
