"""Count sentences and words, as a reader of prose would."""

from __future__ import annotations

import functools
import re
from typing import Any

__all__ = ["sentences", "words"]

_BREAK = re.compile(r"(?P<mark>[.!?]+[\"'”’)\]*_]*|[。！？]+[”’」』）]*)(?P<gap>\s*)")
_PARAGRAPH = re.compile(r"\n[ \t]*\n")
_ABBREVIATIONS = frozenset(
    "mr mrs ms dr prof st sr jr vs etc e.g i.e cf al fig eq inc ltd co corp dept est approx gen sen rep rev "  # noqa: SIM905
    "hon col capt lt sgt jan feb apr jun jul aug sep sept oct nov dec a.m p.m u.s u.k ph.d vol pp".split()
)


def words(text: str) -> list[str]:
    """Return the runs of letters, marks, digits and underscores, as IFEval counts words."""
    found: list[str] = _word().findall(text)
    return found


@functools.cache
def _word() -> Any:
    import regex  # to it, vowel signs are part of a word, as in Hindi; to `re` they are not

    return regex.compile(r"\w+")


def sentences(text: str) -> list[str]:
    """Return the sentences of a text.

    One ends at `.`, `!` or `?` (with closing quotes) before a blank, at a full-width mark, at an empty line
    and at the end. It goes on behind a usual abbreviation, an initial, the number of a list item, and where a
    small letter follows a full stop.
    """
    found = []
    for paragraph in _PARAGRAPH.split(text):
        start = 0
        for match in _BREAK.finditer(paragraph):
            if _ends(paragraph, start, match):
                found.append(paragraph[start : match.end("mark")])
                start = match.end()
        found.append(paragraph[start:])
    return [sentence.strip() for sentence in found if _word().search(sentence)]


def _ends(text: str, start: int, match: re.Match[str]) -> bool:
    mark, after = match["mark"], text[match.end() :]
    if mark[0] in "。！？" or not after:
        return True
    if not match["gap"]:
        return False
    if mark[0] != "." or mark.startswith(".."):
        return not after[0].islower()
    last = text[start : match.start()].split()[-1:] or [""]
    word = last[0].lstrip("\"'“‘([*_").lower()
    if word in _ABBREVIATIONS or (len(word) == 1 and word.isalpha()):
        return False
    listed = word.isdigit() and text[start : match.start()].strip() == last[0]
    return not listed and not after[0].islower()
