"""Find out whether an answer declines to do what was asked."""

from __future__ import annotations

import re

__all__ = ["find_refusal"]

_REFUSAL = re.compile(
    r"\b(?:I|we)(?: can(?:no|'|’)t| cannot|(?:'|’)m not able to| won(?:'|’)t)\b", re.IGNORECASE
)


def find_refusal(text: str) -> str | None:
    """Return the phrase with which an answer declines, or None if it does not."""
    found = _REFUSAL.search(text)
    return found.group() if found else None
