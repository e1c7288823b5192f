"""Fenced code blocks in an answer, as CommonMark reads them."""

from __future__ import annotations

import re
from dataclasses import dataclass

__all__ = ["Fence", "fenced_blocks", "outside_fences", "unfenced"]

_OPENING = re.compile(r"(?P<indent>[ \t]*)(?P<mark>`{3,}|~{3,})[ \t]*(?P<info>.*)")


@dataclass(frozen=True)
class Fence:
    """One fenced block.

    Attributes:
        language: First word after the opening fence, in lower case; empty where there is none.
        content: The lines between the fences.
        closed: Whether there is a closing fence; an answer that was cut off has none.
        start: Index of the line that opens it.
        end: Index of the line after it.
    """

    language: str
    content: str
    closed: bool
    start: int
    end: int


def fenced_blocks(text: str) -> list[Fence]:
    """Return the blocks between ``` or ~~~ fences, in order.

    A fence closes with at least as many of the same mark as opened it, so a longer fence may hold a shorter
    one; fences may be indented, as in lists. Source: CommonMark 0.31.2, section 4.5.
    """
    lines = text.splitlines()
    blocks: list[Fence] = []
    index = 0
    while index < len(lines):
        opening = _OPENING.fullmatch(lines[index])
        if opening is None or (opening["mark"][0] == "`" and "`" in opening["info"]):
            index += 1
            continue
        mark, indent = opening["mark"], len(opening["indent"])
        closing = re.compile(rf"[ \t]*{re.escape(mark[0])}{{{len(mark)},}}[ \t]*")
        end = next((i for i in range(index + 1, len(lines)) if closing.fullmatch(lines[i])), None)
        inside = lines[index + 1 : end]
        content = "\n".join(_unindented(line, indent) for line in inside)
        words = opening["info"].split()
        after = len(lines) if end is None else end + 1
        blocks.append(Fence(words[0].lower() if words else "", content, end is not None, index, after))
        index = after
    return blocks


def outside_fences(text: str) -> str:
    """Return the lines that no fenced block holds."""
    lines = text.splitlines()
    for block in reversed(fenced_blocks(text)):
        del lines[block.start : block.end]
    return "\n".join(lines)


def unfenced(text: str, languages: tuple[str, ...]) -> str:
    """Return what an answer consists of: its only finished block in one of these languages, or all of it.

    Args:
        text: The answer.
        languages: In lower case; a block that names no language counts where no other does.

    Raises:
        ValueError: Several blocks could be meant, or the only one is not finished.
    """
    blocks = fenced_blocks(text)
    named = [block for block in blocks if block.language in languages]
    named = named or [block for block in blocks if not block.language]
    if not named:
        return text
    if len(named) > 1:
        raise ValueError(f"{len(named)} fenced blocks that could be meant")
    if not named[0].closed:
        raise ValueError("the fenced block is not finished")
    return named[0].content


def _unindented(line: str, indent: int) -> str:
    blanks = len(line) - len(line.lstrip(" \t"))
    return line[min(indent, blanks) :]
