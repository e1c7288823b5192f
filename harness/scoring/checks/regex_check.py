"""The `regex` check, and searches under a time limit for every other check that takes a pattern."""

from __future__ import annotations

import functools
import re
from collections.abc import Mapping
from typing import Any

from harness.cases import Case, Response, Score
from harness.errors import ScoringError
from harness.scoring.check_type import Example, Scorer, declare_check
from harness.scoring.checks.parameters import FLAG

__all__ = [
    "MAX_PATTERN_LENGTH",
    "PATTERN",
    "TIME_LIMIT",
    "compile_pattern",
    "first_match",
    "last_match",
    "matches",
    "search",
]

MAX_PATTERN_LENGTH = 2000
"""Longest pattern, in characters."""
PATTERN: Mapping[str, Any] = {"type": "string", "minLength": 1, "maxLength": MAX_PATTERN_LENGTH}
_MAX_UNROLLED = 100_000
_TOKENS = re.compile(
    r"\\.|\[\^?\]?(?:\\.|[^\]\\])*\]|\{(?P<least>[0-9]{0,18})(?:,(?P<most>[0-9]{0,18}))?\}|.", re.DOTALL
)
TIME_LIMIT = 1.0
"""Most seconds that one search may take; a pattern that backtracks for ever ends in an error."""


@functools.lru_cache(maxsize=1024)
def compile_pattern(pattern: str, flags: str = "") -> Any:
    """Compile with the `regex` package, which knows time limits; the syntax is a superset of `re`.

    Args:
        pattern: At most `MAX_PATTERN_LENGTH` characters.
        flags: Of `i` (ignore case), `m` (`^` and `$` at each line) and `s` (`.` matches line ends).

    Raises:
        ValueError: Not a regular expression.
    """
    import regex

    if len(pattern) > MAX_PATTERN_LENGTH:
        raise ValueError(f"a pattern of {len(pattern)} characters (at most {MAX_PATTERN_LENGTH})")
    if _unrolled(pattern) > _MAX_UNROLLED:
        raise ValueError(
            f"{pattern!r} repeats repetitions: it would compile to more than {_MAX_UNROLLED} steps"
        )
    try:
        return regex.compile(f"(?{flags}){pattern}" if flags else pattern)
    except (regex.error, OverflowError, RecursionError) as problem:
        raise ValueError(f"{pattern!r} is not a regular expression: {problem}") from None


def search(pattern: Any, text: str, *, full: bool = False) -> Any:
    """Search (or match all of) a text with a pattern from `compile_pattern`; return the match or None.

    Raises:
        ScoringError: It took longer than `TIME_LIMIT`.
    """
    method = pattern.fullmatch if full else pattern.search
    try:
        return method(text, timeout=TIME_LIMIT)
    except TimeoutError:
        raise _too_slow(pattern, text) from None


def first_match(pattern: Any, text: str) -> Any:
    """Return the first match of a pattern from `compile_pattern`, or None.

    Raises:
        ScoringError: It took longer than `TIME_LIMIT`.
    """
    return search(pattern, text)


def last_match(pattern: Any, text: str) -> Any:
    """Return the last match of a pattern from `compile_pattern`, or None.

    Raises:
        ScoringError: The searches took longer than `TIME_LIMIT` together.
    """
    try:
        found = list(pattern.finditer(text, timeout=TIME_LIMIT))
    except TimeoutError:
        raise _too_slow(pattern, text) from None
    return found[-1] if found else None


def _unrolled(pattern: str) -> int:
    """Estimate how many steps a pattern compiles to: `((a{1000}){1000}){1000}` would fill the memory."""
    sizes, last = [0], 0  # steps so far in each open group; steps of the last item, which a {m,n} repeats
    for token in _TOKENS.finditer(pattern):
        text = token.group()
        if text == "(":
            sizes.append(0)
            last = 0
        elif text == ")":
            last = sizes.pop() if len(sizes) > 1 else 0
            sizes[-1] += last
        elif token["least"] is not None:
            repeated = last * max(int(token["least"] or 0), int(token["most"] or 0), 1)
            sizes[-1] += repeated - last
            last = repeated
        else:
            last = 1
            sizes[-1] += 1
    return sum(sizes)


def _too_slow(pattern: Any, text: str) -> ScoringError:
    shown = pattern.pattern if len(pattern.pattern) <= 80 else pattern.pattern[:79] + "…"
    return ScoringError(
        f"the pattern {shown!r} took longer than {TIME_LIMIT:g} s on {len(text)} characters: "
        "rewrite it without nested repetition"
    )


@declare_check(
    "regex",
    parameters={
        "pattern": PATTERN,
        "match": {"type": "string", "enum": ["search", "full"]},
        "ignore_case": FLAG,
        "multiline": FLAG,
        "dotall": FLAG,
    },
    examples=(
        Example(
            {"pattern": r"^Order \d{6}\b"},
            ("Order 123456 is on its way",),
            ("order 12", "My Order 123456"),
        ),
        Example({"pattern": "[a-z]+", "match": "full"}, (" abc ",), ("abc 1",)),
        Example({"pattern": "order", "ignore_case": True}, ("Order 12",), ("12",)),
        Example({"pattern": "^Total", "multiline": True}, ("Sum\nTotal 3",), ("In Total",)),
        Example({"pattern": "Dear.*Regards", "dotall": True}, ("Dear Ann,\nRegards",), ("Dear Ann,",)),
    ),
)
def matches(
    pattern: str,
    match: str = "search",
    ignore_case: bool = False,
    multiline: bool = False,
    dotall: bool = False,
) -> Scorer:
    """The pattern is found in the answer or, with `match` = "full", matches all of it (ends stripped)."""
    flags = "i" * ignore_case + "m" * multiline + "s" * dotall
    compiled = compile_pattern(pattern, flags)

    def scorer(case: Case, response: Response) -> Score:
        found = search(compiled, response.text.strip(), full=match == "full")
        if found is not None:
            return Score.passed(found.group())
        return Score.missed(f"does not match {pattern!r}")

    return scorer
