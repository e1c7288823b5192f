"""The `template` check: does the answer have the prescribed form, with something at each placeholder?"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from harness.cases import Case, Response, Score, canonical_json
from harness.scoring.check_type import Example, Scorer, declare_check
from harness.scoring.checks.parameters import FLAG
from harness.scoring.checks.regex_check import PATTERN, compile_pattern, search

__all__ = ["template"]

_PLACEHOLDER = re.compile(r"\{(?P<name>[A-Za-z_]\w*)(?P<many>\.\.\.)?\}")


@declare_check(
    "template",
    parameters={
        "template": {"type": "string", "minLength": 1, "maxLength": 1000},
        "patterns": {"type": "object", "additionalProperties": PATTERN},
        "ignore_case": FLAG,
    },
    examples=(
        Example(
            {
                "template": "Subject: {subject}\n\nDear {name},\n{body...}\nRegards, {sender}",
                "patterns": {"name": "[A-Z][a-z]+"},
            },
            ("Subject: Your order\n\nDear Ann,\n\nIt is on its way.\nTwo days.\n\nRegards, Bo",),
            (
                "Subject: Your order\n\nDear customer,\n\nIt is on its way.\n\nRegards, Bo",
                "Subject:\n\nDear Ann,\n\nRegards, Bo",
                "Hi! Subject: Your order\n\nDear Ann,\nx\nRegards, Bo",
            ),
        ),
        Example({"template": "SUBJECT: {s}", "ignore_case": True}, ("Subject: Hi",), ("Re: Hi",)),
    ),
)
def template(template: str, patterns: Mapping[str, str] | None = None, ignore_case: bool = False) -> Scorer:
    r"""The whole answer has the form of `template`, blanks alike: `{name}` stands for some text on one line,
    `{name...}` for one over any lines, and `patterns` says what a placeholder may be. A template such as
    `Subject: {subject}\n{body...}` prescribes an email.
    """  # noqa: D205  (one paragraph is the documentation of the check)
    compiled = _compiled(template, patterns or {}, ignore_case)
    names = list(dict.fromkeys(match["name"] for match in _PLACEHOLDER.finditer(template)))
    opening = _spaced(template[: found.start()] if (found := _PLACEHOLDER.search(template)) else template)

    def scorer(case: Case, response: Response) -> Score:
        text = response.text.strip()
        found = search(compiled, text, full=True)
        if found is not None:
            return Score.passed(canonical_json({name: found.group(name).strip() for name in names}))
        if response.truncated:
            return Score.invalid("the answer was cut off before the form was complete")
        start = search(compile_pattern(opening, "i" if ignore_case else ""), text)
        if opening and (start is None or start.start() != 0):
            return Score.missed(f"does not start with {template[:40].strip()!r}")
        return Score.missed(f"does not have the form {template[:60]!r}")

    return scorer


def _compiled(text: str, patterns: Mapping[str, str], ignore_case: bool) -> Any:
    parts: list[str] = []
    seen: set[str] = set()
    place = 0
    for match in _PLACEHOLDER.finditer(text):
        name = match["name"]
        if name in seen:
            raise ValueError(f"template: the placeholder {{{name}}} is there twice")
        seen.add(name)
        inner = patterns.get(name, r"\S(?s:.*?)" if match["many"] else r"\S[^\n]*?")
        compile_pattern(inner)
        if name not in patterns and not text[match.end() :][:1].strip():
            inner += r"(?<=\S)"  # what blanks follow ends before them: no run of them is tried at each place
        parts += [_spaced(text[place : match.start()]), f"(?P<{name}>{inner})"]
        place = match.end()
    if unknown := sorted(set(patterns) - seen):
        raise ValueError(f"patterns: no placeholder {{{unknown[0]}}} in the template")
    pattern = "".join([*parts, _spaced(text[place:])])
    return compile_pattern(rf"\s*{pattern}\s*", "i" if ignore_case else "")


def _spaced(literal: str) -> str:
    """Return the pattern of a literal part in which a run of blanks or of line ends may be of any length."""
    pieces = re.split(r"(\s+)", literal)
    return "".join(
        (r"[^\S\n]*\n\s*" if "\n" in piece else r"[^\S\n]+") if piece.isspace() else re.escape(piece)
        for piece in pieces
        if piece
    )
