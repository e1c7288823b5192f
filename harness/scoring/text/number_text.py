"""Numbers in a text, in the spellings of several locales."""

from __future__ import annotations

import functools
import re
from decimal import Decimal

__all__ = ["LOCALES", "FoundNumber", "last_number", "number_pattern", "parse_number", "value_of"]

LOCALES = {
    "en": (",", "."),
    "de": (".\u00a0\u202f", ","),
    "fr": (" \u00a0\u202f", ","),
    "ch": ("'’", "."),
    "in": (",", "."),
}
"""Locale → the characters that may stand between thousands, and the decimal mark."""

FoundNumber = tuple[Decimal, int]
_MINUS = str.maketrans("−–", "--")
_MAX_DIGITS = 300
_NO_BLANKS = "\u0e00-\u0e4f\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af"
"""Letters of scripts that write numbers into the sentence without blanks: Thai, kana, Han, Hangul."""


@functools.cache
def number_pattern(locale: str = "en") -> re.Pattern[str]:
    """Return the pattern of a number in a locale.

    A sign counts where no word, digit or closing bracket comes before it: "x-3" and "10-3" are no -3. Digits
    count where no letter, digit or "1." comes before them: "A4" and the 3 of "1.2.3" are no numbers. Letters
    of scripts without blanks may come before both: "答えは4" has one.
    """
    word = rf"^\W_{_NO_BLANKS}"  # a letter or digit that may belong to the same word as what follows
    thousands, mark = LOCALES[locale]
    latex = [r"\\,", *(rf"\{{{re.escape(one)}\}}" for one in thousands if one in ",.")]  # 1\,234 and 1{,}234
    between, point = f"(?:[{re.escape(thousands)}]|{'|'.join(latex)})", re.escape(mark)
    grouped = rf"[0-9]{{1,3}}(?:{between}[0-9]{{3}})+(?![0-9])"
    if locale == "in":  # lakhs and crores: 12,34,567
        grouped = rf"[0-9]{{1,2}}(?:{between}[0-9]{{2}})+{between}[0-9]{{3}}(?![0-9])|{grouped}"
    return re.compile(
        rf"(?:(?<![{word}])(?<![_.)\]])[-−–+])?"
        r"(?:[$€£¥]\s?)?"
        rf"(?<![{word}])(?<![0-9]{point})"
        rf"(?:{grouped}|[0-9]+)?(?:(?<=[0-9]){point}[0-9]+|(?<![0-9.]){point}[0-9]+|(?<=[0-9]))"
        r"(?:[eE][-+]?[0-9]{1,3}(?![0-9]))?"
    )


def parse_number(text: str, locale: str = "en") -> Decimal | None:
    """Return the number that a text consists of, or None.

    Accepts a sign (also U+2212 and an en dash), a currency sign, the locale's marks between thousands (as
    LaTeX spells them, too: `1{,}234`), decimals, an exponent and a closing per cent sign; in `en`, `1,234.50`
    is 1234.5. A fraction such as `3/4` is two numbers.
    """
    text = text.strip().rstrip("%").strip()
    found = number_pattern(locale).fullmatch(text)
    return value_of(found.group(), locale) if found else None


def last_number(text: str, locale: str = "en") -> FoundNumber | None:
    """Return the last number in a text and the offset where it ends, or None where there is none."""
    found = list(number_pattern(locale).finditer(text))
    if not found:
        return None
    last = found[-1]
    value = value_of(last.group(), locale)
    return None if value is None else (value, last.end())


def value_of(literal: str, locale: str = "en") -> Decimal | None:
    """Return the value of what `number_pattern` matched; None for one that is absurdly long."""
    thousands, mark = LOCALES[locale]
    digits = (
        re.sub(rf"\\,|[{{}}{re.escape(thousands)}$€£¥\s+]", "", literal).translate(_MINUS).replace(mark, ".")
    )
    return Decimal(digits) if len(digits) <= _MAX_DIGITS else None
