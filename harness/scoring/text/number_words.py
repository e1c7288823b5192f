"""Numbers that are written as English words, or with Han numerals."""

from __future__ import annotations

import re
from collections.abc import Iterator
from decimal import Decimal

from harness.scoring.text.number_text import Quantity

__all__ = ["NUMBER_WORDS", "find_number_words"]

_SMALL = {
    "zero": 0,
    "one": 1,
    "two": 2,
    "three": 3,
    "four": 4,
    "five": 5,
    "six": 6,
    "seven": 7,
    "eight": 8,
    "nine": 9,
    "ten": 10,
    "eleven": 11,
    "twelve": 12,
    "thirteen": 13,
    "fourteen": 14,
    "fifteen": 15,
    "sixteen": 16,
    "seventeen": 17,
    "eighteen": 18,
    "nineteen": 19,
}
_TENS = {
    "twenty": 20,
    "thirty": 30,
    "forty": 40,
    "fifty": 50,
    "sixty": 60,
    "seventy": 70,
    "eighty": 80,
    "ninety": 90,
}
NUMBER_WORDS = {**_SMALL, **_TENS}
"""Each number below a hundred that English writes as one word, with its value."""
_LARGE = {"thousand": 10**3, "million": 10**6, "billion": 10**9, "trillion": 10**12}
_PARTS = {
    "half": 2,
    "halves": 2,
    "third": 3,
    "quarter": 4,
    "fourth": 4,
    "fifth": 5,
    "sixth": 6,
    "eighth": 8,
    "tenth": 10,
}
_PARTS |= {f"{word}s": value for word, value in _PARTS.items() if word not in ("half", "halves")}
_WORD = "|".join(sorted((*_SMALL, *_TENS, *_LARGE, "hundred", "dozen", *_PARTS), key=len, reverse=True))
_PHRASE = re.compile(
    rf"(?<![\w-])(?P<sign>(?:minus|negative)\s+)?(?P<words>(?:an?\s+(?=hundred|thousand|million|dozen|half|third|quarter))?"
    rf"(?:{_WORD})(?:(?:\s+and\s+|[\s-]+)(?:{_WORD}))*)(?![\w-])",
    re.IGNORECASE,
)
_HAN = {character: value for value, character in enumerate("零一二三四五六七八九")} | {"〇": 0, "两": 2}
_HAN_UNITS = {"十": 10, "百": 100, "千": 1000}
_HAN_PHRASE = re.compile(
    r"\A(?:答案[是为]|答えは)?[:：]?(?P<words>[零〇一二两三四五六七八九十百千]+)(?:です|[个個つ])?[。.]?\Z"
)


def find_number_words(text: str) -> Iterator[Quantity]:
    """Yield the numbers that are written as words; of Han numerals, only one that is the whole answer."""
    for match in _PHRASE.finditer(text):
        value = _english(match["words"].casefold())
        if value is not None and match["sign"]:
            value = -value
        yield Quantity(value, match.start(), match.end(), value, match.end())
    han = _HAN_PHRASE.match(text.strip())
    if han is not None:
        value = _from_han(han["words"])
        yield Quantity(value, 0, len(text), value, len(text))


def _english(words: str) -> Decimal | None:
    """Return the value of number words, None where they are several numbers: "two three"."""
    parts = [word for word in re.split(r"[\s-]+", words) if word not in ("and", "a", "an")]
    if parts[-1] in _PARTS:
        top = Decimal(1) if len(parts) == 1 else _english(" ".join(parts[:-1]))
        if top is None or (len(parts) > 2 and " and " in words):
            return None  # "two and a half" is handled by nobody: unreadable rather than wrong
        return top / _PARTS[parts[-1]]
    total, group, last = 0, 0, 10**15
    for word in parts:
        if word in _SMALL or word in _TENS:
            value = _SMALL.get(word, _TENS.get(word, 0))
            room = 10 if word in _SMALL and value < 10 else 100
            if last < room or (last in _TENS.values() and value >= 10) or group % room:
                return None
            group, last = group + value, value if word in _TENS else 0
        elif word == "hundred":
            group, last = (group or 1) * 100, 100
        elif word == "dozen":
            group, last = (group or 1) * 12, 0
        elif word in _LARGE:
            total, group, last = total + (group or 1) * _LARGE[word], 0, 10**15
        else:
            return None
    return Decimal(total + group)


def _from_han(words: str) -> Decimal | None:
    if all(character in _HAN for character in words):
        return Decimal("".join(str(_HAN[character]) for character in words))
    total, digit = 0, 0
    for character in words:
        if character in _HAN_UNITS:
            total, digit = total + (digit or 1) * _HAN_UNITS[character], 0
        elif digit:
            return None
        else:
            digit = _HAN[character]
    return Decimal(total + digit)
