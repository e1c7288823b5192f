"""Spell texts alike before they are compared, and quote them in explanations."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Sequence

__all__ = ["normalise", "quoted"]

_ARTICLES = re.compile(r"\b(?:a|an|the)\b", re.IGNORECASE)
_TYPOGRAPHY = {
    **dict.fromkeys(map(ord, "\u00a0\u2007\u2009\u202f"), " "),
    **dict.fromkeys(map(ord, "\u2010\u2011\u2012\u2013\u2212"), "-"),
    **dict.fromkeys(map(ord, "\u200b\u2060\ufeff\u00ad"), None),
    **dict.fromkeys(map(ord, "\u2018\u2019\u02bc"), "'"),
    **dict.fromkeys(map(ord, "\u201c\u201d"), '"'),
}
_STEPS: dict[str, Callable[[str], str]] = {
    "nfkc": lambda text: unicodedata.normalize("NFKC", text),
    "casefold": str.casefold,
    "punctuation": lambda text: "".join(
        character
        for place, character in enumerate(text)
        if not _is_punctuation(character) or _has_meaning(text, place)
    ),
    "articles": lambda text: _without_articles(text),
    "whitespace": lambda text: " ".join(text.split()),
    "strip": str.strip,
}


def normalise(text: str, steps: Sequence[str] = ()) -> str:
    """Return the text in Unicode's composed form (NFC), plainly typed, after the given steps.

    No-break and thin blanks are blanks, typographic hyphens, minus signs and quotes are the keys that people
    press for them, and zero-width blanks are gone.

    Args:
        text: Any text.
        steps: Of `strip` (ends), `casefold`, `whitespace` (each run becomes one space, ends stripped),
            `punctuation` (removed, backticks too, but not where it says something: a sign, a mark between
            digits, the `#` of C#, a per cent sign), `articles` (a, an and the, unless the text is nothing
            else; leaves blanks, so add `whitespace`) and `nfkc` (compatibility forms: `ﬁ` is `fi`, `①` is
            `1`, full-width letters are plain). They are applied so that their order does not matter.
    """
    if not text.isascii():
        text = unicodedata.normalize("NFC", text).translate(_TYPOGRAPHY)
    for step, apply in _STEPS.items():
        if step in steps:
            text = apply(text)
    return text


def _is_punctuation(character: str) -> bool:
    return character == "`" or unicodedata.category(character)[0] == "P"


def _has_meaning(text: str, place: int) -> bool:
    """Whether a text says something else without the punctuation mark at a place: -5, 3.14, C#, 5%."""
    character, before = text[place], text[place - 1 : place] if place else ""
    after = text[place + 1 : place + 2]
    if character in "-.,:/" and after.isdecimal():
        if before.isdecimal():
            return True
        return character == "-" and not before.isalnum() and before not in (")", "]")
    return (character == "#" and before.isalpha() and not after.isalnum()) or (
        character == "%" and before.isdecimal()
    )


def _without_articles(text: str) -> str:
    rest = _ARTICLES.sub(" ", text)
    return rest if rest.strip() else text


def quoted(text: str, limit: int = 60) -> str:
    """Return a text as it would be typed, on one line, cut to `limit` characters."""
    return repr(text if len(text) <= limit else text[: limit - 1] + "…")
