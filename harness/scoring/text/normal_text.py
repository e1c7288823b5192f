"""Spell texts alike before they are compared, and quote them in explanations."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Sequence

__all__ = ["normalise", "quoted"]

_ARTICLES = re.compile(r"\b(?:a|an|the)\b", re.IGNORECASE)
_STEPS: dict[str, Callable[[str], str]] = {
    "nfkc": lambda text: unicodedata.normalize("NFKC", text),
    "casefold": str.casefold,
    "punctuation": lambda text: "".join(
        character for character in text if character != "`" and unicodedata.category(character)[0] != "P"
    ),
    "articles": lambda text: _ARTICLES.sub(" ", text),
    "whitespace": lambda text: " ".join(text.split()),
    "strip": str.strip,
}


def normalise(text: str, steps: Sequence[str] = ()) -> str:
    """Return the text in Unicode's composed form (NFC) after the given steps.

    Args:
        text: Any text.
        steps: Of `strip` (ends), `casefold`, `whitespace` (each run becomes one space, ends stripped),
            `punctuation` (removed, backticks too), `articles` (a, an and the; leaves blanks, so add
            `whitespace`) and `nfkc` (compatibility forms: `ﬁ` is `fi`, `①` is `1`, full-width letters are
            plain). They are applied so that their order does not matter.
    """
    if not text.isascii():
        text = unicodedata.normalize("NFC", text)
    for step, apply in _STEPS.items():
        if step in steps:
            text = apply(text)
    return text


def quoted(text: str, limit: int = 60) -> str:
    """Return a text as it would be typed, on one line, cut to `limit` characters."""
    return repr(text if len(text) <= limit else text[: limit - 1] + "…")
