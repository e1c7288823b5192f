"""Find phrases in clauses: `cancel*` is any word that begins so, `call|phone` one of two phrases."""

from __future__ import annotations

import functools
import re
from collections.abc import Sequence

from harness.scoring.text.clauses import Clause, spelled_out

__all__ = ["PHRASE_RULE", "affirmed", "mentioned", "phrase_pattern"]

PHRASE_RULE = (
    "A phrase is matched by whole words in any case; `cancel*` is any word that begins so, `a|b` one of two."
)

_SUPPOSED = re.compile(
    r"\A\W*(?:and |or |so |then |only |even )?(?:if|whether|unless|in case|before|until|when)\b", re.I
)
_SCOPE = re.compile(
    r"\b(?:instead of|rather than|without|avoid|never|not|no|nobody|nor|than)\b", re.IGNORECASE
)


@functools.lru_cache(maxsize=4096)
def phrase_pattern(phrase: str) -> re.Pattern[str]:
    """Return the pattern of a phrase, its contractions spelled out as those of a clause are."""
    return re.compile("|".join(map(_one, spelled_out(phrase).split("|"))), re.IGNORECASE)


def mentioned(phrases: Sequence[str], clause: Clause) -> str | None:
    """Return the first of the phrases that a clause holds, affirmed or denied, or None."""
    return next((phrase for phrase in phrases if phrase_pattern(phrase).search(clause.text)), None)


def affirmed(phrases: Sequence[str], clause: Clause) -> str | None:
    """Return the first of the phrases that a clause affirms, or None.

    A denial affirms what stands before it ("wait, not run" says wait), but a denial in front, "instead of"
    and "rather than" reach to the end of the clause; what is supposed ("if you wait", "until it leaves") is
    not affirmed.
    """
    if _SUPPOSED.match(clause.text):
        return None
    for phrase in phrases:
        for match in phrase_pattern(phrase).finditer(clause.text):
            negated_itself = _SCOPE.search(match[0]) is not None
            if negated_itself or not _SCOPE.search(clause.text[: match.start()]):
                return phrase
    return None


def _one(phrase: str) -> str:
    words = phrase.split()
    written = r"\W+".join(
        re.escape(word.rstrip("*")) + (r"\w*" if word.endswith("*") else "") for word in words
    )
    begins = r"(?<!\w)" if words and words[0][:1].isalnum() else ""
    return f"{begins}{written}(?!\\w)"
