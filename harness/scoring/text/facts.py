"""Find the hard facts in a text, spelled alike: numbers, dates, identifiers, URLs and names."""

from __future__ import annotations

import functools
import re
import unicodedata
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from decimal import Decimal

from harness.scoring.text.number_words import NUMBER_WORDS

__all__ = ["KINDS", "Fact", "find_facts", "number_words", "spelled"]


@dataclass(frozen=True)
class Fact:
    """One fact.

    Attributes:
        kind: `numbers`, `dates`, `identifiers`, `urls` or `names`.
        text: As it stands there.
        keys: Its normalised readings; two facts agree where they share one.
    """

    kind: str
    text: str
    keys: frozenset[str]


_Reader = Callable[[re.Match[str]], Iterator[str]]

_LONGEST = 200_000
_LONGEST_WORD = 500
_CHUNK = re.compile(r"[^\s<>\"'`|()\[\]{}]+")
_ADDRESS = re.compile(
    r"(?:https?://|www\.).+|[\w.+-]+@[\w-]+(?:\.[\w-]+)+|[\w-]+(?:\.[\w-]+)*\.[a-z]{2,}/.*", re.IGNORECASE
)
_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_MONTH = (
    r"(?P<{0}>jan(?:uary)?|feb(?:ruary)?|mar(?:ch)?|apr(?:il)?|may|june?|july?|aug(?:ust)?|sept?(?:ember)?|"
    r"oct(?:ober)?|nov(?:ember)?|dec(?:ember)?)\.?"
)
_DATE = re.compile(
    r"(?<![\w.])(?:"
    r"(?P<iso_y>\d{4})-(?P<iso_m>\d{1,2})-(?P<iso_d>\d{1,2})"
    r"|(?P<a>\d{1,2})(?P<mark>[./-])(?P<b>\d{1,2})(?P=mark)(?P<short_y>\d{4}|\d{2})"
    rf"|(?P<day>\d{{1,2}})(?:st|nd|rd|th)?(?: of)? {_MONTH.format('month')}(?:,? (?P<year>\d{{4}}))?"
    rf"|{_MONTH.format('month2')} (?P<day2>\d{{1,2}})(?:st|nd|rd|th)?(?:,? (?P<year2>\d{{4}}))?"
    r")(?!\w)",
    re.IGNORECASE,
)
_HYPHENS = str.maketrans("\u2010\u2011", "--")  # NFKC makes U+2010 of a no-break hyphen
_RUN = re.compile(r"(?<![\w/-])(?<!\d[.,])[\w/-]+")
_MEASURE = re.compile(
    r"\d+(?:st|nd|rd|th)|\d+(?:[-]?(?:x|k|m|h|s|am|pm|kg|g|km|cm|mm|l|ml|mb|gb|px|min|years?))"
    r"|\d+(?:-(?:business|working|calendar|full))?-(?:second|minute|hour|day|night|week|month|year|star|page|seat|"
    r"person|piece|pack|item|part|point|step|digit|inch|mile|met(?:er|re)|euro|pound|dollar)s?",
    re.I,
)
_NUMBER = re.compile(
    r"(?<![\w.,])(?P<digits>\d{1,3}(?:[,.' \u00a0\u202f]\d{3})+(?:[.,]\d+)?|\d+(?:[.,]\d+)?)"
    r"(?:\s?(?P<scale>thousand|million|billion|k|m|bn)\b)?(?P<percent>\s?%)?",
    re.IGNORECASE,
)
_SCALES = {"thousand": 3, "k": 3, "million": 6, "m": 6, "billion": 9, "bn": 9}
_NUMBER_WORD = re.compile(rf"\b(?:{'|'.join(NUMBER_WORDS)})\b", re.IGNORECASE)
_LIST_MARK = re.compile(r"^[ \t]*\d{1,3}[.)](?=\s)", re.MULTILINE)
_NAME = re.compile(
    r"(?<!\w)[^\W\d_a-z]\w*(?:['’]\w+)?(?:(?:\s|-)(?:(?:of|de|van|von|the)\s)?[^\W\d_a-z]\w*)*"
)
_CAPITALISED_ANYWAY = frozenset(
    "i monday tuesday wednesday thursday friday saturday sunday mr mrs ms dr dear sincerely regards subject "  # noqa: SIM905
    "yes no ok faq url id pdf ai english january february march april may june july august september october "
    "november december".split()
)


def find_facts(text: str, kinds: tuple[str, ...] | None = None) -> list[Fact]:
    """Return the facts of a text in order of kind; each character belongs to at most one, names aside.

    Numbers are read in both decimal notations where both are possible (`1.234` is 1234 or 1.234), with their
    scale (`2 million`); a list's own numbering is none. A date without a year has `*` in its place. Names are
    runs of capitalised words inside sentences: for English text.

    Args:
        text: At most 200,000 characters are read.
        kinds: Of `KINDS`; None for all.
    """
    text = unicodedata.normalize("NFKC", text[:_LONGEST]).translate(_HYPHENS)
    left = _LIST_MARK.sub(lambda mark: " " * len(mark.group()), text)
    found: list[Fact] = []
    for kind, (pattern, read) in _READERS.items():
        left = pattern.sub(functools.partial(_taken, kind, read, found), left)
    found += _names(text)
    return [fact for fact in found if kinds is None or fact.kind in kinds]


def number_words(text: str) -> set[str]:
    """Return the numbers that a text spells as English words, as the keys of facts."""
    return {str(NUMBER_WORDS[found.lower()]) for found in _NUMBER_WORD.findall(text[:_LONGEST])}


def _taken(kind: str, read: _Reader, found: list[Fact], match: re.Match[str]) -> str:
    """Note a fact and return blanks for it, so that no later kind reads the same characters."""
    keys = frozenset(read(match))
    if not keys:
        return match.group()
    found.append(Fact(kind, match.group().strip(), keys))
    return " " * len(match.group())


def _url(match: re.Match[str]) -> Iterator[str]:
    text = match.group().rstrip(".,;:!?*_").lower()
    if len(text) <= _LONGEST_WORD and _ADDRESS.fullmatch(text):
        yield re.sub(r"^(?:https?://)?(?:www\.)?", "", text).rstrip("/")


def _date(match: re.Match[str]) -> Iterator[str]:
    parts = match.groupdict()
    if parts["iso_y"]:
        yield from _day(parts["iso_y"], int(parts["iso_m"]), int(parts["iso_d"]))
    elif parts["a"]:
        year = parts["short_y"] if len(parts["short_y"]) == 4 else f"20{parts['short_y']}"
        yield from _day(year, int(parts["a"]), int(parts["b"]))
        yield from _day(year, int(parts["b"]), int(parts["a"]))
    else:
        month = 1 + _MONTHS.index((parts["month"] or parts["month2"]).lower()[:3])
        yield from _day(parts["year"] or parts["year2"], month, int(parts["day"] or parts["day2"]))


def _day(year: str | None, month: int, day: int) -> Iterator[str]:
    if 1 <= month <= 12 and 1 <= day <= 31:
        yield f"{year or '*'}-{month:02}-{day:02}"


def _identifier(match: re.Match[str]) -> Iterator[str]:
    text = match.group().strip("-/").casefold()
    mixed = any(map(str.isdigit, text)) and any(map(str.isalpha, text))
    if mixed and len(text) <= _LONGEST_WORD and not _MEASURE.fullmatch(text):
        yield text


def _number(match: re.Match[str]) -> Iterator[str]:
    digits = match["digits"]
    scale = _SCALES[match["scale"].lower()] if match["scale"] else 0
    for decimal_mark, between in ((".", ",' \u00a0\u202f"), (",", ".' \u00a0\u202f")):
        whole, mark, fraction = digits.rpartition(decimal_mark)
        groups = re.split(f"[{re.escape(between)}]", whole if mark else digits)
        grouped = len(groups) == 1 or (len(groups[0]) <= 3 and all(len(one) == 3 for one in groups[1:]))
        plain = "".join(groups) + (f".{fraction}" if mark else "")
        if grouped and re.fullmatch(r"[0-9]+(?:\.[0-9]+)?", plain):
            yield spelled(Decimal(plain).scaleb(scale))


def spelled(value: Decimal) -> str:
    """Return the one spelling of a number, as the keys of facts have it."""
    return format(value.normalize(), "f") if abs(value.adjusted()) < 100 else str(value)


def _names(text: str) -> Iterator[Fact]:
    for match in _NAME.finditer(text):
        before = text[: match.start()].rstrip(" \t\"'“‘(*_#>-")
        starts_sentence = not before or before[-1] in ".!?:\n•…"
        words = match.group().split()
        if starts_sentence:
            words = words[1:]  # capitalised for its place, perhaps
        kept = [word for word in words if word[0].isupper() and len(word) > 1 and not _is_common(word)]
        if kept:
            shown = " ".join(kept)
            yield Fact("names", shown, frozenset({shown.casefold()}))


def _is_common(word: str) -> bool:
    return word.casefold().strip("'’s") in _CAPITALISED_ANYWAY


_READERS: dict[str, tuple[re.Pattern[str], _Reader]] = {
    "urls": (_CHUNK, _url),
    "dates": (_DATE, _date),
    "identifiers": (_RUN, _identifier),
    "numbers": (_NUMBER, _number),
}
KINDS = (*_READERS, "names")
"""All kinds of facts."""
