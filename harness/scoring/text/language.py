"""Tell the language of a text, offline, with py3langid."""

from __future__ import annotations

import functools
import importlib.util
import re
from typing import Any

from harness.scoring.checks.optional import require
from harness.scoring.text.degeneration import is_wordless

__all__ = [
    "can_tell_languages",
    "detect_language",
    "known_languages",
    "prose_language",
    "quick_language",
    "require_language_detection",
]

_NO_PROSE = re.compile(r"```.*?(?:```|\Z)|`[^`\n]*`|https?://\S+", re.DOTALL)
_ENGLISH = frozenset(
    """
    about after ago and are back because been before between but by can cannot could days does from get
    good got has have hello help how into its many more much my need not of only other our please
    received should some sorry than thank thanks that the their them then there these they this to too
    unfortunately wants was we were what when where which who will with would you your
    """.split()  # noqa: SIM905  (one word a line would fill a page)
)
"""Words that hold English sentences together; no other language has several of them."""
_MAX_CHARACTERS = 20_000  # more does not change the answer, and takes time


def require_language_detection() -> None:
    """Refuse to build a check that needs it where it is not installed.

    Raises:
        MissingDependencyError: py3langid is not there.
    """
    require("py3langid", "text")


def detect_language(text: str, among: frozenset[str] = frozenset()) -> str | None:
    """Return the ISO 639 code of a text's language, or None for a text without a word.

    Texts of a few words are often told wrong. Case is ignored.
    Source: Lui & Baldwin, ACL 2012 (langid.py), as packaged by py3langid.

    Args:
        text: At most 20,000 characters are read.
        among: The languages that come into question; empty for all.
    """
    if not any(character.isalpha() for character in text):
        return None
    encodable = text[:_MAX_CHARACTERS].lower().encode("utf-8", "replace").decode("utf-8")
    if not among:
        return str(_identifier().classify(encodable)[0])
    return next(str(code) for code, _ in _identifier().rank(encodable) if code in among)


@functools.lru_cache(maxsize=4096)
def prose_language(text: str, among: frozenset[str] = frozenset(), letters: int = 1) -> str | None:
    """Return the language of a text, code and links aside; None where it has fewer than `letters` letters."""
    prose = _NO_PROSE.sub(" ", text[:_MAX_CHARACTERS])
    return detect_language(prose, among) if sum(map(str.isalpha, prose)) >= letters else None


def quick_language(text: str, letters: int) -> str | None:
    """Return what `prose_language` does, without py3langid where a text is English beyond doubt.

    That takes half a second to load. At least a seventh of the words must be such as only English has, three
    different ones among them.
    """
    if is_wordless(text):
        return None
    prose = _NO_PROSE.sub(" ", text[:_MAX_CHARACTERS])
    words = re.findall(r"[a-z']+", prose.lower()) if prose.isascii() else []
    small = [word for word in words if word in _ENGLISH]
    if 7 * len(small) < len(words) or len(set(small)) < 3:
        return prose_language(text, letters=letters)
    return "en" if sum(map(str.isalpha, prose)) >= letters else None


def can_tell_languages() -> bool:
    """Whether py3langid is installed."""
    return importlib.util.find_spec("py3langid") is not None


def known_languages() -> frozenset[str]:
    """Return the codes of the languages that can be told, most of them of two letters (ISO 639-1)."""
    return frozenset(map(str, _identifier().labels))


@functools.cache
def _identifier() -> Any:
    require_language_detection()
    from py3langid.langid import MODEL_FILE, LanguageIdentifier

    return LanguageIdentifier.from_model_file(MODEL_FILE)
