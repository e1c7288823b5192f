"""Tell the language of a text, offline, with py3langid."""

from __future__ import annotations

import functools
import re
from typing import Any

from harness.scoring.optional import require

__all__ = ["detect_language", "known_languages", "prose_language", "require_language_detection"]

_NO_PROSE = re.compile(r"```.*?(?:```|\Z)|`[^`\n]*`|https?://\S+", re.DOTALL)
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


def known_languages() -> frozenset[str]:
    """Return the codes of the languages that can be told, most of them of two letters (ISO 639-1)."""
    return frozenset(map(str, _identifier().labels))


@functools.cache
def _identifier() -> Any:
    require_language_detection()
    from py3langid.langid import MODEL_FILE, LanguageIdentifier

    return LanguageIdentifier.from_model_file(MODEL_FILE)
