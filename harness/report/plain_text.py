"""Make text that a model wrote safe to print.

An output may hold terminal escapes, carriage returns that overwrite a verdict, right-to-left overrides, or
lines that a CI system takes for its own commands. All of it is shown, none of it acts.
"""

from __future__ import annotations

import re
import unicodedata

__all__ = ["first_line", "harmless_lines", "one_line", "printable", "shorten", "visible_lines"]

_ESCAPES = {"\n": "\\n", "\r": "\\r", "\t": "\\t"}
# GitHub and GitLab read `::name::`, Azure `##vso[`, older GitHub `##[`; TeamCity `##teamcity[`.
_COMMANDS = re.compile(r"::(?=[A-Za-z])|##(?=\[|vso\[|teamcity\[)|section_(?=start|end)")
# In a log, a command begins its line: a node id such as `test_a.py::test_b` is none.
_LINE_COMMANDS = re.compile(r"^([^\S\n]*)(?:::(?=[A-Za-z])|##(?=\[|vso\[|teamcity\[))", flags=re.MULTILINE)
_NOT_PLAIN = re.compile(r"[^\n\t\x20-\x7e]")
_JOINERS = "\u200c\u200d"  # Persian, Indic scripts and emoji need them
_BREAK = "\u200b"  # a zero-width space: reads the same, is no command any more


def printable(text: str) -> str:
    r"""Return text with everything that is no visible character or space spelled out, as in `\x1b`.

    Line ends become `\n`: the result is a single line. CI commands are broken up by a zero-width space.
    """
    if text.isascii() and text.isprintable():
        return _COMMANDS.sub(_broken, text)
    return _COMMANDS.sub(_broken, "".join(map(_visible, text)))


def visible_lines(text: str) -> str:
    r"""Return text of several lines with everything but line ends and tabs spelled out, for a page."""
    plain = text.replace("\r\n", "\n")
    return _NOT_PLAIN.sub(lambda odd: _visible(odd.group()), plain)


def harmless_lines(text: str) -> str:
    """Return text of several lines made printable, and no line of it a CI command; for logs."""
    return _LINE_COMMANDS.sub(lambda found: found.group(1) + _broken(found), visible_lines(text))


def one_line(text: str) -> str:
    """Return text with runs of white space as single spaces, made printable."""
    return printable(" ".join(text.split()))


def shorten(text: str, limit: int = 100) -> str:
    """Return text on one line, printable, and cut to at most `limit` characters before escaping."""
    line = " ".join(text[: 4 * limit].split())
    if len(line) <= limit and len(text) <= 4 * limit:
        return printable(line)
    return printable(line[: limit - 1]) + "…"


def first_line(text: str, limit: int = 100) -> str:
    """Return the first line of a text that says anything, printable, with `…` where there is more."""
    rest = text[: 4 * limit].strip()
    line, _, more = rest.partition("\n")
    shown = shorten(line, limit)
    return f"{shown} …" if (more.strip() or len(text) > 4 * limit) and not shown.endswith("…") else shown


def _broken(match: re.Match[str]) -> str:
    found = match.group().lstrip()
    return found[0] + _BREAK + found[1:]


def _visible(character: str) -> str:
    if character in _ESCAPES:
        return _ESCAPES[character]
    category = unicodedata.category(character)
    if category[0] in "LMNPS" or category == "Zs" or character in _JOINERS:
        return character
    code = ord(character)
    if code < 0x100:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"
