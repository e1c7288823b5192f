"""IFEval's instructions about layout: lists, sections, titles, beginnings and ends."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from harness.scoring.checks.instruction_kind import COUNT, STRING, InstructionKind

__all__ = ["LAYOUT_INSTRUCTIONS"]

_OPTIONS = ("My answer is yes.", "My answer is no.", "My answer is maybe.")
_POSTSCRIPTS = {"P.S.": re.compile(r"p\.\s?s\."), "P.P.S": re.compile(r"p\.\s?p\.\s?s")}


def _placeholders(text: str, num_placeholders: int) -> bool:
    return sum(_bracketed(line) for line in text.split("\n")) >= num_placeholders


def _bracketed(line: str) -> int:
    """Count the `[…]` of a line: each opening bracket with the next closing one behind it."""
    count, place = 0, 0
    while (start := line.find("[", place)) >= 0 and (end := line.find("]", start)) >= 0:
        count, place = count + 1, end + 1
    return count


def _postscript(text: str, postscript_marker: str) -> bool:
    marker = postscript_marker.strip()
    known = _POSTSCRIPTS.get(marker)
    lowered = text.lower()
    return marker.lower() in lowered if known is None else known.search(lowered) is not None


def _bullets(text: str, num_bullets: int) -> bool:
    """Lines that start with `-`, or with `*` and no second one."""
    lines = [line.lstrip() for line in text.split("\n")]
    count = sum(1 for line in lines if line.startswith("-"))
    index = 0
    while index < len(lines):
        line = lines[index]
        if line.startswith("*") and line[1:2] != "*" and (line != "*" or index + 1 < len(lines)):
            count += 1
            index += line == "*"  # a bullet alone on its line has its text in the next one
        index += 1
    return count == num_bullets


def _constrained(text: str) -> bool:
    return any(option in text for option in _OPTIONS)


def _highlights(text: str, num_highlights: int) -> bool:
    lines = text.split("\n")
    return sum(_starred(line, 1) + _starred(line, 2) for line in lines) >= num_highlights


def _starred(line: str, stars: int) -> int:
    """Count what stands between `stars` asterisks on either side, with no asterisk inside and not blank."""
    mark, count, place = "*" * stars, 0, 0
    while (start := line.find(mark, place)) >= 0:
        inside = start + stars
        end = line.find("*", inside)
        if end < 0:
            break
        if not line.startswith(mark, end):
            place = start + 1
            continue
        count += bool(line[inside:end].strip())
        place = end + stars
    return count


def _sections(text: str, section_spliter: str, num_sections: int) -> bool:
    heading = re.compile(rf"{re.escape(section_spliter.strip())}\s?\d+")
    return len(heading.findall(text)) >= num_sections


def _json(text: str) -> bool:
    """JSON as Python's reader takes it, alone or in a fence."""
    text = text.strip()
    for opening in ("```json", "```Json", "```JSON", "```"):
        text = text.removeprefix(opening)
    try:
        json.loads(text.removesuffix("```").strip())
    except (ValueError, RecursionError):
        return False
    return True


def _title(text: str) -> bool:
    """Some line holds `<<…>>` with more than angle brackets and blanks inside."""
    for line in text.split("\n"):
        start, end = line.find("<<"), line.rfind(">>")
        if start >= 0 and end > start + 2 and line[start:end].lstrip("<").rstrip(">").strip():
            return True
    return False


def _two_responses(text: str) -> bool:
    """Two different answers divided by six asterisks; only the outer parts may be empty."""
    parts = [part.strip() for part in text.split("******")]
    if not all(parts[1:-1]):
        return False
    answers = [part for part in parts if part]
    return len(answers) == 2 and answers[0] != answers[1]


def _repeats(text: str, prompt_to_repeat: str) -> bool:
    return text.strip().lower().startswith(prompt_to_repeat.strip().lower())


def _ends(text: str, end_phrase: str) -> bool:
    return text.strip().strip('"').lower().endswith(end_phrase.strip().lower())


def _quoted(text: str) -> bool:
    text = text.strip()
    return len(text) > 1 and text.startswith('"') and text.endswith('"')


def _yes(arguments: Mapping[str, Any]) -> bool:
    return True


LAYOUT_INSTRUCTIONS = (
    InstructionKind(
        "detectable_content:number_placeholders", _placeholders, {"num_placeholders": COUNT}, _yes
    ),
    InstructionKind("detectable_content:postscript", _postscript, {"postscript_marker": STRING}, _yes),
    InstructionKind("detectable_format:number_bullet_lists", _bullets, {"num_bullets": COUNT}),
    InstructionKind("detectable_format:constrained_response", _constrained, {}, _yes),
    InstructionKind(
        "detectable_format:number_highlighted_sections", _highlights, {"num_highlights": COUNT}, _yes
    ),
    InstructionKind(
        "detectable_format:multiple_sections",
        _sections,
        {"section_spliter": STRING, "num_sections": COUNT},
        _yes,
    ),
    InstructionKind("detectable_format:json_format", _json),
    InstructionKind("detectable_format:title", _title, {}, _yes),
    InstructionKind("combination:two_responses", _two_responses),
    InstructionKind("combination:repeat_prompt", _repeats, {"prompt_to_repeat": STRING}, _yes),
    InstructionKind("startend:end_checker", _ends, {"end_phrase": STRING}),
    InstructionKind("startend:quotation", _quoted),
)
