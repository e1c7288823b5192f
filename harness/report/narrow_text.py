"""Text for a terminal or log whose character set lacks some of what reports are written with."""

from __future__ import annotations

import codecs

__all__ = ["PLAIN", "in_encoding"]

PLAIN = "harness-plain"
"""Name of the error handler that spells in ASCII what a stream cannot show, for `reconfigure(errors=…)`."""
_SPELLINGS = {
    "−": "-",
    "–": "-",
    "—": "-",
    "×": "x",
    "Δ": "delta",
    "→": "->",
    "…": "...",
    "≤": "<=",
    "≥": ">=",
    "±": "+/-",
    "·": "*",
    "─": "-",
    "│": "|",
    "┃": "|",
    "━": "-",
    "\u200b": "",
    "\u2009": " ",
    "\u00a0": " ",
    "“": '"',
    "”": '"',
    "‘": "'",
    "’": "'",
}


def _spell(problem: UnicodeError) -> tuple[str, int]:
    if not isinstance(problem, UnicodeEncodeError):
        raise problem
    missing = problem.object[problem.start : problem.end]
    spelled = (_SPELLINGS.get(c) for c in missing)
    return "".join(_escape(c) if s is None else s for c, s in zip(missing, spelled, strict=True)), problem.end


def _escape(character: str) -> str:
    return character.encode("ascii", "backslashreplace").decode("ascii")


codecs.register_error(PLAIN, _spell)


def in_encoding(text: str, encoding: str | None) -> str:
    """Return text with what an encoding lacks spelled in ASCII: `-19.0` for `−19.0`, `x` for `×`.

    Args:
        text: Any text; its line ends stay.
        encoding: Of the stream that is to show it; None for one that takes everything.
    """
    return text if encoding is None else text.encode(encoding, PLAIN).decode(encoding)
