"""Where an answer ends that runs on into the next question, as base models write it."""

from __future__ import annotations

import re

__all__ = ["before_next_question"]

_FIELD = re.compile(r"\n[^\S\n]*\n[^\S\n]*(?P<field>[^\W\d_][\w ]{0,20})[:：]")
_ANSWER = re.compile(r"answer|solution|step|note|check|explanation|final|conclusion|antwort", re.IGNORECASE)


def before_next_question(text: str, marker: str) -> str:
    """Return a text without the further questions that it asks itself behind its first marked answer.

    Such a question begins a new paragraph with a field of its own (`Question:`, `Text:`) and has the marker
    again behind it.

    Args:
        text: The answer.
        marker: What stands before an answer; case aside.
    """
    first = re.search(re.escape(marker), text, re.IGNORECASE)
    if first is None:
        return text
    for field in _FIELD.finditer(text, first.end()):
        given = text[first.end() : field.start()].strip()
        again = re.search(re.escape(marker), text[field.end() :], re.IGNORECASE)
        if given and again and not _ANSWER.match(field["field"]) and field["field"] not in marker:
            return text[: field.start()]
    return text
