"""Numbers in a text, in the spellings of several locales and scripts.

A *literal* is digits with their marks (`1,234.50`). A *quantity* is what a reader takes as one number: a
literal with its sign, fraction, power, power of ten, scale word or root. What looks like a number and has no
certain value (`3,5` in English, `1/2/2024`, `10.0.0.7`) is a quantity without a value.
"""

from __future__ import annotations

import functools
import re
import unicodedata
from collections.abc import Iterator
from decimal import Decimal
from typing import NamedTuple

from harness.scoring.text.number_value import MAX_DIGITS, SUPERSCRIPTS, VULGAR, evaluate

__all__ = [
    "LOCALES",
    "Quantity",
    "find_quantities",
    "last_number",
    "parse_number",
    "plain_numbers",
    "value_of",
]

LOCALES = {
    "en": (",", "."),
    "de": (".", ","),
    "fr": (" ", ","),
    "ch": ("'", "."),
    "in": (",", "."),
}
"""Locale → the character that may stand between thousands (beside no-break blanks), and the decimal mark."""


class Quantity(NamedTuple):
    """A number where it stands in a text.

    Attributes:
        value: Its value; None where it cannot be read for certain.
        start: Offset of its first character, the sign included.
        end: Offset behind its last character, a scale word included.
        bare: Its value without a scale (`2.5` of `2.5 M`), for whoever takes the scale for a unit.
        bare_end: Offset behind the part that `bare` is the value of.
    """

    value: Decimal | None
    start: int
    end: int
    bare: Decimal | None
    bare_end: int


_NO_BLANKS = "\u0e00-\u0e4f\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af"
"""Letters of scripts that write numbers into the sentence without blanks: Thai, kana, Han, Hangul."""
_ALIKE = {
    **dict.fromkeys(map(ord, "\u2010\u2011\u2012\u2013\u2212\ufe63"), "-"),
    **dict.fromkeys(map(ord, "\u2007\u2008\u2009\u202f"), "\u00a0"),
    **dict.fromkeys(
        map(ord, "\u200b\u200c\u200d\u200e\u200f\u2060\u2066\u2067\u2068\u2069\ufeff\u00ad"), None
    ),
    **{code: chr(code - 0xFF01 + ord("!")) for code in range(0xFF01, 0xFF5F)},  # as Japanese types digits
    ord("\u2044"): "/",
    ord("\u2019"): "'",
    ord("∗"): "*",
}
_LATEX = (
    (re.compile(r"\\(?:text|textbf|mathrm|mathbf|mbox|operatorname|textrm)\s*\{([^{}]*)\}"), r" \1 "),
    (re.compile(r"\{([,.])\}"), r"\1"),
    (re.compile(r"\\,(?=[0-9]{3}(?![0-9]))"), "\u00a0"),
    (re.compile(r"\\(?:[,;:!> ]|left|right|displaystyle|quad|qquad)(?![a-zA-Z])|~"), " "),
    (re.compile(r"\\[()\[\]]"), " "),
    (re.compile(r"\\([$%#&_])"), r"\1"),
    (re.compile(r"\\(?:times|cdot|ast)(?![a-zA-Z])"), "×"),
    (re.compile(r"\\div(?![a-zA-Z])"), "÷"),
    (re.compile(r"\\pm(?![a-zA-Z])"), "±"),
    (re.compile(r"\\approx(?![a-zA-Z])"), "≈"),
    (re.compile(r"\\(?:leq?|geq?)(?![a-zA-Z])"), "≤"),
    (re.compile(r"\^\s*(?:\{\\circ\}|\\circ(?![a-zA-Z]))"), "°"),
)
_SCALES = {
    **dict.fromkeys(("k", "K", "thousand", "Tsd."), 3),
    **dict.fromkeys(("M", "million", "millions", "Mio.", "Mio", "Millionen"), 6),
    **dict.fromkeys(("B", "bn", "billion", "billions", "Mrd.", "Mrd"), 9),
    **dict.fromkeys(("trillion", "trillions"), 12),
    **dict.fromkeys(("hundred",), 2),
    **dict.fromkeys(("lakh", "lakhs"), 5),
    **dict.fromkeys(("crore", "crores"), 7),
    **dict.fromkeys(("万", "萬", "만"), 4),
    **dict.fromkeys(("亿", "億", "억"), 8),
}
_ATTACHED = ("k", "K", "M", "B", "bn")
_SCALE_WORDS = "|".join(
    re.escape(name) for name in sorted(_SCALES, key=len, reverse=True) if name not in _ATTACHED
)
_SCALE = (
    r"(?P<scale>(?:[kKMB]|bn)(?![\w/^²³])"
    rf"|[ \u00a0-]?(?:{_SCALE_WORDS}"
    r"|(?<=[ \u00a0])bn)(?![a-zA-Z]))?"
)


def plain_numbers(text: str, locale: str = "en") -> str:
    """Return a text in which all numbers are spelled with the same characters.

    Digits of every script are ASCII, minus signs and hyphens are `-`, no-break and thin blanks are U+00A0,
    zero-width characters are gone, and LaTeX's text, blanks, signs and escapes are plain. Offsets change.
    """
    thousands, mark = LOCALES[locale]
    if not text.isascii():
        text = text.translate({**_ALIKE, 0x66B: mark, 0x66C: thousands})
        if not text.isascii():
            text = "".join(map(_digit, text))
    if "\\" in text or "{" in text:
        for pattern, plain in _LATEX:
            text = pattern.sub(plain, text)
    return text


def _digit(character: str) -> str:
    if character.isascii() or not character.isdecimal():
        return character
    return str(unicodedata.decimal(character))


@functools.cache
def _pattern(locale: str) -> re.Pattern[str]:
    """Return the pattern of a quantity in a locale, or of what looks like one.

    A sign counts where no word, digit or closing bracket comes before it: "x-3" and "10-3" have no -3. Digits
    count where no letter, digit or `_` of an index comes before them: "A4", "x_1" have no number. Letters of
    scripts without blanks may come before both: "答えは4" has one.
    """
    word = rf"^\W_{_NO_BLANKS}"  # a letter or digit that may belong to the same word as what follows
    thousands, mark = map(re.escape, LOCALES[locale])
    between = rf"(?:{thousands}|\u00a0|')" if locale in ("en", "in", "ch") else rf"(?:{thousands}|\u00a0)"
    grouped = rf"[0-9]{{1,3}}(?P<between>{between})[0-9]{{3}}(?:(?P=between)[0-9]{{3}})*(?![0-9])"
    grouped += r"|[0-9]{1,3}(?: [0-9]{3}){2,}(?![0-9])|[1-9][0-9]{0,2} 000(?![0-9])"
    if locale == "in":  # lakhs and crores: 12,34,567
        grouped = rf"[0-9]{{1,2}}(?:,[0-9]{{2}})+,[0-9]{{3}}(?![0-9])|{grouped}"
    literal = rf"(?:(?:{grouped}|[0-9]+(?:_[0-9]{{3}})*)(?:{mark}[0-9]+)?|(?<![0-9.]){mark}[0-9]+)"
    braces = r"\{(?:[^{}]|\{(?:[^{}]|\{[^{}]*\})*\})*\}"
    fraction = rf"\\[dtc]?frac\s*(?:{braces}|[0-9])\s*(?:{braces}|[0-9])"
    root = rf"\\sqrt\s*(?:\[[0-9]\])?\s*(?:{braces}|[0-9])|√\s*[0-9]+"
    power = rf"(?:\^\s*\{{\s*-?[0-9]+\s*\}}|\^\(?-?[0-9]+\)?|\*\*-?[0-9]+|[{SUPERSCRIPTS}]+)"
    simple = r"[0-9]+"
    return re.compile(
        rf"(?<![{word}])(?<![0-9]{mark})(?<![^\W_]_)(?<!_\{{)(?<!\^)(?<!\^[{{(-])(?<!\^[{{(]-)(?<!\\overline\{{)"
        rf"(?P<sign>(?:(?<![{word}_.)\]}}])[-+])(?:(?=[$€£¥0-9.\\{VULGAR}√])))?"
        r"(?P<currency>[$€£¥]\s?(?P<inner>[-+])?)?"
        rf"(?P<body>0[xX][0-9a-fA-F]+|0[bB][01]+|0[oO][0-7]+"
        rf"|(?:{simple}\s?)?(?:{fraction})|(?:(?:{simple}|{fraction})\s?)?(?:{root})(?:\s?/\s?{simple})?"
        rf"|(?:{simple}[ \u00a0]?)?[{VULGAR}]"
        rf"|[0-9]{{1,3}}(?:[ \u00a0]|-(?=[0-9]+/)){simple}\s?/\s?{simple}"
        rf"|(?P<literal>{literal})(?:[eE][-+]?[0-9]{{1,3}}(?![0-9])"
        rf"|[ \u00a0]?[×xX*·⋅][ \u00a0]?10(?:{power})|{power}"
        rf"|[ \u00a0]?/[ \u00a0]?{simple}(?:{mark}[0-9]+)?)?"
        r")"
        rf"(?:{_SCALE})"
        r"(?P<rest>(?:(?<=[0-9])[.,:/'_][0-9]+)+|\\overline|\\dot)?"
        r"(?![0-9])",
    )


def find_quantities(text: str, locale: str = "en") -> Iterator[Quantity]:
    """Yield the quantities of a text that `plain_numbers` gave, in order."""
    for match in _pattern(locale).finditer(text):
        start, end = match.span()
        negative = "-" in (match["sign"] or "", match["inner"] or "")
        if not match["sign"] and (
            blank := re.search(r"(?:\A\s*|[=≈:]\s*|\bis )-[ \u00a0]\Z", text[max(0, start - 12) : start])
        ):
            at_start = start - len(blank.group()) <= 0 and blank.group().lstrip().startswith("-")
            if not at_start or "\n" not in text.strip():
                negative, start = True, start - 2
        scale = match["scale"] or ""
        bare = None if match["rest"] else value_of(match["body"], locale)
        if bare is not None and negative:
            bare = -bare
        exponent = _SCALES[scale.strip(" \u00a0-")] if scale else 0
        value = None if bare is None else bare.scaleb(exponent) if exponent else bare
        if re.match(r"\.?\s?(?:\\overline|\\dot)|\^|\*\*[0-9(]", text[end : end + 12]):
            value = bare = None
        yield Quantity(value, start, end, bare, match.end("body"))


def value_of(body: str, locale: str = "en") -> Decimal | None:
    """Return the value of a quantity without its sign; None where it has none, or is absurdly long."""
    thousands, mark = LOCALES[locale]
    if re.match(r"0[xXbBoO]", body):
        return Decimal(int(body, 0))
    marks = re.escape(thousands.strip() + "'_\u00a0")
    plain = re.sub(rf"(?<=[0-9])[{marks}](?=[0-9]{{2,3}}(?![0-9]))", "", body)
    while re.search(r"(?<![0-9])[0-9]{1,3} [0-9]{3}(?![0-9/]|\s?/)", plain):
        plain = re.sub(r"(?<=[0-9]) (?=[0-9]{3}(?![0-9]))", "", plain)
    if len(plain) > MAX_DIGITS:
        return None
    return evaluate(plain.replace(mark, "."))


def parse_number(text: str, locale: str = "en") -> Decimal | None:
    """Return the number that a text consists of, or None.

    Accepts what `find_quantities` reads: a sign, a currency sign, the locale's marks between thousands,
    decimals, exponents, fractions, powers, scale words, LaTeX; and a closing per cent sign.
    """
    text = plain_numbers(text, locale).strip().rstrip("%").strip()
    found = list(find_quantities(text, locale))
    return found[0].value if len(found) == 1 and found[0][1:3] == (0, len(text)) else None


def last_number(text: str, locale: str = "en") -> tuple[Decimal, int] | None:
    """Return the last number of a text and where it ends in what `plain_numbers` returns, or None."""
    found = list(find_quantities(plain_numbers(text, locale), locale))
    return None if not found or found[-1].value is None else (found[-1].value, found[-1].end)
