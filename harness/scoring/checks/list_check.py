"""The `list` check: the items that an answer lists, in order or as a set."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence

from harness.cases import Case, Response, Score, canonical_json
from harness.files.read_json import InvalidJsonError
from harness.scoring.check_type import Example, Scorer, declare_check
from harness.scoring.checks.graded import graded
from harness.scoring.checks.parameters import FLAG, MARKER, NORMALIZE, SHARE, TEXTS
from harness.scoring.text.json_text import extract_json
from harness.scoring.text.normal_text import normalise, quoted

__all__ = ["list_equals", "list_items"]

_BULLET = re.compile(r"\s*(?:[-*+•‣◦–—·]|\(?[0-9]{1,4}[.):]|\(?[A-Za-z][.)])\s+(?P<item>\S.*)")
_CONJUNCTION = re.compile(r",?\s(?:and|or|und|oder|et|ou|y|o|e)\s|&", re.IGNORECASE)
_MAX_ITEMS = 10_000


def list_items(text: str, *, after: str | None = None, separator: str | None = None) -> list[str]:
    """Return the items that an answer lists, as they are spelled; [] where there is no list.

    A JSON array of strings and numbers; else the lines with a bullet or a number; else what stands between
    `separator`, or semicolons, commas (with a last *and* or *or*) or line ends, a full stop at the end aside.

    Args:
        text: The answer.
        after: Only what follows the last occurrence of this marker counts.
        separator: What separates the items.
    """
    if after is not None:
        start = text.rfind(after)
        if start < 0:
            return []
        text = text[start + len(after) :]
    if separator is not None:
        return _cleaned(text.split(separator))
    try:
        value = extract_json(text)
    except InvalidJsonError:
        value = None
    if isinstance(value, list):
        return [item if isinstance(item, str) else canonical_json(item) for item in value]
    lines = [line for line in text.splitlines() if line.strip()]
    bullets = [match["item"] for line in lines if (match := _BULLET.fullmatch(line))]
    if bullets:
        return _cleaned(bullets)
    if len(lines) > 1:
        return _cleaned(lines)
    line = lines[0].strip().removesuffix(".") if lines else ""
    if ";" in line:
        return _cleaned(line.split(";"))
    head, comma, last = line.rpartition(",")
    if not comma:
        return _cleaned(_CONJUNCTION.split(line, maxsplit=1))
    last = re.sub(r"^\s*(?:and|or|und|oder|et|ou|y|o|e)\s+", "", last, flags=re.IGNORECASE)
    return _cleaned([*head.split(","), *_CONJUNCTION.split(last, maxsplit=1)])


@declare_check(
    "list",
    parameters={
        "values": TEXTS,
        "ordered": FLAG,
        "partial": FLAG,
        "at_least": SHARE,
        "after": MARKER,
        "separator": MARKER,
        "normalize": NORMALIZE,
    },
    target="values",
    examples=(
        Example(
            {"values": ["red", "green", "blue"]},
            ('["blue", "red", "green"]', "Red, green and blue.", "Sure:\n- blue\n- green\n- red"),
            ("red, green", "red, green, blue, pink", "red, red, green, blue", "colours"),
        ),
        Example(
            {"values": ["wash", "dry", "fold"], "ordered": True},
            ("1. Wash\n2. Dry\n3. Fold",),
            ("1. Dry\n2. Wash\n3. Fold",),
        ),
        Example(
            {"values": ["a", "b", "c"], "partial": True, "at_least": 0.8},
            ("a, b", "a, b, c, d"),
            ("a", "x, y, z"),
        ),
        Example({"values": ["a", "b"], "after": "List:"}, ("x, y\nList: a, b",), ("a, b",)),
        Example({"values": ["a, b", "c"], "separator": "|"}, ("c | a, b",), ("a | b | c",)),
        Example({"values": ["e-mail", "fax"], "normalize": ["punctuation"]}, ("email, fax",), ("mail, fax",)),
    ),
)
def list_equals(
    values: Sequence[str],
    ordered: bool = False,
    partial: bool = False,
    at_least: float = 1.0,
    after: str | None = None,
    separator: str | None = None,
    normalize: Sequence[str] = ("casefold", "whitespace"),
) -> Scorer:
    """The answer lists exactly `values`: a JSON array, bullets, numbered lines or a comma list; in any order
    unless `ordered`. With `partial`, the score of a list that differs is its F1 (of the items in common; in
    order: of the longest run in order), and it passes from `at_least` on.
    """  # noqa: D205  (one paragraph is the documentation of the check)
    wanted = [normalise(value, normalize) for value in values]
    if len(wanted) != len({*wanted}) and len(set(values)) == len(values):
        raise ValueError("values: two of them are the same after `normalize`")

    def scorer(case: Case, response: Response) -> Score:
        items = list_items(response.text, after=after, separator=separator)[:_MAX_ITEMS]
        if not items:
            where = f" after {after!r}" if after is not None else ""
            return Score.invalid(f"no list{where} in the answer: no JSON array, bullets, lines or commas")
        found = [normalise(item, normalize) for item in items]
        answer = canonical_json(items)
        if found == wanted or (not ordered and Counter(found) == Counter(wanted)):
            return Score.passed(answer)
        if response.truncated:
            return Score.invalid(f"the answer was cut off after {len(items)} items", answer)
        complaint = _complaint(wanted, found)
        if not partial:
            return Score.missed(complaint, answer)
        f1 = 2 * _common(wanted, found, ordered) / (len(wanted) + len(found))
        return graded(f1, at_least, "F1 of the items", answer, complaint)

    return scorer


def _common(wanted: list[str], found: list[str], ordered: bool) -> int:
    if not ordered:
        return (Counter(wanted) & Counter(found)).total()
    row = [0] * (len(wanted) + 1)  # longest common subsequence, one row at a time
    for item in found:
        corner = 0
        for index, other in enumerate(wanted):
            above = row[index + 1]
            row[index + 1] = corner + 1 if item == other else max(above, row[index])
            corner = above
    return row[-1]


def _complaint(wanted: list[str], found: list[str]) -> str:
    lacking = list((Counter(wanted) - Counter(found)).elements())
    extra = list((Counter(found) - Counter(wanted)).elements())
    if not lacking and not extra:
        return "the items are in another order"
    parts = [("lacks", lacking), ("has the extra", extra)]
    return "the list " + " and ".join(f"{verb} {_some(items)}" for verb, items in parts if items)


def _some(items: list[str]) -> str:
    shown = ", ".join(quoted(item) for item in items[:5])
    return shown + (f" and {len(items) - 5} more" if len(items) > 5 else "")


def _cleaned(items: Sequence[str]) -> list[str]:
    stripped = (item.strip().strip("*_`").strip() for item in items)
    return [_unquoted(item) for item in stripped if item]


def _unquoted(item: str) -> str:
    pairs = {'"': '"', "'": "'", "“": "”", "‘": "’", "«": "»"}
    return item[1:-1] if len(item) > 1 and pairs.get(item[0]) == item[-1] else item
